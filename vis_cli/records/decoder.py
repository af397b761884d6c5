"""Decoding of a video stream: frames in order, their colours and orientation, and a record of damage.

Used by `video_file`, which adds frame indices and seeking, and by `audio`.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import chain
from typing import Any, TypeVar, cast

import av
import cv2
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.sidedata.sidedata import SideData
from av.stream import Stream
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray

from vis_cli.records.container import as_fraction
from vis_cli.records.timestamps import is_jump

StreamT = TypeVar("StreamT", bound=Stream)

ALL_CORES = 0  # thread count with which FFmpeg uses all cores
SHORTFALL_SECONDS = 0.5  # a complete file can end this much before the duration in its header
HELD_PACKETS = 2  # maximum number of packets from a packet that FFmpeg marks to the packet after a gap
GAP_STEPS = 1.5  # a step in time of more frame durations than this means that a frame is missing
MAX_START_PACKETS = 10_000  # at the start of a recording, before its second codec key frame
UNSPECIFIED, BT709, BT601 = 2, 1, 6  # matrix coefficients in ITU-T H.273
HDR_TRANSFERS = {16: "PQ", 18: "HLG"}  # transfer characteristics in ITU-T H.273
HD_WIDTH, HD_HEIGHT = 1280, 720  # players decode an untagged video of at least this size as BT.709


@dataclass(slots=True)
class Damage:
    """Record of damage in a file that is decoded."""

    bad_packets: int = 0  # could not be decoded
    bad_frames: int = 0  # decoded, but FFmpeg concealed a damaged part of the frame
    resized_frames: int = 0
    packet_dts: array[int] = field(default_factory=lambda: array("q"))  # of the video packets, in order
    start_pts: list[int] = field(default_factory=list)  # of the packets before the second codec key frame
    num_key_packets: int = 0
    end_seconds: Fraction = Fraction(0)  # end of the last packet of all streams
    num_gaps: int = 0  # positions where packets of a transport stream are missing
    num_missing: int = 0  # missing frames in these gaps, estimated from the timestamps
    _since_break: int | None = None  # packets after a packet that FFmpeg marked as corrupt
    _usual_step: int = 0  # smallest step between packets, in units of the time base

    @property
    def is_none(self) -> bool:
        """Return whether the file decoded without damage."""
        return self.bad_packets == self.bad_frames == self.num_gaps == 0

    def note_packet(self, packet: Packet[Any]) -> None:
        """Record the timestamps of a packet of the video stream."""
        self.num_key_packets += packet.is_keyframe
        self._note_gap(packet)
        if packet.dts is not None:
            self.packet_dts.append(packet.dts)
        is_start = self.num_key_packets < 2 and len(self.start_pts) < MAX_START_PACKETS
        if is_start and packet.pts is not None and not packet.is_discard:
            self.start_pts.append(packet.pts)

    def _note_gap(self, packet: Packet[Any]) -> None:
        """Count gaps: a break in the continuity counters of a transport stream, followed by a step in time.

        FFmpeg marks the last or the second to last packet before a break as corrupt, depending on its parser. A break
        without a step is a joint of two recordings, or damage in a frame, which the decoder reports. The counters have
        4 bits, so a loss of 16, 32, 48, ... transport packets is not detected.
        """
        base = as_fraction(packet.time_base)
        step = packet.dts - self.packet_dts[-1] if self.packet_dts and packet.dts is not None else 0
        if self._since_break is not None and base is not None:
            self._since_break += 1
            is_gap = 0 < self._usual_step * GAP_STEPS < step and not is_jump(step * base)
            if is_gap:
                self.num_gaps += 1
                self.num_missing += round(step / self._usual_step) - 1
            if is_gap or self._since_break == HELD_PACKETS:
                self._since_break = None
        if packet.is_corrupt:
            self._since_break = 0
        if step > 0:
            self._usual_step = min(step, self._usual_step or step)

    def warnings(self, num_frames: int, size: tuple[int, int]) -> list[str]:
        """Return one warning per kind of damage.

        Args:
            num_frames: Number of decoded frames.
            size: Width and height of the frames after scaling.
        """
        lines = []
        if self.bad_packets:
            lines.append(f"{_count(self.bad_packets, 'packet')} did not decode; {_count(num_frames, 'frame')} used")
        if self.bad_frames:
            lines.append(f"{_count(self.bad_frames, 'frame')} decoded with damage")
        if self.resized_frames:
            lines.append(f"{_count(self.resized_frames, 'frame')} of another size scaled to {size[0]}x{size[1]}")
        return lines


@dataclass(frozen=True, slots=True)
class Orientation:
    """Rotation from the coded to the displayed frame, as a transposition followed by flips."""

    transposed: bool
    flip_x: bool
    flip_y: bool

    def apply(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the displayed frame of a coded frame (H, W, 3); (W, H, 3) if it is transposed."""
        if self.transposed:
            image = cv2.transpose(image).astype(np.uint8, copy=False)
        if self.flip_x or self.flip_y:
            axes = -1 if self.flip_x and self.flip_y else int(self.flip_x)  # cv2: -1 both, 1 left-right, 0 up-down
            image = cv2.flip(image, axes).astype(np.uint8, copy=False)
        return image


def stream_packets(container: InputContainer, stream: StreamT, damage: Damage) -> Iterator[Packet[StreamT]]:
    """Yield the packets of a stream up to the end of the file, or to its first unreadable part.

    Empty packets, which mean "same frame" in AVI, are omitted, because they mean "end of stream" to a decoder.
    """
    try:
        for packet in container.demux(stream):
            if packet.size:
                yield cast("Packet[StreamT]", packet)
    except av.FFmpegError:
        damage.bad_packets += 1


def _video_packets(container: InputContainer, stream: VideoStream, damage: Damage) -> Iterator[Packet[VideoStream]]:
    """Yield the packets of the video stream, and record the end of the packets of all streams."""
    try:
        for packet in container.demux():
            base = as_fraction(packet.time_base)
            if packet.size and packet.pts is not None and base is not None:
                end = (packet.pts + (packet.duration or 0)) * base
                damage.end_seconds = max(damage.end_seconds, end)
            if packet.size and packet.stream_index == stream.index:
                damage.note_packet(packet)
                yield cast("Packet[VideoStream]", packet)
    except av.FFmpegError:
        damage.bad_packets += 1


def decoded_frames(container: InputContainer, stream: VideoStream, damage: Damage) -> Iterator[VideoFrame]:
    """Yield the remaining frames in display order, and record packets that cannot be decoded in `damage`."""
    for packet in chain(_video_packets(container, stream, damage), (None,)):  # None flushes the decoder
        try:
            frames = stream.decode(packet)
        except av.FFmpegError:
            damage.bad_packets += 1
            continue
        yield from frames


def rate_of_durations(first: VideoFrame) -> Fraction | None:
    """Return the frames per second of a raw stream, whose frames have a duration, but no timestamp.

    Its format has no header, so the frame rate of the stream is a guess of FFmpeg. None: the frame has a timestamp.
    """
    base = as_fraction(first.time_base)
    return None if first.pts is not None or first.duration <= 0 or base is None else 1 / (first.duration * base)


def rgb_image(frame: VideoFrame, size: tuple[int, int], scaler: VideoReformatter) -> NDArray[np.uint8]:
    """Convert a frame to (H, W, 3) uint8 RGB of the given width and height. `matrix_of` selects the matrix.

    A `scaler` that all frames of a video share prepares the conversion once.
    """
    if not frame.format.is_rgb:
        frame.colorspace = matrix_of(frame)
    converted = scaler.reformat(frame, *size, format="rgb24")
    return np.ascontiguousarray(converted.to_ndarray(), np.uint8)


def matrix_of(frame: VideoFrame) -> int:
    """Return the matrix coefficients of a frame (ITU-T H.273).

    Like video players, `vis` decodes frames without a colour tag as BT.709 if they are HD, and as BT.601 otherwise.
    """
    if frame.colorspace != UNSPECIFIED:
        return int(frame.colorspace)
    return BT709 if frame.width >= HD_WIDTH or frame.height >= HD_HEIGHT else BT601


def lost_colors(stream: VideoStream) -> list[str]:
    """Return a warning about an HDR video, whose RGB frames have 8 bits."""
    transfer = HDR_TRANSFERS.get(stream.codec_context.color_trc)
    if transfer is None:
        return []
    problem = f"the video is HDR ({transfer}), but its frames are read as SDR with 8 bits and without tone mapping"
    return [f"{problem}: an output video has pale colours"]


def orientation_of(frame: VideoFrame) -> Orientation:
    """Return the orientation in the display matrix of a frame, rounded to multiples of 90 degrees.

    The matrix of FFmpeg maps (x, y) to (a x + c y, b x + d y). The larger entries and their signs determine one of
    eight orientations.
    """
    a, b, c, d = _display_matrix(frame)
    transposed = abs(b) > abs(a)
    return Orientation(transposed, flip_x=(c if transposed else a) < 0, flip_y=(b if transposed else d) < 0)


def _display_matrix(frame: VideoFrame) -> tuple[float, float, float, float]:
    try:
        matrix = frame.side_data.get("DISPLAYMATRIX")
    except ValueError:  # PyAV fails if the frame also has side data that it does not know (EXIF), but has the angle
        angle = math.radians(frame.rotation)
        return math.cos(angle), -math.sin(angle), math.sin(angle), math.cos(angle)
    if matrix is None:
        return 1, 0, 0, 1
    values = np.frombuffer(bytes(cast("SideData", matrix)), np.int32)
    return float(values[0]), float(values[1]), float(values[3]), float(values[4])


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"

"""What PyAV knows of one video file: the container, its video stream, and the frames that decode, in order.

Used by `video_file`, which adds frame numbers and seeking, and by `sound`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any, Protocol, TypeVar, cast

import av
import cv2
import numpy as np
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from av.sidedata.sidedata import SideData
from av.stream import Disposition, Stream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from vis_cli.errors import VisError

StreamT = TypeVar("StreamT", bound=Stream)

# Tags may be in any encoding: from version 19 on PyAV reads them all, before that it has to be told.
ANY_TAGS: dict[str, Any] = {"metadata_errors": "replace"} if int(av.__version__.split(".")[0]) < 19 else {}
ALL_CORES = 0  # FFmpeg's own word for a thread count of its choice
MICROSECOND = Fraction(1, 1_000_000)  # the unit of a container's start and duration
SHORTFALL_SECONDS = 0.5  # sound and frames of a whole file may end so far apart


@dataclass(slots=True)
class Damage:
    """Count what went wrong while a file was decoded."""

    bad_packets: int = 0
    bad_frames: int = 0  # decoded, but FFmpeg had to guess a part of the picture
    resized_frames: int = 0

    def words(self, num_frames: int, size: tuple[int, int]) -> list[str]:
        """Say each kind of damage in plain words; `size` is (width, height) of the frames as used."""
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
    """Turn a coded picture as a person is to see it: transposed first, then mirrored."""

    transposed: bool
    flip_x: bool
    flip_y: bool

    def apply(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the (H, W, 3) picture turned; (W, H, 3) where transposed."""
        if self.transposed:
            picture = cv2.transpose(picture).astype(np.uint8, copy=False)
        if self.flip_x or self.flip_y:
            axes = -1 if self.flip_x and self.flip_y else int(self.flip_x)  # cv2: -1 both, 1 left-right, 0 up-down
            picture = cv2.flip(picture, axes).astype(np.uint8, copy=False)
        return picture


@contextmanager
def opened_container(path: Path) -> Iterator[InputContainer]:
    """Open a media file for reading.

    Raises:
        VisError: the file is missing, empty or in no format FFmpeg reads.
    """
    if not path.exists():
        raise VisError(f"{path}: no such file")
    if path.stat().st_size == 0:
        raise VisError(f"{path}: the file is empty")
    try:
        # An absolute path, as FFmpeg would take "12:30.mp4" for a protocol.
        container = av.open(str(path.absolute()), **ANY_TAGS)
    except av.FFmpegError as error:
        raise VisError(f"{path}: not a video that can be read ({error.strerror}); is the file whole?") from error
    with container:
        yield container


@contextmanager
def opened_video(path: Path, *, threads: int) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open a file and the video stream that FFmpeg thinks best in it; a cover picture is none.

    Raises:
        VisError: the file cannot be read, or holds no video.
    """
    with opened_container(path) as container:
        stream = container.streams.best("video")
        if not isinstance(stream, VideoStream) or stream.disposition & Disposition.attached_pic:
            raise VisError(
                f"{path}: {'sound only, there is' if container.streams.audio else 'there is'} no video in it"
            )
        if stream.codec_context is None:
            raise VisError(f"{path}: there is no decoder for its video; convert it to H.264 first")
        stream.codec_context.thread_type = "AUTO"
        stream.codec_context.thread_count = threads
        yield container, stream


def sound_of(container: InputContainer) -> AudioStream | None:
    """Return the sound that FFmpeg thinks best in a file, or None where there is none that decodes."""
    stream = container.streams.best("audio")
    return stream if isinstance(stream, AudioStream) and stream.codec_context is not None else None


def stream_packets(container: InputContainer, stream: StreamT, damage: Damage) -> Iterator[Packet[StreamT]]:
    """Yield the packets of a stream for as long as the file can be read.

    Empty packets (AVI's word for "as before") are left out: to a decoder they would mean the end.
    """
    try:
        for packet in container.demux(stream):
            if packet.size:
                yield cast("Packet[StreamT]", packet)
    except av.FFmpegError:
        damage.bad_packets += 1


def decoded_frames(container: InputContainer, stream: VideoStream, damage: Damage) -> Iterator[VideoFrame]:
    """Yield the frames that decode from here on in the order they are shown, and count the rest in `damage`."""
    for packet in chain(stream_packets(container, stream, damage), (None,)):  # None: what the decoder still holds
        try:
            frames = stream.decode(packet)
        except av.FFmpegError:
            damage.bad_packets += 1
            continue
        for frame in frames:
            damage.bad_frames += frame.is_corrupt
            yield frame


class Ratio(Protocol):
    """A rate or time base: a Fraction, or from PyAV 19 on an AVRational."""

    @property
    def numerator(self) -> int:
        """Return what is above the line."""

    @property
    def denominator(self) -> int:
        """Return what is below it."""


def as_fraction(value: Ratio | None) -> Fraction | None:
    """Return a rate or time base of PyAV's; None where it is unset, which PyAV says by None or, from 19 on, by 0/1."""
    return Fraction(value.numerator, value.denominator) if value else None


def start_seconds(container: InputContainer) -> Fraction:
    """Return when the file's own clock starts: 0 in most formats, anything in a transport stream."""
    return max(container.start_time or 0, 0) * MICROSECOND


def promised_seconds(container: InputContainer, stream: VideoStream) -> Fraction | None:
    """Return how long the video is by the file's header, or None where it does not say."""
    time_base = as_fraction(stream.time_base)
    if stream.duration is not None and time_base is not None:
        return stream.duration * time_base
    return None if container.duration is None else container.duration * MICROSECOND


def orientation_of(frame: VideoFrame) -> Orientation:
    """Read a frame's display matrix, rounded to quarter turns.

    FFmpeg's matrix takes (x, y) to (a x + c y, b x + d y); with the axes' signs it says all eight orientations.
    """
    a, b, c, d = _display_matrix(frame)
    transposed = abs(b) > abs(a)
    return Orientation(transposed, flip_x=(c if transposed else a) < 0, flip_y=(b if transposed else d) < 0)


def _display_matrix(frame: VideoFrame) -> tuple[float, float, float, float]:
    try:
        matrix = frame.side_data.get("DISPLAYMATRIX")
    except ValueError:  # PyAV has no name for another kind of side data (EXIF) and then gives none; the angle it does
        angle = math.radians(frame.rotation)
        return math.cos(angle), -math.sin(angle), math.sin(angle), math.cos(angle)
    if matrix is None:
        return 1, 0, 0, 1
    values = np.frombuffer(bytes(cast("SideData", matrix)), np.int32)
    return float(values[0]), float(values[1]), float(values[3]), float(values[4])


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"

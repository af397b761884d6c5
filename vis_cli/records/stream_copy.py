"""Copy of an H.264 stream into MP4 without encoding, if browsers show exactly the frames that `vis` decodes.

Used by `report.preview`. Each other stream is encoded again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import accumulate, pairwise
from pathlib import Path

import av
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from vis_cli.files.atomic import atomic_path
from vis_cli.records.coded_frame import ENCODER_FORMAT, FULL_RANGE, CodedFrame
from vis_cli.records.container import as_fraction, opened_video
from vis_cli.records.video import Video, frame_times
from vis_cli.records.video_file import VideoFile

CONTAINER = "mov"  # also MP4. Other formats lack timestamps; Matroska stores no decoding timestamps
PROFILES = frozenset({"Baseline", "Constrained Baseline", "Main", "High"})  # that all browsers decode
MAX_KEY_DISTANCE = 120  # frames; a browser decodes all frames from the codec key frame to show one
MAX_BITS_PER_SECOND = 2_000_000  # a larger stream is encoded again, so that pages stay small
IDR = 5  # NAL unit type of a codec key frame that no later frame looks behind
AVCC_LENGTH = 4  # index of the byte of avcC that contains the size of the lengths of NAL units


@dataclass(frozen=True, slots=True)
class CodedPacket:
    """Timestamps of a packet, in units of the time base of its stream."""

    pts: int
    dts: int
    is_key: bool


@dataclass(slots=True)
class StreamCopy:
    """A stream that can be copied if `add` gets the frame of each packet.

    Attributes:
        path: The source.
        number: Index among the video streams of the source, None for the best stream.
        packets: Packets in decoding order.
        time_base: Unit of the timestamps in seconds.
    """

    path: Path
    number: int | None
    packets: list[CodedPacket]
    time_base: Fraction
    _decoded: list[int | None] = field(default_factory=list)  # timestamps of the frames; None: the frame is unusual

    def add(self, frame: CodedFrame) -> None:
        """Record the next decoded frame."""
        coded = frame.frame
        is_usual = frame.encoder_matrix is not None and coded.format.name == ENCODER_FORMAT
        is_usual &= not coded.is_corrupt and not coded.interlaced_frame and coded.color_range != FULL_RANGE
        self._decoded.append(coded.pts if is_usual else None)

    def is_exact(self, video: Video) -> bool:
        """Return whether each packet is one frame of the video, with its timestamp. Call it after all frames."""
        pts = sorted(packet.pts for packet in self.packets)
        times = [float((value - pts[0]) * self.time_base) for value in pts]
        known = frame_times(video, len(pts)) if self._decoded == pts else ()
        return bool(known) and all(abs(time - now + known[0]) < 1e-9 for time, now in zip(times, known, strict=True))

    def write(self, path: Path) -> bool:
        """Write the stream, whose first frame gets the timestamp 0. Return whether the file has the same timestamps.

        Raises:
            VisError: The source cannot be read, or the file cannot be written.
        """
        origin = min(packet.pts for packet in self.packets)
        try:
            with (
                opened_video(self.path, threads=1, number=self.number) as (container, stream),
                atomic_path(path) as temporary,
            ):
                options = {"movflags": "+faststart"}
                with av.open(str(temporary.absolute()), "w", format="mp4", options=options) as output:
                    target = output.add_stream_from_template(stream, opaque=True)
                    for packet in _iter_packets(container, stream):
                        packet.pts, packet.dts = (packet.pts or 0) - origin, (packet.dts or 0) - origin
                        packet.stream = target
                        output.mux(packet)
            return self._is_in(path)
        except av.FFmpegError:  # timestamps that MP4 cannot store
            return False

    def _is_in(self, path: Path) -> bool:
        """Return whether a file has the same packets at the same times, counted from the first frame."""
        origin = min(packet.pts for packet in self.packets)
        with opened_video(path, threads=1) as (container, stream):
            base = as_fraction(stream.time_base) or Fraction(0)
            written = [(packet.pts or 0, packet.is_keyframe) for packet in _iter_packets(container, stream)]
        expected = [((packet.pts - origin) * self.time_base, packet.is_key) for packet in self.packets]
        return [(pts * base, is_key) for pts, is_key in written] == expected


def plan_copy(video: Video, max_lines: int) -> StreamCopy | None:
    """Return the copy of the stream of a complete video file, or None if the stream must be encoded again.

    Args:
        video: The video.
        max_lines: Maximum short side in pixels.

    Raises:
        VisError: The file cannot be read.
    """
    if not isinstance(video, VideoFile) or min(video.width, video.height) > max_lines:
        return None
    with opened_video(video.path, threads=1, number=video.stream) as (container, stream):
        time_base = as_fraction(stream.time_base)
        if time_base is None or not _is_usual(container, stream):
            return None
        length_bytes = (stream.codec_context.extradata or bytes(5))[AVCC_LENGTH] % 4 + 1
        packets: list[CodedPacket] = []
        num_bytes = duration = 0
        try:
            for packet in _iter_packets(container, stream):
                if (coded := _coded_packet(packet, length_bytes)) is None:
                    return None
                packets.append(coded)
                num_bytes += packet.size
                duration += packet.duration or 0
        except av.FFmpegError:
            return None
    max_bits = MAX_BITS_PER_SECOND * max(Fraction(1), duration * time_base)
    if not packets or num_bytes * 8 > max_bits or not _can_seek(packets):
        return None
    return StreamCopy(video.path, video.stream, packets, time_base)


def _is_usual(container: InputContainer, stream: VideoStream) -> bool:
    """Return whether all browsers decode the stream, and its parameters are in front of it (avcC)."""
    context = stream.codec_context
    has_parameters = (context.extradata or b"").startswith(b"\x01") and len(context.extradata or b"") > AVCC_LENGTH
    is_known = CONTAINER in container.format.name.split(",")
    is_even = context.width % 2 == context.height % 2 == 0
    is_usual = context.name == "h264" and context.profile in PROFILES and context.pix_fmt == ENCODER_FORMAT
    return is_known and is_usual and is_even and has_parameters


def _coded_packet(packet: Packet[VideoStream], length_bytes: int) -> CodedPacket | None:
    """Return the timestamps of a packet. None: the packet is not shown, damaged, or does not stand for one frame."""
    if packet.pts is None or packet.dts is None or not packet.duration or packet.is_discard or packet.is_corrupt:
        return None
    if packet.has_sidedata("new_extradata") or (packet.is_keyframe and not _has_idr(bytes(packet), length_bytes)):
        return None
    return CodedPacket(packet.pts, packet.dts, packet.is_keyframe)


def _has_idr(data: bytes, length_bytes: int) -> bool:
    """Return whether a packet of NAL units with their lengths contains a slice of an IDR frame."""
    position = 0
    while position + length_bytes < len(data):
        length = int.from_bytes(data[position : position + length_bytes], "big")
        if data[position + length_bytes] & 0x1F == IDR:
            return True
        position += length_bytes + length
    return False


def _can_seek(packets: list[CodedPacket]) -> bool:
    """Return whether each frame can be decoded from a codec key frame close before it, also in display order."""
    if not packets[0].is_key or any(packet.pts < packet.dts for packet in packets):
        return False
    if any(later.dts <= earlier.dts for earlier, later in pairwise(packets)):
        return False
    highest = list(accumulate((packet.pts for packet in packets), max))
    lowest = list(accumulate((packet.pts for packet in reversed(packets)), min))[::-1]
    keys = [index for index, packet in enumerate(packets) if packet.is_key]
    is_closed = all(lowest[key] == packets[key].pts and (key == 0 or highest[key - 1] < lowest[key]) for key in keys)
    return is_closed and all(end - start <= MAX_KEY_DISTANCE for start, end in pairwise([*keys, len(packets)]))


def _iter_packets(container: InputContainer, stream: VideoStream) -> Iterator[Packet[VideoStream]]:
    return (packet for packet in container.demux(stream) if packet.size)

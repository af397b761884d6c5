"""Frames into an MP4 that browsers play, with the timing and the sound of the video they were made from.

Used by the commands through `video.write_video`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Protocol

import av
import cv2
import numpy as np
from av.container import OutputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from vis_cli.errors import VisError
from vis_cli.files.atomic import atomic_path, write_error
from vis_cli.records.audio import AudioWriter
from vis_cli.records.container import best_audio_stream, opened_container
from vis_cli.records.timestamps import ClockSegment

# crf and preset: looks like the source, and a short lookahead keeps memory low. bf: no B-frames, since MP4 keeps
# durations in the order of decoding, so that only without them the last frame's is the last one's.
ENCODER_OPTIONS = {"crf": "20", "preset": "veryfast", "bf": "0"}
MP4_OPTIONS = {"movflags": "+faststart"}  # the index first, so that browsers play while they load
BT709 = 1  # ITU-T H.273, of primaries, transfer and matrix alike: the colours players assume
LIMITED_RANGE = 1  # FFmpeg's AVCOL_RANGE_MPEG
MAX_H264_SIDE = 16_384  # pixels; libx264's limit
FINEST_TIME_BASE = Fraction(1, 1_000_000)  # finer ticks overflow MP4's 32 bits a frame


class TimedSource(Protocol):
    """What a video must tell for another one to be written in its time."""

    @property
    def path(self) -> Path:
        """Return the file or folder it is read from."""

    @property
    def width(self) -> int:
        """Return the width in pixels as displayed."""

    @property
    def height(self) -> int:
        """Return the height in pixels as displayed."""

    @property
    def fps(self) -> float:
        """Return the mean number of frames a second."""

    @property
    def has_audio(self) -> bool:
        """Return whether there is sound."""

    @property
    def time_base(self) -> Fraction:
        """Return the seconds of a tick."""

    @property
    def pixel_aspect(self) -> Fraction:
        """Return the width of a pixel as shown, divided by its height."""

    @property
    def clock_segments(self) -> Sequence[ClockSegment]:
        """Return the parts of the source between jumps of its clock; complete after one full iteration."""

    @property
    def warnings(self) -> list[str]:
        """Return the list of what a user should know; what the audio loses is appended."""

    def settle_times(self) -> None:
        """Make the times and `clock_segments` final before frames are written; this may decode the source once."""

    def frame_pts(self, number: int) -> int:
        """Return when frame `number` is shown, in ticks; of the number of frames, when the video ends."""


def write_video(path: Path, frames: Iterable[NDArray[np.uint8]], source: TimedSource) -> None:
    """Write (H, W, 3) uint8 RGB frames as H.264 in MP4, frame i shown when the source shows its frame i.

    The file appears when it is whole. Odd sizes are padded to even ones by repeating the last row and column, because
    yuv420p needs it. Of several sound tracks the one that FFmpeg thinks best is kept.

    Raises:
        VisError: H.264 does not allow the size, the output is the source itself, or cannot be written (no
            permission, disk full).
        ValueError: there are no frames, or one is not of the source's size.
    """
    if (problem := overlay_problem(source)) is not None:
        raise VisError(problem)
    try:
        with atomic_path(path) as temporary:
            if path.exists() and path.samefile(source.path):
                raise VisError(f"{path}: this is the input, which is never overwritten; choose another output folder")
            _write_mp4(temporary, frames, source)
    except av.FFmpegError as error:
        raise write_error(path, error) from error


def overlay_problem(source: TimedSource) -> str | None:
    """Return why no overlay of this size can be written, or None."""
    if max(source.width, source.height) <= MAX_H264_SIDE:
        return None
    return (
        f"cannot write an overlay of {source.path}: the frames are {source.width:,}x{source.height:,}, "
        f"the limit of H.264 is {MAX_H264_SIDE:,} pixels per side. Use --no-render."
    )


def _write_mp4(path: Path, frames: Iterable[NDArray[np.uint8]], source: TimedSource) -> None:
    source.settle_times()
    with ExitStack() as stack:
        output = stack.enter_context(av.open(str(path.absolute()), "w", format="mp4", options=MP4_OPTIONS))
        stream = _video_stream(output, source)
        audio = stack.enter_context(_opened_audio(source, output))
        num_frames = 0
        for picture in frames:
            ticks = _ticks(source, num_frames)
            output.mux(stream.encode(_frame(picture, ticks, source)))
            if audio is not None:
                audio.write_until(ticks * _time_base(source))
            num_frames += 1
        if num_frames == 0:
            raise ValueError("there are no frames to write")
        *packets, last = stream.encode(None)
        last.duration = _ticks(source, num_frames) - (last.pts or 0)  # else MP4 ends a mean frame after it
        output.mux([*packets, last])
        if audio is not None:
            audio.write_until()
            if audio.num_dropped:
                count = "1 damaged packet" if audio.num_dropped == 1 else f"{audio.num_dropped} damaged packets"
                source.warnings.append(f"the overlay's audio lacks {count} of the source")


@contextmanager
def _opened_audio(source: TimedSource, output: OutputContainer) -> Iterator[AudioWriter | None]:
    if not source.has_audio:
        yield None
        return
    with opened_container(source.path) as container:
        stream = best_audio_stream(container)
        yield None if stream is None else AudioWriter(container, stream, output, source.clock_segments)


def _video_stream(output: OutputContainer, source: TimedSource) -> VideoStream:
    stream = output.add_stream("libx264", rate=Fraction(source.fps).limit_denominator(1001), options=ENCODER_OPTIONS)
    stream.width, stream.height = _even(source.width), _even(source.height)
    stream.pix_fmt = "yuv420p"
    context = stream.codec_context
    context.thread_type = "AUTO"  # PyAV cuts each frame into slices by default, which costs quality
    context.time_base = _time_base(source)
    context.sample_aspect_ratio = source.pixel_aspect
    context.colorspace = context.color_primaries = context.color_trc = BT709
    return stream


def _frame(picture: NDArray[np.uint8], ticks: int, source: TimedSource) -> VideoFrame:
    """Turn a picture into an encodable frame of even size, shown at `ticks`."""
    if picture.shape != (source.height, source.width, 3):
        raise ValueError(f"a frame is {picture.shape}, the video ({source.height}, {source.width}, 3)")
    frame = VideoFrame.from_ndarray(_padded(picture), format="rgb24")
    frame = frame.reformat(format="yuv420p", dst_colorspace=BT709, dst_color_range=LIMITED_RANGE)
    frame.pts = ticks
    frame.time_base = _time_base(source)
    return frame


def _padded(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = picture.shape[:2]
    bottom, right = _even(height) - height, _even(width) - width
    return cv2.copyMakeBorder(picture, 0, bottom, 0, right, cv2.BORDER_REPLICATE).astype(np.uint8, copy=False)


def _ticks(source: TimedSource, number: int) -> int:
    """Return when frame `number` is shown, in the output's ticks."""
    return round(source.frame_pts(number) * source.time_base / _time_base(source))


def _time_base(source: TimedSource) -> Fraction:
    return max(source.time_base, FINEST_TIME_BASE)


def _even(length: int) -> int:
    return length + length % 2

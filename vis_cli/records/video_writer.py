"""Writer of frames as an MP4 that browsers play, with the timestamps and the audio of the source video.

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

# `crf` and `preset` give the visual quality of the source, with low memory for the lookahead. `bf` disables B-frames:
# MP4 stores durations in decoding order, and the last duration must belong to the last displayed frame.
ENCODER_OPTIONS = {"crf": "20", "preset": "veryfast", "bf": "0"}
MP4_OPTIONS = {"movflags": "+faststart"}  # index at the start, so that browsers play during the download
BT709 = 1  # colour primaries, transfer and matrix in ITU-T H.273, which players assume
LIMITED_RANGE = 1  # FFmpeg's AVCOL_RANGE_MPEG
MAX_H264_SIDE = 16_384  # pixels; limit of libx264
FINEST_TIME_BASE = Fraction(1, 1_000_000)  # a finer time base overflows the 32 bits of a duration in MP4


class TimedSource(Protocol):
    """Properties of a source video that `write_video` needs."""

    @property
    def path(self) -> Path:
        """Return the file or folder of the video."""

    @property
    def width(self) -> int:
        """Return the displayed width in pixels."""

    @property
    def height(self) -> int:
        """Return the displayed height in pixels."""

    @property
    def fps(self) -> float:
        """Return the mean number of frames per second."""

    @property
    def has_audio(self) -> bool:
        """Return whether the video has an audio stream."""

    @property
    def time_base(self) -> Fraction:
        """Return the unit of timestamps in seconds."""

    @property
    def span(self) -> tuple[Fraction, Fraction] | None:
        """Return the timestamps of the start and the end of a part, in seconds, or None for a complete video.

        The start becomes 0 in the written video.
        """

    @property
    def pixel_aspect(self) -> Fraction:
        """Return the displayed width of a pixel divided by its height."""

    @property
    def clock_segments(self) -> Sequence[ClockSegment]:
        """Return the parts of the source between jumps of its clock. The list is complete after one full iteration."""

    @property
    def warnings(self) -> list[str]:
        """Return the warnings for the user. `write_video` appends a warning for dropped audio."""

    def settle_times(self) -> None:
        """Make the timestamps and `clock_segments` final. This can decode the source once."""

    def frame_pts(self, number: int) -> int:
        """Return the timestamp of frame `number` in units of `time_base`. For `num_frames`, return the video's end."""


def write_video(
    path: Path, frames: Iterable[NDArray[np.uint8]], source: TimedSource, *, comment: str | None = None
) -> None:
    """Write frames as H.264 in MP4, with the timestamps and the best audio stream of the source.

    The file is written atomically. An odd width or height is padded to an even one by repeating the last column or
    row, because yuv420p requires it.

    Args:
        path: The file to write.
        frames: (H, W, 3) uint8 RGB frames in the size of the source. Frame i has the timestamp of frame i of the
            source.
        source: The source video.
        comment: Comment in the metadata of the file. None writes no comment.

    Raises:
        VisError: H.264 does not allow the size, the output is the source itself, or the file cannot be written (no
            permission, disk full).
        ValueError: There are no frames, or the size of a frame is not the size of the source.
    """
    if (problem := overlay_problem(source)) is not None:
        raise problem
    try:
        with atomic_path(path) as temporary:
            if path.exists() and path.samefile(source.path):
                hint = "Use another output folder."
                raise VisError(f"cannot write {path}: the file is the input, which is never overwritten", hint=hint)
            _write_mp4(temporary, frames, source, comment)
    except av.FFmpegError as error:
        raise write_error(path, error) from error


def overlay_problem(source: TimedSource) -> VisError | None:
    """Return the error for a source whose overlay video cannot be written because of its size, or None."""
    if max(source.width, source.height) <= MAX_H264_SIDE:
        return None
    size = f"the frames are {source.width:,}x{source.height:,}, the limit of H.264 is {MAX_H264_SIDE:,} pixels per side"
    return VisError(f"cannot write an overlay of {source.path}: {size}", hint="Use --no-render.")


def _write_mp4(path: Path, frames: Iterable[NDArray[np.uint8]], source: TimedSource, comment: str | None) -> None:
    source.settle_times()
    start = Fraction(0) if source.span is None else source.span[0]
    with ExitStack() as stack:
        output = stack.enter_context(av.open(str(path.absolute()), "w", format="mp4", options=MP4_OPTIONS))
        if comment is not None:
            output.metadata["comment"] = comment
        stream = _video_stream(output, source)
        audio = stack.enter_context(_opened_audio(source, output))
        num_frames = 0
        for image in frames:
            ticks = _ticks(source, num_frames, start)
            output.mux(stream.encode(_frame(image, ticks, source)))
            if audio is not None:
                audio.write_until(ticks * _time_base(source))
            num_frames += 1
        if num_frames == 0:
            raise ValueError("there are no frames to write")
        *packets, last = stream.encode(None)
        last.duration = _ticks(source, num_frames, start) - (last.pts or 0)  # otherwise MP4 uses the mean duration
        output.mux([*packets, last])
        if audio is not None:
            audio.write_until()
            if audio.num_dropped:
                count = "1 damaged packet" if audio.num_dropped == 1 else f"{audio.num_dropped} damaged packets"
                source.warnings.append(f"the audio of the overlay video lacks {count} of the source")


@contextmanager
def _opened_audio(source: TimedSource, output: OutputContainer) -> Iterator[AudioWriter | None]:
    if not source.has_audio:
        yield None
        return
    with opened_container(source.path) as container:
        stream = best_audio_stream(container)
        yield None if stream is None else AudioWriter(container, stream, output, source.clock_segments, source.span)


def _video_stream(output: OutputContainer, source: TimedSource) -> VideoStream:
    stream = output.add_stream("libx264", rate=Fraction(source.fps).limit_denominator(1001), options=ENCODER_OPTIONS)
    stream.width, stream.height = _even(source.width), _even(source.height)
    stream.pix_fmt = "yuv420p"
    context = stream.codec_context
    context.thread_type = "AUTO"  # by default PyAV splits each frame into slices, which reduces the quality
    context.time_base = _time_base(source)
    context.sample_aspect_ratio = source.pixel_aspect
    context.colorspace = context.color_primaries = context.color_trc = BT709
    return stream


def _frame(image: NDArray[np.uint8], ticks: int, source: TimedSource) -> VideoFrame:
    """Convert an RGB frame to a frame for the encoder with an even size and the timestamp `ticks`."""
    if image.shape != (source.height, source.width, 3):
        raise ValueError(f"a frame is {image.shape}, the video ({source.height}, {source.width}, 3)")
    frame = VideoFrame.from_ndarray(_padded(image), format="rgb24")
    frame = frame.reformat(format="yuv420p", dst_colorspace=BT709, dst_color_range=LIMITED_RANGE)
    frame.pts = ticks
    frame.time_base = _time_base(source)
    return frame


def _padded(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = image.shape[:2]
    bottom, right = _even(height) - height, _even(width) - width
    return cv2.copyMakeBorder(image, 0, bottom, 0, right, cv2.BORDER_REPLICATE).astype(np.uint8, copy=False)


def _ticks(source: TimedSource, number: int, start: Fraction) -> int:
    """Return the timestamp of frame `number`, counted from `start` seconds, in units of the output's time base."""
    return round((source.frame_pts(number) * source.time_base - start) / _time_base(source))


def _time_base(source: TimedSource) -> Fraction:
    return max(source.time_base, FINEST_TIME_BASE)


def _even(length: int) -> int:
    return length + length % 2

"""Writer of frames as a video file, with the timestamps and the audio of the source video.

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
from av.codec.codec import UnknownCodecError
from av.container import OutputContainer
from av.packet import Packet
from av.video.frame import PictureType, VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray

from vis_cli.errors import VisError
from vis_cli.files.atomic import atomic_path, write_error
from vis_cli.records.audio import AudioWriter
from vis_cli.records.container import best_audio_stream, opened_container
from vis_cli.records.timestamps import ClockSegment
from vis_cli.records.video_formats import BT709, H264, LIVE_H264, VideoFormat

TEN_BITS = "10le"  # end of the name of FFmpeg's formats with 10 bits
SAFE_WIDTH = 32  # FFmpeg's conversion of other widths to 10 bits writes random values into some pixels
LIMITED_RANGE = 1  # FFmpeg's AVCOL_RANGE_MPEG
PIXEL_FORMATS = {(3,): "rgb24", (4,): "rgba", (): "gray"}  # by the shape of a pixel
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
    path: Path,
    frames: Iterable[NDArray[np.uint8] | VideoFrame],
    source: TimedSource,
    *,
    video_format: VideoFormat = H264,
    comment: str | None = None,
) -> None:
    """Write frames as a video, with the timestamps and the best audio stream of the source.

    The file is written atomically. For H.264, an odd width or height is padded to an even one by repeating the last
    column or row, because yuv420p requires it. For VP9, frames with other pixels than square ones are enlarged.

    Args:
        path: The file to write.
        frames: uint8 frames in the size of the source: (H, W, 3) RGB, (H, W, 4) RGB and alpha, or (H, W) grey.
            Frame i has the timestamp of frame i of the source. A frame of PyAV is encoded without conversion. It has
            the pixels, the matrix and the size of the written video.
        source: The source video.
        video_format: Container and codec. The default is H.264 in MP4, which browsers play.
        comment: Comment in the metadata of the file. None writes no comment.

    Raises:
        VisError: The codec does not allow the size, the FFmpeg libraries have no encoder for it, the output is the
            source itself, or the file cannot be written (no permission, disk full).
        ValueError: There are no frames, or the size of a frame is not the size of the source.
    """
    if (problem := size_problem(source, video_format)) is not None:
        raise VisError(f"cannot write {path}: {problem}", hint=video_format.remedy)
    try:
        with atomic_path(path) as temporary:
            if path.exists() and path.samefile(source.path):
                hint = "Use another output folder."
                raise VisError(f"cannot write {path}: the file is the input, which is never overwritten", hint=hint)
            _write_file(temporary, frames, source, video_format, comment)
    except UnknownCodecError as error:
        problem = f"cannot write {path}: the FFmpeg libraries of PyAV have no encoder {error}"
        raise VisError(problem, hint=video_format.remedy) from error
    except av.FFmpegError as error:
        raise write_error(path, error) from error


class FragmentWriter:
    """Writer of H.264 in fragmented MP4: the file plays while it is written, and after its process has ended.

    Use it as a context manager. The file has its final name from the start.
    """

    def __init__(self, path: Path, source: TimedSource, *, comment: str | None = None) -> None:
        """Create the file, or replace it.

        Args:
            path: The file to write.
            source: The source video. Its audio is not written.
            comment: Comment in the metadata of the file. None writes no comment.

        Raises:
            VisError: H.264 does not allow the size, or the file cannot be written.
        """
        if (problem := overlay_problem(source)) is not None:
            raise problem
        self._path, self._source = path, source
        with self._failures():
            options = dict(LIVE_H264.container_options)
            self._output = av.open(str(path.absolute()), "w", format=LIVE_H264.container, options=options)
            if comment is not None:
                self._output.metadata["comment"] = comment
            self._stream = _video_stream(self._output, source, LIVE_H264)
            self._scaler = VideoReformatter()
            self._stream.codec_context.gop_size = max(1, round(source.fps))
            self._stream.codec_context.thread_type = "SLICE"  # encoders of several frames would keep them
            self._output.start_encoding()
        self._first: float | None = None
        self._last_ticks = -1

    def __enter__(self) -> FragmentWriter:
        """Return the writer."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: object) -> None:
        """Write the last fragment. After an error, ignore that it cannot be written."""
        try:
            with self._failures():
                if self._first is not None:
                    self._output.mux(self._stream.encode(None))
                self._output.close()
        except VisError:
            if kind is None:
                raise

    def write(self, image: NDArray[np.uint8], seconds: float) -> None:
        """Write the next frame.

        Args:
            image: (H, W, 3) uint8 RGB in the size of the source.
            seconds: Its timestamp. The timestamps increase.

        Raises:
            VisError: The file cannot be written.
        """
        self._first = seconds if self._first is None else self._first
        ticks = max(round((seconds - self._first) / _time_base(self._source)), self._last_ticks + 1)
        self._last_ticks = ticks
        with self._failures():
            self._output.mux(self._stream.encode(_frame(image, ticks, self._source, LIVE_H264, self._scaler)))

    @contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except av.FFmpegError as error:
            raise write_error(self._path, error) from error


def overlay_problem(source: TimedSource) -> VisError | None:
    """Return the error for a source whose overlay video cannot be written because of its size, or None."""
    problem = size_problem(source, H264)
    if problem is None:
        return None
    return VisError(f"cannot write an overlay of {source.path}: {problem}", hint="Use --no-render.")


def size_problem(source: TimedSource, video_format: VideoFormat) -> str | None:
    """Return why the codec does not allow the size of the frames, or None."""
    limit = video_format.max_side
    if limit is None or max(source.width, source.height, *_coded_size(source, video_format)) <= limit:
        return None
    size = f"{source.width:,}x{source.height:,}"
    return f"the frames are {size}, the limit of {video_format.codec} is {limit:,} pixels per side"


def _write_file(
    path: Path,
    frames: Iterable[NDArray[np.uint8] | VideoFrame],
    source: TimedSource,
    video_format: VideoFormat,
    comment: str | None,
) -> None:
    source.settle_times()
    start = Fraction(0) if source.span is None else source.span[0]
    options = dict(video_format.container_options)
    with ExitStack() as stack:
        output = stack.enter_context(av.open(str(path.absolute()), "w", format=video_format.container, options=options))
        if comment is not None:
            output.metadata["comment"] = comment
        video = _VideoTrack(output, source, video_format)
        audio = stack.enter_context(_opened_audio(source, output, video_format))
        scaler = VideoReformatter()  # one for all frames, so that it prepares the conversion once
        num_frames = 0
        for image in frames:
            ticks = _ticks(source, num_frames, start)
            video.write(_frame(image, ticks, source, video_format, scaler))
            if audio is not None:
                audio.write_until(ticks * _time_base(source))
            num_frames += 1
        if num_frames == 0:
            raise ValueError("there are no frames to write")
        video.finish(_ticks(source, num_frames, start))
        if audio is not None:
            audio.write_until()
            if audio.num_dropped:
                count = "1 damaged packet" if audio.num_dropped == 1 else f"{audio.num_dropped} damaged packets"
                source.warnings.append(f"the audio of the overlay video lacks {count} of the source")


class _VideoTrack:
    """Encoder of the video stream. It holds back the last packet, whose duration depends on the end of the video."""

    def __init__(self, output: OutputContainer, source: TimedSource, video_format: VideoFormat) -> None:
        self._output = output
        self._stream = _video_stream(output, source, video_format)
        self._last: Packet[VideoStream] | None = None

    def write(self, frame: VideoFrame | None) -> None:
        """Encode a frame. None writes the frames that the encoder still holds."""
        for packet in self._stream.encode(frame):
            if self._last is not None:
                self._output.mux(self._last)
            self._last = packet

    def finish(self, end: int) -> None:
        """Write the remaining packets. The last frame ends at the timestamp `end`."""
        self.write(None)
        if self._last is not None:
            self._last.duration = end - (self._last.pts or 0)  # otherwise MP4 uses the mean duration
            self._output.mux(self._last)


@contextmanager
def _opened_audio(
    source: TimedSource, output: OutputContainer, video_format: VideoFormat
) -> Iterator[AudioWriter | None]:
    if not source.has_audio:
        yield None
        return
    with opened_container(source.path) as container:
        stream = best_audio_stream(container)
        if stream is None:
            yield None
            return
        segments, audio = source.clock_segments, video_format.audio
        yield AudioWriter(container, stream, output, segments, source.span, audio_format=audio)


def _video_stream(output: OutputContainer, source: TimedSource, video_format: VideoFormat) -> VideoStream:
    rate, options = Fraction(source.fps).limit_denominator(1001), dict(video_format.options)
    stream = output.add_stream(video_format.encoder, rate=rate, options=options)
    assert isinstance(stream, VideoStream)
    stream.width, stream.height = _coded_size(source, video_format)
    stream.pix_fmt = video_format.pixels
    context = stream.codec_context
    context.thread_type = "AUTO"  # by default PyAV splits each frame into slices, which reduces the quality
    context.time_base = _time_base(source)
    context.sample_aspect_ratio = Fraction(1) if video_format.is_square else source.pixel_aspect
    context.colorspace = video_format.matrix
    context.color_primaries = context.color_trc = BT709
    return stream


def _frame(
    image: NDArray[np.uint8] | VideoFrame,
    ticks: int,
    source: TimedSource,
    video_format: VideoFormat,
    scaler: VideoReformatter,
) -> VideoFrame:
    """Convert an image to a frame for the encoder with the timestamp `ticks`."""
    frame = image if isinstance(image, VideoFrame) else _pixels_frame(image, source, video_format, scaler)
    if (frame.width, frame.height, frame.format.name) != (*_coded_size(source, video_format), video_format.pixels):
        raise ValueError(f"a frame is {frame}")
    frame.color_primaries = frame.color_trc = BT709  # each frame of ProRes stores them
    frame.pict_type = PictureType.NONE  # a decoded frame would give its type to the encoder
    frame.pts = ticks
    frame.time_base = _time_base(source)
    return frame


def _pixels_frame(
    image: NDArray[np.uint8], source: TimedSource, video_format: VideoFormat, scaler: VideoReformatter
) -> VideoFrame:
    if image.shape[:2] != (source.height, source.width) or image.shape[2:] not in PIXEL_FORMATS:
        raise ValueError(f"a frame is {image.shape}, the video ({source.height}, {source.width}, 3)")
    width, height = _coded_size(source, video_format)
    pixels = np.ascontiguousarray(image) if video_format.is_square else _padded(image, width, height)
    if video_format.pixels.endswith(TEN_BITS) and width % SAFE_WIDTH:
        wide = -(-width // SAFE_WIDTH) * SAFE_WIDTH
        return _cropped(_converted(_padded(pixels, wide, height), wide, height, video_format, scaler), width)
    return _converted(pixels, width, height, video_format, scaler)


def _converted(
    pixels: NDArray[np.uint8], width: int, height: int, video_format: VideoFormat, scaler: VideoReformatter
) -> VideoFrame:
    frame = VideoFrame.from_ndarray(pixels, format=PIXEL_FORMATS[pixels.shape[2:]])
    return scaler.reformat(
        frame,
        width,
        height,
        format=video_format.pixels,
        dst_colorspace=video_format.matrix,
        dst_color_range=LIMITED_RANGE,
    )


def _cropped(frame: VideoFrame, width: int) -> VideoFrame:
    """Return the left part of a frame."""
    cropped = VideoFrame(width, frame.height, frame.format.name)
    for source, target in zip(frame.planes, cropped.planes, strict=True):
        rows = np.frombuffer(bytes(source), np.uint8).reshape(source.height, source.line_size)
        columns = min(source.line_size, target.line_size)
        part = np.zeros((target.height, target.line_size), np.uint8)
        part[:, :columns] = rows[:, :columns]
        target.update(part.tobytes())
    cropped.colorspace, cropped.color_range = frame.colorspace, frame.color_range
    return cropped


def _padded(image: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    bottom, right = height - image.shape[0], width - image.shape[1]
    if not bottom and not right:
        return np.ascontiguousarray(image)
    return cv2.copyMakeBorder(image, 0, bottom, 0, right, cv2.BORDER_REPLICATE).astype(np.uint8, copy=False)


def _ticks(source: TimedSource, number: int, start: Fraction) -> int:
    """Return the timestamp of frame `number`, counted from `start` seconds, in units of the output's time base."""
    return round((source.frame_pts(number) * source.time_base - start) / _time_base(source))


def _time_base(source: TimedSource) -> Fraction:
    return max(source.time_base, FINEST_TIME_BASE)


def _coded_size(source: TimedSource, video_format: VideoFormat) -> tuple[int, int]:
    """Return the width and height in the file."""
    width, height, aspect = source.width, source.height, source.pixel_aspect
    if video_format.is_square and aspect > 1:
        width = round(width * aspect)
    elif video_format.is_square:
        height = round(height / aspect)
    if video_format.is_even:
        width, height = width + width % 2, height + height % 2
    return width, height

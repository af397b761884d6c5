"""The video of a report page: H.264 of at most 480 lines without audio, whose frames have the times of the source.

Used by `commands.report`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from pathlib import Path

import cv2
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from vis_cli.errors import VisError
from vis_cli.records.coded_frame import CodedFrame
from vis_cli.records.report.facts import ReportFacts
from vis_cli.records.report.thumbnails import Thumbnails
from vis_cli.records.stream_copy import plan_copy
from vis_cli.records.timestamps import ClockSegment
from vis_cli.records.types import VideoInfo
from vis_cli.records.video import Video, frame_times, iter_readers, write_video
from vis_cli.records.video_formats import H264, VideoFormat
from vis_cli.records.video_part import ReadFrame

MAX_LINES = 480  # short side of the preview
# A codec key frame every 24 frames makes seeking fast: a browser decodes at most 24 frames.
PREVIEW = dataclasses.replace(H264, options={"crf": "27", "preset": "ultrafast", "bf": "0", "g": "24", "a53cc": "0"})


@dataclass(frozen=True, slots=True)
class Preview:
    """The written video, and the images that were cut from its source.

    Attributes:
        path: The file.
        times: Time of each frame in the file, in seconds.
        aspect: Displayed width of the video divided by its height.
        images: Thumbnail of each instance as a data URL, by id.
        poster: One frame with masks as a data URL.
    """

    path: Path
    times: tuple[float, ...]
    aspect: float
    images: dict[int, str]
    poster: str | None


class ScaledSource:
    """A source in the size of the preview, without its audio."""

    has_audio = False
    span = None  # the preview begins with the first frame of a part
    clock_segments: Sequence[ClockSegment] = ()

    def __init__(self, video: Video, video_format: VideoFormat = PREVIEW) -> None:
        self._video = video
        self.video_format = video_format
        self._scaler = VideoReformatter()
        scale = min(1.0, MAX_LINES / min(video.width, video.height))
        self.width, self.height = (max(2, round(side * scale / 2) * 2) for side in (video.width, video.height))
        self.path, self.fps = video.path, video.fps
        self.warnings: list[str] = []

    @property
    def time_base(self) -> Fraction:
        """Return the unit of timestamps in seconds."""
        return self._video.time_base

    @property
    def pixel_aspect(self) -> Fraction:
        """Return the displayed width of a pixel divided by its height."""
        return self._video.pixel_aspect

    def settle_times(self) -> None:
        """Make the timestamps final."""
        self._video.settle_times()

    def frame_pts(self, number: int) -> int:
        """Return the timestamp of frame `number` in units of `time_base`. The first frame has 0."""
        return self._video.frame_pts(number) - self._video.frame_pts(0)

    def fit(self, read: ReadFrame) -> NDArray[np.uint8] | VideoFrame:
        """Return a frame in the size of the preview. Most frames of files are not converted to RGB."""
        if isinstance(read, CodedFrame) and read.encoder_matrix == self.video_format.matrix:
            return read.for_encoder(self.width, self.height, self._scaler)
        frame, size = read(), (self.width, self.height)
        if (frame.shape[1], frame.shape[0]) == size:
            return frame
        return np.asarray(cv2.resize(frame, size, interpolation=cv2.INTER_AREA), np.uint8)


def write_preview(facts: ReportFacts, video: Video, path: Path, progress: Callable[[str, int, int], None]) -> Preview:
    """Write the preview of a video, and cut the thumbnails. The stream of a usual small video is copied.

    Raises:
        VisError: The video has another size or number of frames than the result, or cannot be decoded or written.
    """
    info = facts.result.video
    has, needs = f"{video.width}x{video.height}", f"{info.width}x{info.height}"
    if has != needs:
        raise VisError(f"cannot show {video.path}: frames of {has}, but the result has {needs}")
    thumbnails = Thumbnails(facts)
    video.settle_times()
    if not _copy(video, path, _checked(video, info, thumbnails, progress)):
        _encode(video, path, _checked(video, info, thumbnails, progress))
    times = frame_times(video, info.num_frames)
    aspect = float(video.width * video.pixel_aspect / video.height)
    return Preview(path, tuple(time - times[0] for time in times), aspect, thumbnails.images, thumbnails.poster)


def _checked(
    video: Video, info: VideoInfo, thumbnails: Thumbnails, progress: Callable[[str, int, int], None]
) -> Iterator[ReadFrame]:
    """Yield the frames, cut the thumbnails, and check the number of frames. The video is decoded once."""
    done = 0
    for done, read in enumerate(iter_readers(video), start=1):
        if done > info.num_frames:
            break
        if thumbnails.needs(done - 1):
            thumbnails.add(read(), done - 1)
        yield read
        progress("report", done, info.num_frames)
    if done != info.num_frames:
        count = f"more than {info.num_frames}" if done > info.num_frames else str(done)
        raise VisError(f"cannot show {video.path}: it has {count} frames, but the result has {info.num_frames}")


def _copy(video: Video, path: Path, frames: Iterator[ReadFrame]) -> bool:
    """Copy the stream of the video. Return whether the copy shows exactly the frames of the video."""
    copy = plan_copy(video, MAX_LINES)
    if copy is None:
        return False
    for read in frames:
        assert isinstance(read, CodedFrame)
        copy.add(read)
    return copy.is_exact(video) and copy.write(path)


def _encode(video: Video, path: Path, frames: Iterator[ReadFrame]) -> None:
    first = next(frames)
    matrix = first.encoder_matrix if isinstance(first, CodedFrame) else None
    source = ScaledSource(video, PREVIEW if matrix is None else dataclasses.replace(PREVIEW, matrix=matrix))
    fitted = (source.fit(read) for read in chain((first,), frames))
    write_video(path, fitted, source, video_format=source.video_format)

"""Videos from files and folders of images, with the same interface: size, frame rate, and RGB frames by index.

Used by the engine and the commands. It also exports `find_inputs` and `write_video`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from vis_cli.errors import VisError
from vis_cli.files.reading import read_error
from vis_cli.records.frame_folder import FOLDER_FPS, FrameFolder
from vis_cli.records.inputs import find_inputs
from vis_cli.records.media_folder import IMAGE_SUFFIXES, require_readable_suffix
from vis_cli.records.part import Given, PartRequest, VideoPart, make_request
from vis_cli.records.source_identity import identify_source
from vis_cli.records.types import SourceIdentity, VideoInfo
from vis_cli.records.video_file import VideoFile
from vis_cli.records.video_part import PartVideo, ReadFrame
from vis_cli.records.video_writer import TimedSource, overlay_problem, write_video

__all__ = [
    "Video",
    "find_inputs",
    "frame_times",
    "iter_readers",
    "open_part",
    "open_segmented",
    "open_video",
    "overlay_problem",
    "source_of",
    "write_video",
]


class Video(TimedSource, Protocol):
    """An opened video. `TimedSource` adds the properties that `write_video` needs."""

    @property
    def name(self) -> str:
        """Return the name of its result: the name of the file without extension, or the name of the folder."""

    @property
    def frame_names(self) -> tuple[str, ...] | None:
        """Return the file name of each frame for a folder of images, and None for a file."""

    @property
    def num_frames(self) -> int | None:
        """Return the number of frames. It is exact after one full iteration; before, it is an estimate or None."""

    @property
    def part(self) -> VideoPart | None:
        """Return the frames of the part, or None for a complete video. This can decode a file up to the part's end."""

    @property
    def warnings(self) -> list[str]:
        """Return warnings for the user about damaged or unused parts of the input, and about assumptions.

        The list is complete after one full iteration.
        """

    def count_frames(self) -> int:
        """Return the exact number of frames. This decodes the video, if it was not decoded completely before."""

    def iter_frames(self) -> Iterator[NDArray[np.uint8]]:
        """Yield the frames as (H, W, 3) uint8 RGB. Each iteration yields the same pixels."""


def source_of(video: Video) -> SourceIdentity | None:
    """Return the identity of the file or folder of a video. None: its frames do not come from `open_video`.

    Raises:
        VisError: The file or folder cannot be read.
    """
    complete = video.source if isinstance(video, PartVideo) else video
    if not isinstance(complete, (FrameFolder, VideoFile)):
        return None
    stream = complete.stream if isinstance(complete, VideoFile) else None
    return dataclasses.replace(identify_source(complete.path), stream=stream)


def frame_times(video: Video, num_frames: int) -> tuple[float, ...]:
    """Return the timestamp of each frame in seconds. Call it after one full iteration."""
    return tuple(float(video.frame_pts(number) * video.time_base) for number in range(num_frames))


def iter_readers(video: Video) -> Iterator[ReadFrame]:
    """Yield a function per frame that returns its pixels before the next step. Frames of a file are `CodedFrame`s."""
    if isinstance(video, PartVideo):
        yield from video.iter_readers()
    elif isinstance(video, (FrameFolder, VideoFile)):
        for _, read in video.iter_until(lambda number: False, None):
            yield read
    else:
        for frame in video.iter_frames():
            yield partial(np.asarray, frame)


def open_video(
    path: Path | str,
    *,
    folder_fps: float = FOLDER_FPS,
    stream: int | None = None,
    start: Given = None,
    end: Given = None,
    every: int = 1,
) -> Video:
    """Open a video file, a folder of images or one image. Frames are decoded by `iter_frames`.

    `start`, `end` and `every` select a part: every n-th frame from `start` to before `end`. A position is a frame
    number (int), seconds (float), or a string: "120", "5s", "5.5", "1:20" or "0:01:20.5".

    Args:
        path: The file or folder.
        folder_fps: Frames per second of a folder of images.
        stream: Index among the video streams of a file. None lets FFmpeg choose the best video stream.
        start: Start of the part. None: the start of the video.
        end: First position after the part. None: the end of the video.
        every: Distance of the frames of the part, at least 1. The part contains its first frame.

    Raises:
        VisError: The part is invalid.
        VisError: The path is missing, empty, or neither a video nor a folder of images, or its first frame cannot be
            decoded.
    """
    request = make_request(start, end, every)
    return open_part(Path(path), request, folder_fps=folder_fps, stream=stream)


def open_part(
    path: Path, request: PartRequest | None, *, folder_fps: float = FOLDER_FPS, stream: int | None = None
) -> Video:
    """Open a part of a video, or the complete video if `request` is None. See `open_video`."""
    video = _open(path, folder_fps=folder_fps, stream=stream)
    return video if request is None else PartVideo(video, request)


def open_segmented(path: Path, info: VideoInfo) -> Video:
    """Open the video of a result: the same stream and the same part. See `open_video`."""
    video = _open(path, stream=None if info.source is None else info.source.stream)
    return video if info.part is None else PartVideo(video, info.part.request, info.part)


def _open(path: Path, *, folder_fps: float = FOLDER_FPS, stream: int | None = None) -> FrameFolder | VideoFile:
    try:
        if path.is_dir() or path.suffix.lower() in IMAGE_SUFFIXES:
            if stream is not None:
                problem = f"cannot read video stream {stream} of {path}: images have no streams"
                raise VisError(problem, hint="Omit --stream.")
            return FrameFolder(path, fps=folder_fps)
        require_readable_suffix(path)
        return VideoFile(path, stream=stream)
    except OSError as error:
        raise read_error(path, error) from error

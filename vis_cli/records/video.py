"""A video as everything above sees it: a size, a rate, and RGB frames by number, from a file or a folder of images.

Used by the engine and the commands; the doors to `inputs` and `video_writer` are here too.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from vis_cli.errors import VisError
from vis_cli.records.frame_folder import FOLDER_FPS, FrameFolder
from vis_cli.records.inputs import find_inputs
from vis_cli.records.media_folder import IMAGE_SUFFIXES, require_readable_suffix
from vis_cli.records.video_file import VideoFile
from vis_cli.records.video_writer import TimedSource, overlay_problem, write_video

__all__ = ["Video", "find_inputs", "frame_times", "open_video", "overlay_problem", "write_video"]


class Video(TimedSource, Protocol):
    """What an opened video offers, beside the timing that `write_video` needs of it."""

    @property
    def name(self) -> str:
        """Return the name results are filed under: the file's without suffix, or the folder's."""

    @property
    def frame_names(self) -> tuple[str, ...] | None:
        """Return the file name of each frame of a folder of images; None for a file."""

    @property
    def num_frames(self) -> int | None:
        """Return the number of frames: exact after one full iteration, until then a guess or None."""

    @property
    def warnings(self) -> list[str]:
        """Return what a user should know: what did not decode, was not used or was assumed.

        The list is complete after one full iteration.
        """

    def count_frames(self) -> int:
        """Return the exact number of frames, decoding the video for it unless that has been done."""

    def iter_frames(self) -> Iterator[NDArray[np.uint8]]:
        """Yield the frames as (H, W, 3) uint8 RGB. Each iteration yields the same images."""


def frame_times(video: Video, num_frames: int) -> tuple[float, ...]:
    """Return when each frame is shown, in seconds; call it after one full iteration."""
    return tuple(float(video.frame_pts(number) * video.time_base) for number in range(num_frames))


def open_video(path: Path, *, folder_fps: float = FOLDER_FPS, stream: int | None = None) -> Video:
    """Open a video file, a folder of images or one image; frames are decoded when they are asked for.

    Args:
        path: The file or folder.
        folder_fps: Frames per second of a folder of images.
        stream: Index among the video streams of a file; None is the one that FFmpeg ranks best.

    Raises:
        VisError: it is missing, empty, no video and no folder of images, or its first frame cannot be had.
    """
    try:
        if path.is_dir() or path.suffix.lower() in IMAGE_SUFFIXES:
            if stream is not None:
                raise VisError(f"cannot read video stream {stream} of {path}: images have no streams. Omit --stream.")
            return FrameFolder(path, fps=folder_fps)
        require_readable_suffix(path)
        return VideoFile(path, stream=stream)
    except OSError as error:
        raise VisError(f"{path}: cannot be read ({error.strerror})") from error

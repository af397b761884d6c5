"""Length of a video from its header, without decoding a frame. Used by `vis batch` for estimates and time limits."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from av.container import InputContainer
from av.video.stream import VideoStream

from vis_cli.records.container import MICROSECOND, as_fraction, opened_video
from vis_cli.records.frame_folder import FOLDER_FPS
from vis_cli.records.media_folder import IMAGE_SUFFIXES, image_files, require_readable_suffix
from vis_cli.records.part import MICROSECONDS, PartRequest, Position
from vis_cli.records.video_file import frame_rate


@dataclass(frozen=True, slots=True)
class HeaderLength:
    """Number of frames of a video or of a part."""

    num_frames: int
    is_estimated: bool  # from duration and frame rate, because the header has no number of frames


def read_length(path: Path, request: PartRequest | None, *, stream: int | None = None) -> HeaderLength | None:
    """Return the length in the header of a file, or the number of images in a folder. None: it is unknown.

    Raises:
        VisError: The file cannot be opened.
        OSError: The folder cannot be read.
    """
    total: int | None
    rate, is_estimated = Fraction(FOLDER_FPS), False
    if path.is_dir():
        total = len(image_files(path))
    elif path.suffix.lower() in IMAGE_SUFFIXES:
        total = 1
    else:
        require_readable_suffix(path)
        with opened_video(path, threads=1, number=stream) as (container, chosen):
            rate = frame_rate(chosen)
            total, is_estimated = _length_of(container, chosen, rate)
    if request is not None:
        total = _length_of_part(total, rate, request)
        is_estimated = is_estimated or request.uses_times
    return HeaderLength(total, is_estimated) if total else None


def _length_of(container: InputContainer, stream: VideoStream, rate: Fraction) -> tuple[int | None, bool]:
    """Return the number of frames, and whether it is estimated."""
    if stream.frames > 0:
        return stream.frames, False
    time_base = as_fraction(stream.time_base)
    if stream.duration is not None and time_base is not None:
        return round(stream.duration * time_base * rate), True
    return None if container.duration is None else round(container.duration * MICROSECOND * rate), True


def _length_of_part(total: int | None, rate: Fraction, request: PartRequest) -> int | None:
    """Return the number of frames of a part. Times are converted with the mean frame rate."""

    def index(position: Position) -> int:
        return math.ceil(position.value * rate / MICROSECONDS) if position.is_time else position.value

    ends = [end for end in (total, None if request.end is None else index(request.end)) if end is not None]
    if not ends:
        return None
    first = 0 if request.start is None else index(request.start)
    return len(range(first, min(ends), request.every))

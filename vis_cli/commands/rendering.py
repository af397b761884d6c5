"""Drawing of the frames of a result, with checks of the video. `vis segment` also uses `write_overlay`.

Used by `render` and `batch`.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vis_cli.errors import VisError
from vis_cli.files.atomic import atomic_path
from vis_cli.records.overlay import OverlayPainter
from vis_cli.records.png_sequence import encode_image, png_names, write_png_sequence
from vis_cli.records.read_ahead import read_ahead
from vis_cli.records.renderings.contact_sheet import ContactSheet
from vis_cli.records.renderings.painter import Painter
from vis_cli.records.types import InstanceSequence, VideoResult
from vis_cli.records.video import Video, write_video
from vis_cli.records.video_formats import H264, PRORES, PRORES_ALPHA, VP9, VP9_ALPHA

ShowProgress = Callable[[str, int, int], None]

MOV, WEBM, PNG = ".mov", ".webm", ".png"
FRAMES_AHEAD = 2  # drawn frames that wait for the encoder


def write_overlay(
    result: VideoResult,
    video: Video,
    path: Path,
    *,
    instances: Sequence[InstanceSequence],
    progress: ShowProgress,
    comment: str | None = None,
) -> None:
    """Write the overlay video of some `instances` of a result. The file stores the `comment`.

    Raises:
        VisError: The video has another size or number of frames than the result, or the file cannot be written.
    """
    require_size(result, video)
    painter = OverlayPainter(result, instances)
    with closing(iter_drawn(result, video, painter, progress)) as frames:
        write_video(path, frames, video, comment=comment)


def write_rendering(
    result: VideoResult, video: Video, painter: Painter, path: Path, *, suffix: str, alpha: bool, progress: ShowProgress
) -> None:
    """Write the drawn frames as a video, or as PNG images.

    Args:
        result: The result.
        video: Its video.
        painter: Draws the frames.
        path: File or folder to write.
        suffix: Format: .mp4, .mov, .webm, or .png for a folder of images.
        alpha: Whether the frames have an alpha channel.
        progress: Receives the stage, the number of frames that are done, and the number of all frames.

    Raises:
        VisError: The video has another size or number of frames than the result, or the output cannot be written.
    """
    require_size(result, video)
    formats = {MOV: PRORES_ALPHA, WEBM: VP9_ALPHA} if alpha else {MOV: PRORES, WEBM: VP9}
    with closing(iter_drawn(result, video, painter, progress)) as frames:
        if suffix == PNG:
            write_png_sequence(path, frames, png_names(result.video))
        else:
            write_video(path, frames, video, video_format=formats.get(suffix, H264))


def write_contact_sheet(
    result: VideoResult,
    video: Video,
    path: Path,
    *,
    instances: Sequence[InstanceSequence],
    progress: ShowProgress,
) -> None:
    """Write the contact sheet of some `instances` as an image. The file extension selects the format.

    Raises:
        VisError: The video has another size than the result, or the file cannot be written.
    """
    require_size(result, video)
    sheet = ContactSheet(result, instances)
    needed = sheet.last_frame + 1
    image = sheet.draw(_counted(islice(video.iter_frames(), needed), needed, progress))
    suffix = PNG if path.suffix.lower() == PNG else ".jpg"
    with atomic_path(path) as temporary:
        temporary.write_bytes(encode_image(image, suffix))


def require_size(result: VideoResult, video: Video) -> None:
    """Check that the frames of a video have the size of the masks.

    Raises:
        VisError: They have another size.
    """
    shape, expected = (video.width, video.height), (result.video.width, result.video.height)
    if shape != expected:
        raise VisError(
            f"cannot draw over {video.path}: frames of {_times(shape)}, but the result has {_times(expected)}",
            hint="Pass the segmented video with --video FILE.",
        )


def iter_drawn(
    result: VideoResult, video: Video, painter: Painter, progress: ShowProgress
) -> Generator[NDArray[np.uint8], None, None]:
    """Yield the drawn frames of a video. Close the generator to end its thread.

    A thread decodes and draws the next frames while the caller encodes a frame.

    Raises:
        VisError: The video has another number of frames than the result.
    """
    drawn = read_ahead(_draw_frames(result, video, painter), depth=FRAMES_AHEAD)
    with closing(drawn):
        yield from _counted(drawn, result.video.num_frames, progress)


def _draw_frames(result: VideoResult, video: Video, painter: Painter) -> Generator[NDArray[np.uint8], None, None]:
    total, done = result.video.num_frames, 0
    for done, frame in enumerate(video.iter_frames(), start=1):
        if done > total:
            break
        yield painter.draw(frame, done - 1)
    if done != total:
        count = f"more than {total}" if done > total else str(done)
        raise VisError(
            f"cannot draw over {video.path}: it has {count} frames, but the result has {total}",
            hint="Pass the segmented video with --video FILE.",
        )


def _counted(frames: Iterator[NDArray[np.uint8]], total: int, progress: ShowProgress) -> Iterator[NDArray[np.uint8]]:
    for done, frame in enumerate(frames, start=1):
        yield frame
        progress("render", done, total)


def _times(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"

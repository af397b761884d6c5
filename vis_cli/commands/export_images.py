"""The frames of a result's video, for the formats of `vis export` that contain images.

Used by `export`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vis_cli.commands.outputs import protect_files
from vis_cli.commands.source_lookup import find_source
from vis_cli.console import UsageError
from vis_cli.errors import VisError
from vis_cli.records.exports.clip import Images
from vis_cli.records.types import VideoResult
from vis_cli.records.video import open_segmented

WITHOUT = "Or use --no-images to write only the annotations."


def source_images(
    result: VideoResult,
    result_path: Path,
    given: Path | None,
    every: int,
    out: Path,
    progress: Callable[[str, int, int], None],
) -> Images:
    """Return a function that iterates over every n-th frame of the video of a result.

    Args:
        result: The complete result.
        result_path: Its file.
        given: Video that the user gives; it replaces the search.
        every: Distance of the frames.
        out: The output, which must not be the video.
        progress: Receives the stage, the number of frames that are done, and the number of all frames.

    Raises:
        UsageError: The video is not found, or is the output.
        VisError: The video has another size or number of frames than the result.
    """
    try:
        source = find_source(result, result_path, given)
    except UsageError as error:
        raise UsageError(error.problem, where=error.where, hint=f"{error.hint} {WITHOUT}") from error
    protect_files(out, [source])
    video = open_segmented(source, result.video)
    has, needs = f"{video.width}x{video.height}", f"{result.video.width}x{result.video.height}"
    if has != needs:
        problem = f"cannot export images of {source}: frames of {has}, but the result has {needs}"
        raise VisError(problem, hint=f"Pass the segmented video with --video FILE. {WITHOUT}")

    def images() -> Iterator[NDArray[np.uint8]]:
        total, done = result.video.num_frames, 0
        for done, frame in enumerate(video.iter_frames(), start=1):
            if done <= total and (done - 1) % every == 0:
                yield frame
            progress("images", done, total)
        if done != total:
            problem = f"cannot export images of {source}: it has {done} frames, but the result has {total}"
            raise VisError(problem, hint=f"Pass the segmented video with --video FILE. {WITHOUT}")

    return images

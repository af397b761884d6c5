"""Search for the video of a result: given by the user, next to the result, or at the stored path.

Used by `render` and `export_json`.
"""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

from vis_cli.console import UsageError
from vis_cli.errors import VisError
from vis_cli.records.inputs import image_files
from vis_cli.records.source_identity import identify_source, source_difference
from vis_cli.records.types import VideoResult


def find_source(result: VideoResult, result_path: Path, given: Path | None) -> Path:
    """Return the video of a result.

    Only a file or folder with the stored fingerprint is accepted. A result of schema 1 stores no fingerprint: its
    video is found only by its path.

    Args:
        result: The content of `result_path`.
        result_path: File of the result. Its folder is also searched.
        given: Video that the user gives; it replaces the search.

    Raises:
        UsageError: The video is not found.
        VisError: `given` is another video.
    """
    source = result.video.source
    if given is not None:
        if source is not None and (difference := source_difference(source, identify_source(given))):
            hint = f"Pass the {source.kind} that was segmented, or segment this {source.kind} again."
            raise VisError(f"cannot use {given}: it is not the video of {result_path} ({difference})", hint=hint)
        return given
    rejected = []
    for path in _candidates(result, result_path):
        if not os.path.exists(path):  # noqa: PTH110 (Path.exists raises where a folder cannot be read)
            continue
        difference = None if source is None else source_difference(source, identify_source(path))
        if difference is None:
            return path
        rejected.append(f"{path} is another video ({difference})")
    wanted = result.video.path if source is None else source.path
    cause = " and ".join(rejected) or "it is missing"
    raise UsageError(f"cannot find {wanted}, the video of {result_path}: {cause}", hint="Pass --video FILE.")


def with_frame_names(result: VideoResult, result_path: Path, given: Path | None) -> VideoResult:
    """Return a result with the names of its frames, which schema 1 does not store.

    The names come from the folder of images that the user gives, or from the folder at the stored absolute path.
    Without a folder, frames are numbered from 0.

    Raises:
        VisError: `given` is another video.
    """
    video = result.video
    if given is not None:
        find_source(result, result_path, given)
    if video.source is not None:
        return result
    folder = given or (video.path if video.path.is_absolute() else None)
    names = [image.name for image in image_files(folder)] if folder is not None and folder.is_dir() else []
    if given is not None and names and len(names) != video.num_frames:
        raise VisError(
            f"cannot use {given}: it has {len(names)} images, but {result_path} has {video.num_frames} frames. "
            "Pass the folder that was segmented."
        )
    if len(names) != video.num_frames:
        return result
    return dataclasses.replace(result, video=dataclasses.replace(video, frame_names=tuple(names)))


def _candidates(result: VideoResult, result_path: Path) -> list[Path]:
    """Return the possible paths of the video, in the order of the search."""
    video, folder = result.video, result_path.parent
    if video.source is None:
        return [video.path, folder / video.path]
    return [folder / video.source.path.name, video.source.path]

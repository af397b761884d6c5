"""`--masks`: label maps that a person gives instead of detections, each with the frame it belongs to.

Used by `segment` and by `eval --model`, through `batch`.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vis_cli.errors import VisError
from vis_cli.records.davis import VOID, list_label_pngs, read_label_png
from vis_cli.records.inputs import image_files


def read_given_masks(masks: Path, video: Path) -> dict[int, NDArray[np.uint8]]:
    """Read label maps (H, W) by frame number: 0 background (void counts as that), else an object's id.

    Args:
        masks: one PNG, for the first frame; or a folder of PNGs that are named by frame number from 0, or as the
            images of the video.
        video: a file or a folder of images.

    Raises:
        VisError: a PNG cannot be read, its frame is not clear, or nothing but void is in any.
    """
    paths = {0: masks} if masks.is_file() else _number_frames(masks, video)
    given = {frame: read_label_png(path) for frame, path in paths.items()}
    _require_objects(masks, given.values())
    return {frame: _without_void(labels) for frame, labels in given.items()}


def _number_frames(folder: Path, video: Path) -> dict[int, Path]:
    pngs = list_label_pngs(folder)
    images = {image.stem: number for number, image in enumerate(image_files(video))} if video.is_dir() else {}
    named_as_images = any(png.stem in images for png in pngs)
    frames: dict[int, Path] = {}
    for png in pngs:
        if named_as_images and png.stem not in images:
            raise VisError(f"{png}: {video} has no image of that name; give masks the names of their images")
        if not named_as_images and not png.stem.isdecimal():
            raise VisError(f"{png}: not named by its frame number; frame 12 is 12.png or 00012.png")
        frame = images[png.stem] if named_as_images else int(png.stem)
        if frame in frames:
            raise VisError(f"{png}: {frames[frame].name} is for frame {frame}, too; keep one of them")
        frames[frame] = png
    return frames


def _require_objects(masks: Path, given: Iterable[NDArray[np.uint8]]) -> None:
    """Refuse black-and-white masks, which would be taken for void and find nothing; all background may be meant."""
    values = {int(value) for labels in given for value in np.unique(labels)}
    if VOID in values <= {0, VOID}:
        raise VisError(f"{masks}: holds no object, as {VOID} means void; give the first object the value 1")


def _without_void(labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.where(labels == VOID, 0, labels).astype(np.uint8)

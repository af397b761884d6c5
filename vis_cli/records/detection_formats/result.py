"""Detections from NAME.json of `vis segment`: each mask of an instance is a detection with its category and score."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from vis_cli.records.categories import UNNAMED
from vis_cli.records.detection_formats.rows import NO_BOX, FrameKey, Numbering, ParsedDetections, RowTable
from vis_cli.records.result_json import read_result
from vis_cli.records.rle import rle_areas
from vis_cli.records.types import Category, VideoResult

NUMBERING = Numbering(first=0, reason="a result has frame indices", is_certain=True)


def read_result_detections(path: Path) -> ParsedDetections:
    """Read NAME.json.

    Raises:
        VisError: The file is damaged.
    """
    result = read_result(path)
    categories, unnamed = _with_unnamed(result)
    table = RowTable([str(path)], "instance")
    for instance in result.instances:
        areas = rle_areas(instance.segmentations)
        for frame in np.flatnonzero(areas).tolist():
            table.add(
                result.video.frame_numbers[frame],
                box=NO_BOX,
                score=instance.score,
                category_id=unnamed if instance.category_id is None else instance.category_id,
                mask=instance.segmentations[frame],
                position=instance.id,
            )
    rows = table.rows()
    sizes: dict[FrameKey, tuple[int, int]] = dict.fromkeys(rows.keys, (result.video.width, result.video.height))
    num_frames = result.video.num_frames if result.video.part is None else None  # of the complete video
    return ParsedDetections(rows, categories, NUMBERING, sizes, num_frames)


def _with_unnamed(result: VideoResult) -> tuple[tuple[Category, ...], int]:
    """Return the categories, and the id of the category for instances without one."""
    known = next((category.id for category in result.categories if category.name == UNNAMED), None)
    if known is not None:
        return result.categories, known
    unused = max((category.id for category in result.categories), default=0) + 1
    if all(instance.category_id is not None for instance in result.instances):
        return result.categories, unused
    return (*result.categories, Category(unused, UNNAMED)), unused

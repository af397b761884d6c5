"""Masks in JSON files of COCO's family: RLE with counts as a string or a list, or polygons.

Used by every reader of masks in `records` and `training`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from vis_cli.errors import VisError
from vis_cli.files.limits import MAX_OUTLINE
from vis_cli.records.json_fields import is_finite_number, shown
from vis_cli.records.polygons import clip_polygon, outline_length
from vis_cli.records.rle import Rle, as_rle, encode_mask
from vis_cli.records.rle_counts import run_lengths

MIN_POLYGON_NUMBERS = 6  # three corners


def parse_segmentation(data: object, height: int, width: int, where: str) -> Rle | None:
    """Convert the mask of one frame from JSON: null, an RLE with counts as a string or a list, or polygons.

    Args:
        data: The parsed JSON value.
        height: Height of the video in pixels.
        width: Width of the video in pixels.
        where: File and entry, for the error message.

    Returns:
        The mask, or None if `data` is null or an empty list.

    Raises:
        VisError: The value is not a mask, has another size, or its counts do not fill the frame.
    """
    if data is None or data == []:
        return None
    if isinstance(data, list):
        return _parse_polygons(data, height, width, where)
    if not isinstance(data, Mapping) or not {"size", "counts"} <= data.keys():
        hint = "Use null, polygons, or an object with 'size' and 'counts'."
        raise VisError(f"the mask is {shown(data)}", where=where, hint=hint)
    size, counts = data["size"], data["counts"]
    if size != [height, width]:
        problem = f"the size of the mask is {shown(size)}, the size of the video is [{height}, {width}]"
        raise VisError(problem, where=where, hint="Write masks as [height, width] of the video.")
    runs = _decode_counts(counts, num_pixels=height * width)
    if runs is None:
        problem = f"the RLE counts of the mask do not fill {width}x{height} pixels"
        raise VisError(problem, where=where, hint="Encode the mask again, for example with pycocotools.")
    if (runs[1:] > 0).all():
        return _compress(counts, height, width)
    foreground = np.arange(len(runs)) % 2 == 1  # also removes runs of length 0, for which pycocotools is wrong
    return encode_mask(np.repeat(foreground, runs).reshape(width, height).T)


def parse_segmentations(data: Sequence[object], height: int, width: int, where: str) -> tuple[Rle | None, ...]:
    """Convert the masks of all frames from JSON, 10 times as fast as `parse_segmentation` for compressed RLE.

    Args:
        data: The parsed JSON values, one per frame.
        height: Height of the video in pixels.
        width: Width of the video in pixels.
        where: File and entry, for the error message. The index of the frame is added.

    Raises:
        VisError: See `parse_segmentation`.
    """
    present = [item for item in data if item is not None]
    rles = [item for item in present if isinstance(item, dict) and item.get("size") == [height, width]]
    counts = [text for rle in rles if isinstance(text := rle.get("counts"), str)]
    if len(counts) == len(present) and (not counts or _are_plain_counts(counts, num_pixels=height * width)):
        plain = iter(counts)
        return tuple(None if item is None else Rle(size=[height, width], counts=next(plain)) for item in data)
    return tuple(
        parse_segmentation(item, height, width, f"{where}.segmentations[{frame}]") for frame, item in enumerate(data)
    )


def _compress(counts: str | list[int], height: int, width: int) -> Rle:
    if isinstance(counts, str):
        return Rle(size=[height, width], counts=counts)
    return as_rle(coco_mask.frPyObjects({"size": [height, width], "counts": counts}, height, width))


def _parse_polygons(data: list[object], height: int, width: int, where: str) -> Rle:
    polygons: list[list[float]] = []
    for polygon in data:
        if not isinstance(polygon, list) or len(polygon) < MIN_POLYGON_NUMBERS or len(polygon) % 2:
            hint = "Use a list [x1, y1, x2, y2, x3, y3, ...] of at least 3 corners."
            raise VisError(f"a polygon is {shown(polygon)}", where=where, hint=hint)
        if not all(map(is_finite_number, polygon)):
            hint = "Use finite numbers as coordinates."
            raise VisError(f"a polygon is {shown(polygon)}", where=where, hint=hint)
        clipped = clip_polygon(polygon, height, width)
        polygons += [clipped] if clipped else []
    length = sum(map(outline_length, polygons))
    if length > MAX_OUTLINE:
        problem = f"the polygons are {length:,.0f} pixels long, the limit is {MAX_OUTLINE:,}"
        raise VisError(problem, where=where, hint="Simplify the polygons.")
    if not polygons:
        return encode_mask(np.zeros((height, width), np.bool_))
    return as_rle(coco_mask.merge(coco_mask.frPyObjects(polygons, height, width)))


def _decode_counts(counts: object, num_pixels: int) -> NDArray[np.int64] | None:
    """Return the run lengths, background first, or None if they do not fill `num_pixels`."""
    if isinstance(counts, str):
        decoded = run_lengths([counts])
        runs = None if decoded is None else decoded[0]
    elif isinstance(counts, list) and all(isinstance(run, int) and 0 <= run <= num_pixels for run in counts):
        runs = np.array(counts, dtype=np.int64)
    else:
        return None
    fills = runs is not None and bool((runs >= 0).all()) and int(runs.sum()) == num_pixels
    return runs if fills else None


def _are_plain_counts(texts: Sequence[str], num_pixels: int) -> bool:
    """Return whether all strings are compressed counts that fill `num_pixels`, and only first runs have length 0."""
    decoded = run_lengths(texts)
    if decoded is None:
        return False
    runs, firsts = decoded
    num_short = np.count_nonzero(runs < 1) - np.count_nonzero(runs[firsts] == 0)
    return num_short == 0 and bool((np.add.reduceat(runs, firsts) == num_pixels).all())

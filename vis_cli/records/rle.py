"""Run-length encoded masks (COCO): encoding, decoding, areas, intersections and IoU.

Used by `engine`, by the readers and writers of `records`, and by `metrics`. Pure numpy and pycocotools.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

MAX_AREAS = 255  # masks per call of `area`: pycocotools stores their number in one byte


class Rle(TypedDict):
    """A mask in COCO's compressed run-length encoding: `size` is [height, width], `counts` is a string."""

    size: list[int]
    counts: str


def encode_mask(mask: NDArray[np.bool_]) -> Rle:
    """Encode an (H, W) mask. Non-zero pixels are foreground."""
    encoded = coco_mask.encode(np.asfortranarray(mask != 0, dtype=np.uint8))
    return as_rle(encoded)


def decode_rle(rle: Rle) -> NDArray[np.bool_]:
    """Decode an RLE to an (H, W) mask."""
    mask: NDArray[np.bool_] = np.ascontiguousarray(coco_mask.decode(rle)).astype(np.bool_)
    return mask


def rle_area(rle: Rle) -> int:
    """Return the number of foreground pixels without decoding the mask."""
    return int(coco_mask.area(rle))


def rle_areas(rles: Sequence[Rle | None]) -> NDArray[np.int64]:
    """Return the number of foreground pixels of each mask, int64 (len(rles),). None is an empty mask."""
    areas = np.zeros(len(rles), dtype=np.int64)
    present = np.flatnonzero([rle is not None for rle in rles])
    for start in range(0, len(present), MAX_AREAS):
        some = present[start : start + MAX_AREAS]
        areas[some] = coco_mask.area([rles[index] for index in some])
    return areas


def rle_box(rle: Rle) -> tuple[int, int, int, int]:
    """Return the tight bounding box (x, y, width, height) in pixels; all 0 for an empty mask."""
    x, y, width, height = (int(side) for side in coco_mask.toBbox(rle))
    return x, y, width, height


def rle_boxes(rles: Sequence[Rle]) -> NDArray[np.int64]:
    """Return the tight bounding boxes (x, y, width, height) in pixels, int64 (len(rles), 4); 0 for empty masks."""
    boxes: NDArray[np.int64] = np.asarray(coco_mask.toBbox(list(rles)), dtype=np.int64).reshape(-1, 4)
    return boxes


def decode_in_box(rle: Rle) -> tuple[int, int, NDArray[np.uint8]]:
    """Decode a mask and return the part inside its bounding box.

    Returns:
        x and y of the box, and the mask inside it: uint8 (height, width) of 0 and 1, (0, 0) for an empty mask.
    """
    x, y, width, height = rle_box(rle)
    mask: NDArray[np.uint8] = np.ascontiguousarray(coco_mask.decode(rle)[y : y + height, x : x + width])
    return x, y, mask


def merge_rles(rles: Sequence[Rle]) -> Rle:
    """Return the union of masks of one size, without decoding them. There must be at least one mask."""
    return as_rle(coco_mask.merge(list(rles)))


def pairwise_intersections(a: Sequence[Rle | None], b: Sequence[Rle | None]) -> NDArray[np.int64]:
    """Return the number of pixels that each mask of `a` has in common with each mask of `b`.

    Args:
        a: Masks of one size; None is an empty mask.
        b: Masks of the same size; None is an empty mask.

    Returns:
        int64 (len(a), len(b)).

    Raises:
        ValueError: The masks differ in size.
    """
    intersections = np.zeros((len(a), len(b)), dtype=np.int64)
    rows = [i for i, rle in enumerate(a) if rle is not None]
    columns = [j for j, rle in enumerate(b) if rle is not None]
    if not rows or not columns:
        return intersections
    present_a, present_b = [rle for rle in a if rle is not None], [rle for rle in b if rle is not None]
    _require_one_size([*present_a, *present_b])
    # If `b` is a crowd, pycocotools divides the intersection by the area of `a`. Multiplying by this area is exact.
    shares = np.asarray(coco_mask.iou(present_a, present_b, [1] * len(present_b)))
    areas = rle_areas(present_a)
    intersections[np.ix_(rows, columns)] = np.rint(shares * areas[:, None]).astype(np.int64)
    return intersections


def iter_intersections(
    a: Sequence[Sequence[Rle | None]], b: Sequence[Sequence[Rle | None]]
) -> Iterator[NDArray[np.int64]]:
    """Yield the pixels that each sequence of `a` has in common with each of `b` in each frame, int64 (len(a), len(b)).

    Nothing is yielded if `a` or `b` is empty. For arguments and errors see `sequence_intersections`.
    """
    if len(a) and len(b):
        for masks_a, masks_b in zip(zip(*a, strict=True), zip(*b, strict=True), strict=True):
            yield pairwise_intersections(masks_a, masks_b)


def sequence_intersections(a: Sequence[Sequence[Rle | None]], b: Sequence[Sequence[Rle | None]]) -> NDArray[np.int64]:
    """Return the number of pixels that each sequence of `a` has in common with each of `b`, summed over all frames.

    Args:
        a: Sequences of masks, one mask or None per frame.
        b: Sequences with the same number of frames.

    Returns:
        int64 (len(a), len(b)).

    Raises:
        ValueError: The masks of a frame differ in size, or the sequences differ in length.
    """
    intersections = np.zeros((len(a), len(b)), dtype=np.int64)
    for of_frame in iter_intersections(a, b):
        intersections += of_frame
    return intersections


def sequence_iou(a: Sequence[Sequence[Rle | None]], b: Sequence[Sequence[Rle | None]]) -> NDArray[np.float64]:
    """Return the IoU of each sequence of `a` with each of `b`, summed over all frames.

    Args:
        a: Sequences of masks, one mask or None per frame.
        b: Sequences with the same number of frames.

    Returns:
        float64 (len(a), len(b)), from 0 to 1. The IoU of two sequences without pixels is 0.

    Raises:
        ValueError: The masks of a frame differ in size, or the sequences differ in length.
    Reference: Propose-Reduce, Sec. 3.2, Eq. 3.
    """
    intersections, areas_a, areas_b = sequence_intersections(a, b), sequence_areas(a), sequence_areas(b)
    unions = areas_a[:, None] + areas_b[None, :] - intersections
    iou: NDArray[np.float64] = intersections / np.maximum(unions, 1)
    return iou


def sequence_containment(a: Sequence[Sequence[Rle | None]], b: Sequence[Sequence[Rle | None]]) -> NDArray[np.float64]:
    """Return the intersection of each sequence of `a` with each of `b`, divided by the area of the smaller one.

    Args:
        a: Sequences of masks, one mask or None per frame.
        b: Sequences with the same number of frames.

    Returns:
        float64 (len(a), len(b)), from 0 to 1. It is 0 if a sequence has no pixel.

    Raises:
        ValueError: The masks of a frame differ in size, or the sequences differ in length.
    """
    intersections, areas_a, areas_b = sequence_intersections(a, b), sequence_areas(a), sequence_areas(b)
    smaller = np.minimum(areas_a[:, None], areas_b[None, :])
    containment: NDArray[np.float64] = intersections / np.maximum(smaller, 1)
    return containment


def sequence_areas(sequences: Sequence[Sequence[Rle | None]]) -> NDArray[np.int64]:
    """Return the number of foreground pixels of each sequence over all frames, int64 (len(sequences),)."""
    return np.array([rle_areas(masks).sum() for masks in sequences], dtype=np.int64)


def as_rle(encoded: Mapping[str, Any]) -> Rle:
    """Convert an RLE of pycocotools, whose counts are bytes, to one that JSON can store."""
    height, width = encoded["size"]
    return Rle(size=[int(height), int(width)], counts=encoded["counts"].decode("ascii"))


def _require_one_size(rles: Sequence[Rle]) -> None:
    sizes = {tuple(rle["size"]) for rle in rles}
    if len(sizes) > 1:
        raise ValueError(f"masks of different sizes cannot be compared: {sorted(sizes)}")

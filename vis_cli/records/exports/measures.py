"""Area, box and centre of many masks at once, from their run lengths.

Used by the tables, and by every format that stores boxes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vis_cli.records.rle import Rle, rle_boxes
from vis_cli.records.rle_counts import run_lengths


@dataclass(frozen=True, slots=True)
class Measures:
    """Measures of the masks of one instance, one row per frame. They are 0 where the object is absent."""

    areas: NDArray[np.int64]  # (T,) in pixels; 0: no pixel of the object is visible
    boxes: NDArray[np.int64]  # (T, 4): x, y, width, height in pixels
    centres: NDArray[np.float64]  # (T, 2): x and y of the centroid; the centre of the first pixel is (0.5, 0.5)

    @property
    def visible(self) -> NDArray[np.intp]:
        """Return the positions of the frames that show the object."""
        return np.flatnonzero(self.areas)


def measure(masks: Sequence[Rle | None]) -> Measures:
    """Return the measures of the masks of one instance.

    Args:
        masks: One mask per frame, or None. All masks have one size.
    """
    areas, boxes = np.zeros(len(masks), np.int64), np.zeros((len(masks), 4), np.int64)
    centres = np.zeros((len(masks), 2), np.float64)
    rows = np.array([index for index, mask in enumerate(masks) if mask is not None], dtype=np.intp)
    present = [mask for mask in masks if mask is not None]
    if present:
        areas[rows], centres[rows] = _moments(present)
        boxes[rows] = rle_boxes(present)
    return Measures(areas, boxes, centres)


def _moments(masks: Sequence[Rle]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the areas (N,) and the centroids (N, 2) of N masks of one size."""
    decoded = run_lengths([mask["counts"] for mask in masks])
    if decoded is None:
        raise ValueError("the counts of a mask are not valid")
    runs, firsts = decoded
    height = masks[0]["size"][0]
    numbers = np.repeat(np.arange(len(masks)), np.diff(np.append(firsts, len(runs))))  # of the mask of each run
    ends = np.cumsum(runs)
    ends -= np.append(0, ends[firsts[1:] - 1])[numbers]  # the first pixel of each mask has the index 0
    is_object = (np.arange(len(runs)) - firsts[numbers]) % 2 == 1
    starts, ends, numbers = (ends - runs)[is_object], ends[is_object], numbers[is_object]
    sums = np.zeros((len(masks), 3), np.int64)
    for column, values in enumerate((ends - starts, *_coordinate_sums(starts, ends, height))):
        np.add.at(sums[:, column], numbers, values)
    return sums[:, 0], sums[:, 1:] / np.maximum(sums[:, :1], 1) + np.where(sums[:, :1] > 0, 0.5, 0.0)


def _coordinate_sums(
    starts: NDArray[np.int64], ends: NDArray[np.int64], height: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the sums of x and of y over the pixels of each run. Pixel p has x = p // height, y = p % height."""

    def sum_below(index: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        column, row = np.divmod(index, height)
        sum_x = height * (column * (column - 1) // 2) + column * row
        return sum_x, index * (index - 1) // 2 - height * sum_x

    (x1, y1), (x2, y2) = sum_below(starts), sum_below(ends)
    return x2 - x1, y2 - y1

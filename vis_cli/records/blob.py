"""Largest connected part of a mask, to which the tag of an instance is attached.

Used by `overlay` and `tag_layout`.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

MAX_SAMPLES = 32  # per side of a mask: larger masks are sampled, which is exact enough for a tag
SWITCH_RATIO = 1.5  # another part takes over if it is larger by this factor, so that a tag does not jump to and fro


@dataclass(frozen=True, slots=True)
class Blob:
    """A connected part of a mask, in pixels of the frame."""

    box: tuple[int, int, int, int]  # x and y of the left top corner, x and y behind the right bottom corner
    points: NDArray[np.float64]  # (P, 2) x and y of points on its border


def largest_blob(x: int, y: int, mask: NDArray[np.uint8], previous: Blob | None = None) -> Blob:
    """Return the largest connected part of a mask.

    Args:
        x: Left side of the mask in the frame.
        y: Upper side of the mask in the frame.
        mask: (H, W) mask of 0 and 1 inside its bounding box, with at least one pixel.
        previous: Part of the previous frame, which is preferred to a part that is not much larger.
    """
    step = max(1, max(mask.shape) // MAX_SAMPLES)
    sampled = mask[::step, ::step]
    if step > 1 and not sampled.any():
        step, sampled = 1, mask
    _, part_of, stats, _ = cv2.connectedComponentsWithStats(np.ascontiguousarray(sampled), connectivity=8)
    parts = stats[1:]  # without the background: left, top, width, height, area
    areas = parts[:, cv2.CC_STAT_AREA].astype(np.float64)
    if previous is not None and len(parts) > 1:
        start = parts[:, :2] * step + (x, y)
        areas[_overlaps(start, start + parts[:, 2:4] * step, previous.box)] *= SWITCH_RATIO
    largest = int(areas.argmax())
    left, top, width, height = (int(side) for side in parts[largest, :4])
    part = part_of[top : top + height, left : left + width] == largest + 1
    first_x, first_y = x + left * step, y + top * step
    last_x, last_y = min(first_x + width * step, x + mask.shape[1]), min(first_y + height * step, y + mask.shape[0])
    points = _border(part) * step + (first_x, first_y)
    return Blob((first_x, first_y, last_x, last_y), points)


def _overlaps(start: NDArray[np.int64], end: NDArray[np.int64], box: tuple[int, int, int, int]) -> NDArray[np.bool_]:
    overlaps: NDArray[np.bool_] = np.all((start < box[2:]) & (end > box[:2]), axis=1)
    return overlaps


def _border(part: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return x and y of the outermost pixels of each row and column, (P, 2). No row or column is empty."""
    height, width = part.shape
    rows, columns = np.arange(height), np.arange(width)
    x = np.concatenate([part.argmax(axis=1), width - 1 - part[:, ::-1].argmax(axis=1), columns, columns])
    y = np.concatenate([rows, rows, part.argmax(axis=0), height - 1 - part[::-1].argmax(axis=0)])
    return np.stack([x, y], axis=1).astype(np.float64)

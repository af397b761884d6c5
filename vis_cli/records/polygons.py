"""Clipping of polygons from COCO files. pycocotools needs time and memory for each pixel of an edge, at any distance.

Used by `segmentation_json`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TypeAlias

Corner: TypeAlias = tuple[float, float]


def clip_polygon(polygon: Sequence[float], height: int, width: int) -> list[float]:
    """Clip a polygon to the image with a margin of the image's longer side.

    A polygon inside these bounds is not changed, so that it fills the same pixels as in pycocotools.

    Args:
        polygon: Finite coordinates x1, y1, x2, y2, ... in pixels.
        height: Height of the image in pixels.
        width: Width of the image in pixels.

    Returns:
        The same list, a smaller polygon, or an empty list if the polygon is outside the bounds.
    """
    side = max(height, width)
    if -side <= min(polygon) and max(polygon) <= 2 * side:
        return list(polygon)
    corners = [(float(x), float(y)) for x, y in zip(polygon[::2], polygon[1::2], strict=True)]
    for axis in (0, 1):
        corners = _cut(corners, axis, -side, sign=1)
        corners = _cut(corners, axis, 2 * side, sign=-1)
    return [number for corner in corners for number in corner]


def outline_length(polygon: Sequence[float]) -> float:
    """Return the length of an outline in pixels: the sum of max(width, height) of each edge; 0 for a short outline."""
    if len(polygon) * (max(polygon) - min(polygon)) < 2**16:  # true for almost all polygons
        return 0.0
    corners = list(zip(polygon[::2], polygon[1::2], strict=True))
    return sum(max(abs(x2 - x1), abs(y2 - y1)) for (x1, y1), (x2, y2) in pairwise([*corners, corners[0]]))


def _cut(corners: list[Corner], axis: int, bound: float, *, sign: int) -> list[Corner]:
    """Keep the part of a polygon on one side of a line (Sutherland and Hodgman, 1974)."""
    kept: list[Corner] = []
    for before, corner in pairwise([*corners[-1:], *corners]):
        was_inside, is_inside = sign * before[axis] >= sign * bound, sign * corner[axis] >= sign * bound
        if was_inside != is_inside:
            kept.append(_intersect(before, corner, axis, bound))
        if is_inside:
            kept.append(corner)
    return kept


def _intersect(a: Corner, b: Corner, axis: int, bound: float) -> Corner:
    """Return the intersection of an edge with a line. It halves the coordinates, because 2e308 overflows."""
    fraction = (bound / 2 - a[axis] / 2) / (b[axis] / 2 - a[axis] / 2)
    other = a[1 - axis] * (1 - fraction) + b[1 - axis] * fraction
    return (bound, other) if axis == 0 else (other, bound)

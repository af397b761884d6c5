"""Polygons of COCO files, made safe to fill: pycocotools walks along each edge, however far away it leads.

Used by `rle`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TypeAlias

Corner: TypeAlias = tuple[float, float]


def clip_polygon(polygon: Sequence[float], height: int, width: int) -> list[float]:
    """Cut off what of a polygon lies more than the image's own size away from the image.

    A polygon that goes no farther stays as it is, so that it fills the same pixels as with pycocotools.

    Args:
        polygon: x1, y1, x2, y2, ...; finite.
        height: Of the image, in pixels.
        width: Of the image, in pixels.

    Returns:
        The same list, a smaller polygon, or an empty list where nothing is left.
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
    """Return the pixels that an outline is long at least: of each edge, the longer of its two extents."""
    if len(polygon) * (max(polygon) - min(polygon)) < 2**16:  # cannot be long, as almost all
        return 0.0
    corners = list(zip(polygon[::2], polygon[1::2], strict=True))
    return sum(max(abs(x2 - x1), abs(y2 - y1)) for (x1, y1), (x2, y2) in pairwise([*corners, corners[0]]))


def _cut(corners: list[Corner], axis: int, bound: float, *, sign: int) -> list[Corner]:
    """Keep what lies on one side of a line (Sutherland and Hodgman, 1974)."""
    kept: list[Corner] = []
    for before, corner in pairwise([*corners[-1:], *corners]):
        was_inside, is_inside = sign * before[axis] >= sign * bound, sign * corner[axis] >= sign * bound
        if was_inside != is_inside:
            kept.append(_intersect(before, corner, axis, bound))
        if is_inside:
            kept.append(corner)
    return kept


def _intersect(a: Corner, b: Corner, axis: int, bound: float) -> Corner:
    """Return where an edge meets a line; halves and weights, since differences of 1e308 overflow."""
    fraction = (bound / 2 - a[axis] / 2) / (b[axis] / 2 - a[axis] / 2)
    other = a[1 - axis] * (1 - fraction) + b[1 - axis] * fraction
    return (bound, other) if axis == 0 else (other, bound)

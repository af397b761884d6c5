"""Polygons of masks, for the formats that store polygons instead of masks.

Used by `cvat`, `labelme` and `yolo_seg`. With a tolerance of 0, a polygon that is filled with even-odd parity gives the
mask again. Holes are cut in: an edge that is passed twice connects them with the outline. Tools that draw the outline
also fill the pixels of such an edge.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from vis_cli.files.limits import MAX_IMAGE_SIDE
from vis_cli.records.exports.crops import Crop, iter_crops
from vis_cli.records.rle import Rle

Pixels: TypeAlias = NDArray[np.int32]  # (N, 2): x and y of pixels
Plane: TypeAlias = NDArray[np.float64]  # (N, 2): x and y in pixels from the corner of the image
Number = TypeVar("Number", np.int32, np.float64)

MIN_POINTS = 3  # of a polygon
SPIKE = -0.5  # cosine of the normals of two edges; below it, the outline turns back


@dataclass(frozen=True, slots=True)
class _Part:
    """A connected part of a mask."""

    outer: Pixels
    holes: list[Pixels]


def pixel_polygons(masks: Sequence[Rle | None], tolerance: float) -> Iterator[tuple[int, list[Pixels]]]:
    """Yield the position of each visible mask and one polygon of pixel centres per connected part, the largest first.

    Tools that also fill the pixels on the outline, such as OpenCV and Pillow, need this form.

    Args:
        masks: One mask per frame, or None.
        tolerance: Maximum distance in pixels between a polygon and the outline.
    """
    for crop in iter_crops(masks):
        parts = _parts(crop, tolerance)
        yield crop.position, [_with_min_points(joined([part.outer, *part.holes])) for part in parts]


def plane_polygons(masks: Sequence[Rle | None], tolerance: float) -> Iterator[tuple[int, list[Plane]]]:
    """Yield the same polygons in a plane: the first pixel covers the square from (0, 0) to (1, 1).

    Tools that fill the pixels whose centre is inside, such as pycocotools and CVAT, need this form.
    """
    found = [(crop.position, _parts(crop, tolerance)) for crop in iter_crops(masks)]
    rings = [ring for _, parts in found for part in parts for ring in (part.outer, *part.holes)]
    sides = [side for _, parts in found for part in parts for side in (1.0, *[-1.0] * len(part.holes))]
    widened = iter(_widened(rings, sides))
    for position, parts in found:
        yield position, [joined([next(widened) for _ in (part.outer, *part.holes)]) for part in parts]


def joined(polygons: Sequence[NDArray[Number]]) -> NDArray[Number]:
    """Connect polygons to one polygon at their nearest corners, with edges that are passed twice.

    Ultralytics connects the parts of an object in the same way: `merge_multi_segment` in ultralytics/data/converter.py.
    """
    result = polygons[0]
    for other in polygons[1:]:
        gaps = ((result[:, None].astype(np.float64) - other[None]) ** 2).sum(axis=2)  # (N, M)
        i, j = np.unravel_index(int(gaps.argmin()), gaps.shape)
        result = np.concatenate([result[: i + 1], other[j:], other[: j + 1], result[i:]])
    return result


def _parts(crop: Crop, tolerance: float) -> list[_Part]:
    # Searching in the transposed mask saves a copy; the corners are then y, x.
    contours, hierarchy = cv2.findContours(
        crop.columns, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE, offset=(crop.y, crop.x)
    )
    parts: dict[int, _Part] = {}
    holes: list[tuple[int, Pixels]] = []
    for index, (contour, (_, _, _, parent)) in enumerate(zip(contours, hierarchy[0].tolist(), strict=True)):
        points = _simplified(contour, tolerance)
        if parent < 0:
            parts[index] = _Part(points, [])
        elif len(points) >= MIN_POINTS:  # a smaller polygon encloses nothing
            holes.append((parent, points))
    for parent, points in holes:
        parts[parent].holes.append(points)
    return (
        sorted(parts.values(), key=lambda part: -cv2.contourArea(part.outer)) if len(parts) > 1 else [*parts.values()]
    )


def _simplified(contour: cv2.typing.MatLike, tolerance: float) -> Pixels:
    """Return the corners x, y of a contour of the transposed mask."""
    if tolerance > 0 and len(contour) > MIN_POINTS:
        contour = cv2.approxPolyDP(contour, min(tolerance, MAX_IMAGE_SIDE), closed=True)  # OpenCV rejects 1e30
    return np.asarray(contour, dtype=np.int32)[:, 0, ::-1]


def _with_min_points(polygon: Pixels) -> Pixels:
    """Repeat the last corner of a polygon of one or two pixels, because formats require three corners."""
    missing = MIN_POINTS - len(polygon)
    return polygon if missing <= 0 else np.concatenate([polygon, np.repeat(polygon[-1:], missing, axis=0)])


def _widened(rings: Sequence[Pixels], sides: Sequence[float]) -> list[Plane]:
    """Move polygons of pixel centres to the border of these pixels.

    An edge moves by half a pixel per step of the outline, so that polygon and mask have the same area. A polygon of
    one pixel becomes a square.

    Args:
        rings: Polygons.
        sides: 1 moves a polygon outwards, -1 (a hole) inwards.
    """
    if not rings:
        return []
    sizes = np.array([len(ring) for ring in rings])
    corners = np.concatenate(rings).astype(np.float64)
    starts = np.cumsum(sizes) - sizes
    ahead, back = np.arange(1, len(corners) + 1), np.arange(-1, len(corners) - 1)  # indices of the neighbours
    ahead[starts + sizes - 1], back[starts] = starts, starts + sizes - 1
    edges = corners[ahead] - corners
    length = np.maximum(np.hypot(edges[:, 0], edges[:, 1]), 1e-9)
    along = edges / length[:, None]
    shift = 0.5 * np.abs(edges).max(axis=1) / length
    doubled = np.add.reduceat(corners[:, 0] * corners[ahead, 1] - corners[ahead, 0] * corners[:, 1], starts)
    turn = np.repeat(np.where(doubled > 0, -1.0, 1.0) * np.array(sides), sizes)  # clockwise, because y points down
    normal = np.stack([-along[:, 1], along[:, 0]], axis=1) * turn[:, None]
    moved, counts = _mitred(corners, along, normal, shift, back)
    ends = np.cumsum(np.add.reduceat(counts, starts))
    pieces = np.split(moved + 0.5, ends[:-1])
    square = np.array([(-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5)])
    return [ring + 0.5 + square if len(ring) == 1 else piece for ring, piece in zip(rings, pieces, strict=True)]


def _mitred(
    corners: Plane, along: Plane, normal: Plane, shift: NDArray[np.float64], back: NDArray[np.intp]
) -> tuple[Plane, NDArray[np.intp]]:
    """Return the corners between shifted edges, and the number of new corners per corner.

    A spike gets two corners, which close it half a pixel behind its end.
    """
    before, shift_before = normal[back], shift[back]
    cosine = (before * normal).sum(axis=1)
    is_spike = cosine < SPIKE
    size = (shift_before + shift) / 2 / np.maximum(1 + cosine, 1 + SPIKE)
    mitre = corners + size[:, None] * (before + normal)
    first = corners + shift_before[:, None] * (before + along[back])
    second = corners + shift[:, None] * (normal - along)
    both = np.stack([np.where(is_spike[:, None], first, mitre), second], axis=1)
    return both[np.stack([np.ones_like(is_spike), is_spike], axis=1)], 1 + is_spike.astype(np.intp)

"""Polygons give their masks again: filled by OpenCV, Pillow and pycocotools."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from vis_cli.records.exports.outlines import joined, pixel_polygons, plane_polygons
from vis_cli.records.rle import encode_mask

from .factory import SIZE, disk, fill, iou, ring


def bar(*slices: slice) -> NDArray[np.bool_]:
    mask = np.zeros(SIZE, bool)
    mask[slices] = True
    return mask


NOISE = np.random.default_rng(0).random(SIZE) < 0.5
MASKS = {
    "ring": ring(),
    "disk at the border": disk(0, 0, 20),
    "pixel": bar(slice(5, 6), slice(9, 10)),
    "two pixels": bar(slice(5, 7), slice(9, 10)),
    "row": bar(slice(5, 6), slice(0, 64)),
    "diagonal": np.eye(*SIZE, dtype=bool),
    "everything": np.ones(SIZE, bool),
    "noise": NOISE,
}


@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS.keys())
def test_without_tolerance_no_pixel_is_lost(mask: NDArray[np.bool_]) -> None:
    ((position, pixels),) = pixel_polygons([None, encode_mask(mask)], 0.0)
    assert position == 1
    assert all(len(polygon) >= 3 for polygon in pixels)
    filled = fill([polygon.ravel().tolist() for polygon in pixels])
    assert not (mask & ~filled).any()
    assert iou(filled, mask) >= (0.99 if mask is NOISE else 1.0)  # edges to holes can cross other holes
    ((_, planes),) = plane_polygons([encode_mask(mask)], 0.0)
    encoded = coco_mask.frPyObjects([polygon.ravel().tolist() for polygon in planes], *SIZE)
    assert iou(coco_mask.decode(coco_mask.merge(encoded)).astype(bool), mask) == 1.0


def test_the_tolerance_limits_the_number_of_corners() -> None:
    mask = encode_mask(disk(30, 24, 20))
    sizes = [len(next(pixel_polygons([mask], tolerance))[1][0]) for tolerance in (0.0, 0.5, 2.0)]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] > 2 * sizes[2]
    assert iou(fill([next(pixel_polygons([mask], 0.5))[1][0].ravel().tolist()]), disk(30, 24, 20)) > 0.97


@pytest.mark.parametrize("tolerance", [1e6, 1e300, float("inf")])
def test_a_tolerance_larger_than_the_image_keeps_a_polygon(tolerance: float) -> None:
    ((_, (polygon,)),) = pixel_polygons([encode_mask(disk(30, 24, 20))], tolerance)
    assert len(polygon) == 3


def test_parts_are_sorted_by_size_and_joined_at_their_nearest_corners() -> None:
    mask = disk(10, 24, 5) | disk(40, 24, 9)
    ((_, polygons),) = pixel_polygons([encode_mask(mask)], 0.0)
    assert [polygon[:, 0].mean() > 30 for polygon in polygons] == [True, False]
    one = fill([joined(polygons).ravel().tolist()])
    assert not (mask & ~one).any()
    assert (one & ~mask).sum() == 40 - 9 - (10 + 5) - 1  # the line between both, one pixel wide


def test_a_square_in_the_plane() -> None:
    ((_, (polygon,)),) = plane_polygons([encode_mask(bar(slice(2, 4), slice(3, 7)))], 0.0)
    assert sorted(polygon.tolist()) == [[3, 2], [3, 4], [7, 2], [7, 4]]


@pytest.mark.parametrize("masks", [[], [None]])
def test_no_masks(masks: list) -> None:
    assert list(pixel_polygons(masks, 0.5)) == list(plane_polygons(masks, 0.5)) == []

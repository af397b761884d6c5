"""The largest connected part of a mask."""

from __future__ import annotations

import numpy as np
import pytest

from tests.records.result_factory import make_mask
from vis_cli.records.blob import largest_blob


def blob_of(rows: list[str], x: int = 0, y: int = 0) -> tuple[int, int, int, int]:
    return largest_blob(x, y, make_mask(rows).astype(np.uint8)).box


def test_the_largest_part_in_pixels_of_the_frame() -> None:
    rows = ["##...###", "##...###", ".....###"]
    assert blob_of(rows) == (5, 0, 8, 3)
    assert blob_of(rows, x=100, y=50) == (105, 50, 108, 53)
    assert blob_of(["#..", ".#.", "..#"]) == (0, 0, 3, 3)  # diagonal neighbours are connected


def test_points_are_on_its_border() -> None:
    blob = largest_blob(10, 20, make_mask(["#...", "..##", "..##", "..##"]).astype(np.uint8))
    points = {(int(x), int(y)) for x, y in blob.points}
    assert points == {(12, 21), (13, 21), (12, 22), (13, 22), (12, 23), (13, 23)}


@pytest.mark.parametrize("side", [1, 31, 63, 64, 500])
def test_large_masks_are_sampled(side: int) -> None:
    """The box is exact up to the distance of the samples, and never leaves the mask."""
    blob = largest_blob(7, 9, np.ones((side, 2 * side), np.uint8))
    assert blob.box == pytest.approx((7, 9, 7 + 2 * side, 9 + side), abs=2 * side // 32)
    assert blob.box[2] <= 7 + 2 * side
    assert len(blob.points) <= 4 * 64


def test_a_mask_that_the_samples_miss() -> None:
    mask = np.zeros((200, 200), np.uint8)
    mask[101, 103:150] = 1
    assert largest_blob(0, 0, mask).box == (103, 101, 150, 102)


def test_a_part_of_similar_size_does_not_take_over() -> None:
    left, right, larger = "###...####", "##....####", "#.....####"
    before = largest_blob(0, 0, make_mask([left]).astype(np.uint8)[:, :3])
    assert largest_blob(0, 0, make_mask([left]).astype(np.uint8), before).box == (0, 0, 3, 1)
    assert largest_blob(0, 0, make_mask([left]).astype(np.uint8)).box == (6, 0, 10, 1)
    assert largest_blob(0, 0, make_mask([right]).astype(np.uint8), before).box == (6, 0, 10, 1)
    assert largest_blob(0, 0, make_mask([larger]).astype(np.uint8), before).box == (6, 0, 10, 1)

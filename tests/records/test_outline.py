"""Outlines of masks: inside the mask, of the given width, solid or in dashes of equal length."""

from __future__ import annotations

import numpy as np
import pytest

from tests.records.result_factory import make_mask
from vis_cli.records.outline import outline_of


def test_outline_is_the_border_of_the_mask() -> None:
    mask = make_mask(["#####", "#####", "#####", "###.#", "#####"]).astype(np.uint8)
    expected = make_mask(["#####", "#...#", "#..##", "#.#.#", "#####"])
    np.testing.assert_array_equal(outline_of(mask, 1, is_dashed=False), expected)


@pytest.mark.parametrize("thickness", [1, 3, 6])
def test_width(thickness: int) -> None:
    row = outline_of(np.ones((60, 60), np.uint8), thickness, is_dashed=False)[30]
    assert row.tolist() == [1] * thickness + [0] * (60 - 2 * thickness) + [1] * thickness


@pytest.mark.parametrize("thickness", [1, 3])
def test_dashes_are_half_of_the_outline(thickness: int) -> None:
    mask = np.zeros((300, 300), np.uint8)
    mask[10:290, 10:290] = 1
    mask[100:200, 100:200] = 0  # a hole has an outline, too
    solid, dashed = (outline_of(mask, thickness, is_dashed=dashes) for dashes in (False, True))
    assert (dashed <= solid).all()
    assert dashed.sum() / solid.sum() == pytest.approx(0.5, abs=0.06)
    assert 0 < dashed[99, 100:200].sum() < 100
    changes = np.flatnonzero(np.diff(dashed[10, 20:280].astype(int)))
    lengths = np.diff(changes)
    assert len(lengths) > 5
    assert lengths.min() >= 3 * thickness
    assert (lengths[::2].max() - lengths[::2].min()) <= 1  # all dashes have one length


def test_tiny_masks_keep_an_outline() -> None:
    for size in (1, 2, 3):
        assert outline_of(np.ones((size, size), np.uint8), 2, is_dashed=True).any()

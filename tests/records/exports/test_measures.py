"""Areas, boxes, centres and crops of many masks."""

from __future__ import annotations

import numpy as np
import pytest

from vis_cli.records.exports.crops import iter_crops
from vis_cli.records.exports.measures import measure
from vis_cli.records.rle import encode_mask


def test_values_of_a_small_mask() -> None:
    mask = np.zeros((4, 6), bool)
    mask[1:3, 2:5] = True
    mask[1, 2] = False
    found = measure([None, encode_mask(mask)])
    assert found.areas.tolist() == [0, 5]
    assert found.boxes.tolist() == [[0, 0, 0, 0], [2, 1, 3, 2]]
    assert found.centres[0].tolist() == [0, 0]
    assert found.centres[1].tolist() == pytest.approx([16 / 5 + 0.5, 8 / 5 + 0.5])
    assert found.visible.tolist() == [1]


@pytest.mark.parametrize("masks", [[], [None], [encode_mask(np.zeros((3, 2), bool))]])
def test_nothing_visible(masks: list) -> None:
    found = measure(masks)
    assert found.areas.tolist() == [0] * len(masks)
    assert found.centres.tolist() == [[0, 0]] * len(masks)
    assert found.visible.tolist() == []
    assert list(iter_crops(masks)) == []


def test_random_masks_agree_with_decoded_ones() -> None:
    rng = np.random.default_rng(0)
    masks = [rng.random((17, 23)) < fraction for fraction in (0, 0.01, 0.3, 0.99, 1)]
    encoded = [encode_mask(mask) for mask in masks]
    found = measure(encoded)
    for index, mask in enumerate(masks[1:], start=1):
        y, x = np.nonzero(mask)
        assert found.areas[index] == len(x)
        assert found.boxes[index].tolist() == [x.min(), y.min(), np.ptp(x) + 1, np.ptp(y) + 1]
        assert found.centres[index].tolist() == pytest.approx([x.mean() + 0.5, y.mean() + 0.5])
    crops = list(iter_crops(encoded))
    assert [crop.position for crop in crops] == [1, 2, 3, 4]
    for crop in crops:
        height, width = crop.mask.shape
        placed = np.zeros((17, 23), bool)
        placed[crop.y : crop.y + height, crop.x : crop.x + width] = crop.mask
        np.testing.assert_array_equal(placed, masks[crop.position])

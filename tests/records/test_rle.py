"""Masks survive encoding, measures equal counted pixels, and the IoU sums intersections and unions over all frames."""

from __future__ import annotations

import numpy as np
import pytest

from tests.records.result_factory import make_mask
from vis_cli.records.rle import (
    decode_in_box,
    decode_rle,
    encode_mask,
    pairwise_intersections,
    rle_area,
    rle_areas,
    rle_box,
    rle_boxes,
    sequence_intersections,
    sequence_iou,
)

MASK = make_mask(["......", "..##..", "...#..", "......"])


def random_masks(count: int, seed: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.random((9, 13)) < rng.choice([0.02, 0.3, 0.98]) for _ in range(count)]


def test_encoding_keeps_every_pixel() -> None:
    for mask in [*random_masks(20, seed=0), np.zeros((3, 5), bool), np.ones((3, 5), bool), np.ones((1, 1), bool)]:
        rle = encode_mask(mask)
        assert isinstance(rle["counts"], str)
        assert rle["size"] == list(mask.shape)
        decoded = decode_rle(rle)
        assert decoded.dtype == np.bool_
        np.testing.assert_array_equal(decoded, mask)


def test_encoding_takes_any_non_zero_value_as_foreground() -> None:
    np.testing.assert_array_equal(decode_rle(encode_mask(MASK * np.uint8(255))), MASK)


def test_area_and_box_are_those_of_the_pixels() -> None:
    assert rle_area(encode_mask(MASK)) == 3
    assert rle_box(encode_mask(MASK)) == (2, 1, 2, 2)
    assert rle_box(encode_mask(np.zeros((4, 6), bool))) == (0, 0, 0, 0)
    np.testing.assert_array_equal(rle_areas([encode_mask(MASK), None]), [3, 0])


def test_a_long_video_has_more_masks_than_a_byte_counts() -> None:
    rle = encode_mask(MASK)
    np.testing.assert_array_equal(rle_areas([rle, None] * 300), [3, 0] * 300)
    np.testing.assert_array_equal(pairwise_intersections([rle] * 300, [rle] * 300), np.full((300, 300), 3))
    np.testing.assert_array_equal(sequence_intersections([[rle] * 300] * 2, [[rle] * 300]), [[900], [900]])


def test_intersections_equal_counted_pixels() -> None:
    a, b = random_masks(6, seed=1), random_masks(5, seed=2)
    expected = [[int((x & y).sum()) for y in b] for x in a]
    found = pairwise_intersections([encode_mask(x) for x in a], [encode_mask(y) for y in b])
    assert found.dtype == np.int64
    np.testing.assert_array_equal(found, expected)


def test_intersections_with_absent_masks_are_zero_and_stay_in_place() -> None:
    rle = encode_mask(MASK)
    np.testing.assert_array_equal(pairwise_intersections([None, rle], [rle, None, rle]), [[0, 0, 0], [3, 0, 3]])
    assert pairwise_intersections([], [rle]).shape == (0, 1)
    assert pairwise_intersections([None], []).shape == (1, 0)


def test_intersections_of_different_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="different sizes"):
        pairwise_intersections([encode_mask(MASK)], [encode_mask(MASK.T)])


def test_sequences_share_what_their_frames_share() -> None:
    full, none = encode_mask(np.ones((4, 6), bool)), None
    rle = encode_mask(MASK)
    a, b = [[rle, none, full], [none, rle, rle]], [[full, full, full], [rle, none, none], [none, none, rle]]
    np.testing.assert_array_equal(sequence_intersections(a, b), [[3 + 24, 3, 3], [3 + 3, 0, 3]])
    assert sequence_intersections([], b).shape == (0, 3)
    assert sequence_intersections(a, []).shape == (2, 0)
    with pytest.raises(ValueError, match="argument"):
        sequence_intersections(a, [[rle, rle]])


def test_sequence_iou_sums_intersections_and_unions_over_all_frames() -> None:
    rle = encode_mask(MASK)
    a, b = [[rle, rle], [None, None]], [[rle, None], [rle, rle], [None, None]]
    np.testing.assert_array_equal(sequence_iou(a, b), [[0.5, 1, 0], [0, 0, 0]])
    assert sequence_iou([], b).shape == (0, 3)
    assert sequence_iou(a, []).shape == (2, 0)


def test_decoding_the_box_of_a_mask() -> None:
    for mask in [*random_masks(20, seed=3), np.zeros((3, 5), bool), np.ones((3, 5), bool)]:
        x, y, inside = decode_in_box(encode_mask(mask))
        copy = np.zeros_like(mask)
        copy[y : y + inside.shape[0], x : x + inside.shape[1]] = inside
        np.testing.assert_array_equal(copy, mask)
        assert (x, y, inside.shape[1], inside.shape[0]) == rle_box(encode_mask(mask))


def test_boxes_of_many_masks() -> None:
    rles = [encode_mask(mask) for mask in random_masks(300, seed=4)]
    assert rle_boxes(rles).tolist() == [list(rle_box(rle)) for rle in rles]
    assert rle_boxes([]).shape == (0, 4)

"""J and F of one frame by hand and against the slow transcription; the statistics by hand."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest

from tests.metrics.literal_davis import literal_boundary, literal_f, literal_j, literal_statistics
from tests.records.result_factory import make_mask
from vis_cli.metrics.davis_measures import (
    Statistics,
    average_statistics,
    boundary_accuracy,
    boundary_map,
    frame_statistics,
    region_similarity,
    score_frame,
)


def labels(rows: list[str]) -> np.ndarray:
    return np.array([[int(character) for character in row] for row in rows], dtype=np.uint8)


def test_region_similarity_by_hand() -> None:
    prediction = labels(["1122", "1122"])
    truth = labels(["0111", "0111"])
    scores = region_similarity(prediction, truth, num_proposals=3, num_objects=2)
    np.testing.assert_allclose(scores, [[2 / 8, 0], [4 / 6, 0], [0, 1]])


def test_boundary_is_where_the_pixel_right_below_or_diagonal_differs() -> None:
    expected = make_mask([".....", ".###.", ".#.#.", ".###.", "....."])
    expected_of_block = make_mask(["###..", "#.#..", "###..", ".....", "....."])
    block = make_mask([".....", ".##..", ".##..", ".....", "....."])
    np.testing.assert_array_equal(boundary_map(block), expected_of_block)
    np.testing.assert_array_equal(boundary_map(np.pad(block, ((1, 0), (1, 0)))[:5, :5]), expected)


def test_the_border_of_the_picture_is_no_boundary() -> None:
    assert not boundary_map(np.ones((4, 6), bool)).any()
    half = make_mask(["...", "###", "###"])
    np.testing.assert_array_equal(boundary_map(half), make_mask(["###", "...", "..."]))
    np.testing.assert_array_equal(boundary_map(half.T), make_mask(["#..", "#..", "#.."]))
    np.testing.assert_array_equal(boundary_map(make_mask(["..", ".#"])), make_mask(["##", "#."]))


def test_boundary_map_equals_the_slow_one() -> None:
    rng = np.random.default_rng(0)
    for shape in [(1, 1), (1, 7), (7, 1), (6, 8), (9, 5)]:
        mask = rng.random(shape) < 0.5
        assert {(int(y), int(x)) for y, x in np.argwhere(boundary_map(mask))} == literal_boundary(mask)


def test_boundary_accuracy_by_hand() -> None:
    """A line of 10 pixels moved by the tolerance still matches; moved by one more it does not."""
    truth = np.zeros((120, 50), np.uint8)  # diagonal 130, so 0.008 of it rounds up to 2
    truth[60:] = 1
    moved = [np.roll(truth, shift, axis=0) for shift in (0, 2, 3)]
    for image in moved:
        image[:5], image[-5:] = 0, 1
    assert [boundary_accuracy(image, truth, 1, 1)[0, 0] for image in moved] == [1.0, 1.0, 0.0]


def test_tolerance_is_a_disk() -> None:
    """Moved along the diagonal a square's corners are 2.8 and 4.2 pixels away from where they were."""
    truth, near, far = (np.zeros((250, 40), np.uint8) for _ in range(3))  # diagonal 253, so 3 pixels
    truth[100:110, 10:20], near[102:112, 12:22], far[103:113, 13:23] = 1, 1, 1
    assert boundary_accuracy(near, truth, 1, 1)[0, 0] == 1.0
    assert 0.8 < boundary_accuracy(far, truth, 1, 1)[0, 0] < 1.0


def test_missing_boundaries() -> None:
    empty, some = np.zeros((5, 5), np.uint8), labels(["00000", "01100", "01100", "00000", "00000"])
    assert score_frame(empty, empty, 1, 1).tolist() == [[[1.0]], [[1.0]]]
    assert score_frame(some, empty, 1, 1).tolist() == [[[0.0]], [[0.0]]]
    assert score_frame(empty, some, 1, 1).tolist() == [[[0.0]], [[0.0]]]
    assert boundary_accuracy(np.ones((5, 5), np.uint8), empty, 1, 1)[0, 0] == 1.0  # neither has a boundary


def test_frames_equal_the_slow_transcription() -> None:
    rng = np.random.default_rng(3)
    for shape in [(14, 17), (8, 130), (260, 6)]:
        coarse = rng.integers(0, 4, (2, -(-shape[0] // 5), -(-shape[1] // 5)))
        prediction, truth = (np.kron(c, np.ones((5, 5), int))[: shape[0], : shape[1]].astype(np.uint8) for c in coarse)
        scores = score_frame(prediction, truth, 4, 3)
        void = np.zeros(shape, bool)
        for j in range(4):
            for i in range(3):
                masks = prediction == j + 1, truth == i + 1
                assert scores[0, j, i] == pytest.approx(literal_j(*masks, void), abs=1e-12)
                assert scores[1, j, i] == pytest.approx(literal_f(*masks, void), abs=1e-12)


def test_no_proposals_and_no_objects() -> None:
    empty = np.zeros((5, 5), np.uint8)
    assert score_frame(empty, empty, 0, 3).shape == (2, 0, 3)
    assert score_frame(empty, empty, 3, 0).shape == (2, 3, 0)


def test_statistics_by_hand() -> None:
    """Nine frames: edges 1, 3, 5, 7, 9, so the bins are frames 1 to 3 and 7 to 9."""
    values = np.array([1.0, 0.8, 0.6, 0.0, 0.5, 1.0, 0.4, 0.3, 0.2])
    statistics = frame_statistics(values)
    assert statistics.mean == pytest.approx(4.8 / 9)
    assert statistics.recall == pytest.approx(4 / 9)  # 0.5 itself does not count
    assert statistics.decay == pytest.approx(0.8 - 0.3)


@pytest.mark.parametrize("num_frames", [1, 2, 3, 4, 7, 40, 300, 513])
def test_statistics_equal_the_slow_transcription(num_frames: int) -> None:
    values = np.random.default_rng(num_frames).random(num_frames)
    statistics = frame_statistics(values)
    expected = literal_statistics(values.tolist())
    assert (statistics.mean, statistics.recall, statistics.decay) == pytest.approx(expected, abs=1e-12)


def test_averages_over_objects() -> None:
    assert average_statistics([Statistics(1.0, 0.5, 0.2), Statistics(0.5, 0.0, 0.0)]) == Statistics(0.75, 0.25, 0.1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert math.isnan(average_statistics([]).mean)

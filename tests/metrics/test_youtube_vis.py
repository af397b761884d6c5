"""Splits against the slow transcription of the benchmark's rules, and each rule on its own by hand."""

from __future__ import annotations

import dataclasses
from functools import partial

import numpy as np
import pytest

from tests.metrics.literal_youtube_vis import LiteralObject, forget, literal_scores
from tests.metrics.youtube_vis_factory import Box, evaluate, make_object, make_readers, make_split
from vis_cli.errors import VisError
from vis_cli.metrics.youtube_vis import PrecisionRecall, YouTubeVisScore, evaluate_youtube_vis

BOX: Box = (2, 2, 4, 5)
ELSEWHERE: Box = (7, 9, 4, 5)


def numbers(scores: PrecisionRecall) -> list[float]:
    return list(dataclasses.astuple(scores))


def random_box(rng: np.random.Generator, size: tuple[int, int]) -> Box | None:
    if rng.random() < 0.15:
        return None
    height, width = (int(rng.integers(0, side // 2 + 1)) for side in size)  # 0: a mask without a pixel
    return int(rng.integers(0, size[0] - height)), int(rng.integers(0, size[1] - width)), height, width


def moved(rng: np.random.Generator, box: Box | None, size: tuple[int, int]) -> Box | None:
    """Return the box as a prediction may find it: exactly, nearly, somewhere else or not at all."""
    chance = rng.random()
    if box is None or chance < 0.2:
        return random_box(rng, size)
    if chance < 0.5:
        return box
    y, x, height, width = box
    return y, x, max(0, height - int(rng.integers(0, 3))), max(0, width - int(rng.integers(0, 2)))


def random_problem(
    seed: int, size: tuple[int, int], *, max_predictions: int
) -> tuple[list[LiteralObject], list[LiteralObject], dict[int, int], list[int]]:
    """Draw predictions, objects, the frames of each video and the categories."""
    rng = np.random.default_rng(seed)
    num_frames = {int(video): int(rng.integers(1, 5)) for video in rng.permutation(9)[: rng.integers(1, 5)]}
    categories = [int(category) for category in rng.permutation(5)[: rng.integers(1, 4)]]
    truths, predictions = [], []
    boxes: dict[int, list[list[Box | None]]] = {video: [] for video in num_frames}
    for _ in range(int(rng.integers(0, 7))):
        video = int(rng.choice(list(num_frames)))
        sequence = [random_box(rng, size) for _ in range(num_frames[video])]
        boxes[video].append(sequence)
        areas = [rng.choice([None, 0.0, 16384.0, 65536.0, 900.0, 30000.0, 1e5]) for _ in sequence]
        truth = make_object(
            *sequence,
            video=video,
            category=int(rng.choice(categories)),
            crowd=bool(rng.random() < 0.2),
            areas=areas if rng.random() < 0.5 else None,
            size=size,
        )
        truths.append(truth)
    for _ in range(int(rng.integers(0, max_predictions))):
        video = int(rng.choice(list(num_frames)))
        options = [*boxes[video], [random_box(rng, size) for _ in range(num_frames[video])]]
        sequence = options[int(rng.integers(len(options)))]
        prediction = make_object(
            *(moved(rng, box, size) for box in sequence),
            video=video,
            category=int(rng.choice(categories)),
            score=float(rng.choice([0.1, 0.5, 0.5, 0.9, rng.random()])),
            size=size,
        )
        predictions.append(prediction)
    return predictions, truths, num_frames, categories


def check_random_problem(seed: int, size: tuple[int, int], *, max_predictions: int) -> list[float]:
    predictions, truths, num_frames, categories = random_problem(seed, size, max_predictions=max_predictions)
    score = evaluate(predictions, truths, num_frames=num_frames, categories=categories)
    expected = literal_scores(predictions, truths, list(num_frames), categories)
    np.testing.assert_allclose(numbers(score.summary), expected, atol=1e-9)
    for of_category in score.categories:
        alone = literal_scores(predictions, truths, list(num_frames), [of_category.category.id])
        np.testing.assert_allclose(numbers(of_category.scores), alone, atol=1e-9)
    forget()
    if score.summary.ap50 >= 0:
        assert_errors_fit(score)
    return numbers(score.summary)


def assert_errors_fit(score: YouTubeVisScore) -> None:
    """Check that every prediction and every object is right or has an error."""
    counts = {error.kind: error.count for error in score.errors}
    num_false = sum(count for kind, count in counts.items() if kind != "missed")
    found = sum(video.num_found for video in score.videos)
    assert sum(video.num_predictions for video in score.videos) == num_false + found
    assert 0 <= counts["missed"] <= sum(video.num_objects for video in score.videos) - found
    assert all(error.ap50_gain >= -1e-9 for error in score.errors if error.kind in ("both", "duplicate", "background"))


@pytest.mark.parametrize("block", range(12))
def test_small_problems_equal_the_slow_transcription(block: int) -> None:
    found = [check_random_problem(seed, (12, 16), max_predictions=12) for seed in range(30 * block, 30 * block + 30)]
    assert np.ptp(np.array(found), axis=0)[:3].min() > 0.3  # not all of them are trivial


@pytest.mark.parametrize("block", range(4))
def test_masks_of_all_three_sizes_equal_the_slow_transcription(block: int) -> None:
    seeds = range(1000 + 10 * block, 1010 + 10 * block)
    found = np.array([check_random_problem(seed, (620, 640), max_predictions=8) for seed in seeds])
    assert (found[:, 3:6].max(axis=0) >= 0).all()  # no range is empty in all of them


@pytest.mark.parametrize("seed", range(2000, 2006))
def test_many_predictions_equal_the_slow_transcription(seed: int) -> None:
    check_random_problem(seed, (12, 16), max_predictions=260)


def test_thresholds_and_recalls_by_hand() -> None:
    """IoU 0.72 passes 5 of 10 thresholds; half of the objects are found, so 51 of the 101 recalls."""
    truths = [make_object((0, 0, 10, 10)), make_object(ELSEWHERE, video=2)]
    score = evaluate([make_object((0, 0, 9, 8), score=0.5)], truths)
    assert score.summary.ap == pytest.approx(0.5 * 51 / 101)
    assert (score.summary.ap50, score.summary.ap75) == (pytest.approx(51 / 101), 0.0)
    assert score.summary.ar100 == pytest.approx(0.5 * 0.5)
    assert score.categories[0].precision.shape == (10, 101)
    assert score.categories[0].precision[:, 0].tolist() == [1.0] * 5 + [0.0] * 5


@pytest.mark.parametrize(("width", "passed"), [(10, 1), (9, 0)])
def test_an_iou_equal_to_the_threshold_is_enough(width: int, passed: int) -> None:
    score = evaluate([make_object((0, 0, 5, width), score=0.5)], [make_object((0, 0, 10, 10))])
    assert score.summary.ap50 == passed


def test_a_perfect_match_passes_every_threshold() -> None:
    assert evaluate([make_object(BOX, score=0.5)], [make_object(BOX)]).summary.ap == 1.0


def test_precision_is_made_to_fall() -> None:
    """Right, wrong, right: precision 1, 1/2, 2/3 at recall 1/2, 1/2, 1."""
    truths = [make_object(BOX), make_object(ELSEWHERE)]
    predictions = [
        make_object(BOX, score=0.9),
        make_object((0, 0, 1, 1), score=0.8),
        make_object(ELSEWHERE, score=0.7),
    ]
    assert evaluate(predictions, truths).summary.ap == pytest.approx((51 * 1 + 50 * 2 / 3) / 101)


def test_limits_hold_for_each_video_and_category() -> None:
    """Two videos and two categories with one object each: one prediction a video and category finds all."""
    places = [(video, category) for video in (1, 2) for category in (1, 2)]
    truths = [make_object(BOX, video=video, category=category) for video, category in places]
    found = [make_object(BOX, video=video, category=category, score=0.5) for video, category in places]
    assert evaluate(found, truths, categories=(1, 2)).summary.ar1 == 1.0


@pytest.mark.parametrize(("better", "expected"), [(0, (1, 1, 1)), (1, (0, 1, 1)), (10, (0, 0, 1)), (100, (0, 0, 0))])
def test_the_best_1_10_and_100_predictions_count(better: int, expected: tuple[int, int, int]) -> None:
    wrong = [make_object(ELSEWHERE, score=0.9) for _ in range(better)]
    score = evaluate([make_object(BOX, score=0.5), *wrong], [make_object(BOX)])
    summary = score.summary
    assert score.videos[0].num_predictions == min(better + 1, 100)
    assert (summary.ar1, summary.ar10, summary.ar100) == expected
    assert summary.ap == pytest.approx(1 / (better + 1) if better < 100 else 0.0)


@pytest.mark.parametrize(
    ("area", "ranges"),
    [
        (16383.0, (1, -1, -1)),
        (16384.0, (1, 1, -1)),  # the edge belongs to both
        (16385.0, (-1, 1, -1)),
        (65536.0, (-1, 1, 1)),
        (65537.0, (-1, -1, 1)),
    ],
)
def test_area_ranges_end_at_128_and_256_squared(area: float, ranges: tuple[int, int, int]) -> None:
    """Only the object's area decides here: what is matched is never ignored for its own."""
    summary = evaluate([make_object(BOX, score=0.5)], [make_object(BOX, areas=[area])]).summary
    assert (summary.ap_small, summary.ap_medium, summary.ap_large) == ranges
    assert (summary.ar_small, summary.ar_medium, summary.ar_large) == ranges
    assert summary.ap == 1.0


def test_the_area_is_the_mean_of_the_frames_where_there_is_one() -> None:
    boxes = [BOX, BOX, BOX, BOX]
    small = make_object(*boxes, areas=[None, 0.0, 16384.0, 16384.0])  # 16384, not a half or a quarter of it
    medium = make_object(*boxes, areas=[None, None, None, 16385.0])
    assert evaluate([], [small]).summary.ap_medium == 0.0
    assert evaluate([], [medium]).summary.ap_small == -1.0
    assert evaluate([], [make_object(*boxes, areas=[None] * 4)]).summary.ap_small == 0.0  # area 0


def test_an_unmatched_prediction_counts_in_the_range_of_its_own_area() -> None:
    """The better prediction of 200x200 pixels is wrong, but only among the medium and all."""
    size = (300, 300)
    truths = [make_object((0, 0, 50, 50), size=size), make_object((0, 0, 150, 150), video=2, size=size)]
    wrong = make_object((100, 100, 200, 200), score=0.9, size=size)
    right = [make_object((0, 0, 50, 50), score=0.5, size=size)]
    right += [make_object((0, 0, 150, 150), video=2, score=0.5, size=size)]
    summary = evaluate([wrong, *right], truths).summary
    assert (summary.ap_small, summary.ap_medium) == (1.0, 0.5)


def test_absent_masks_add_the_other_sides_area_to_the_union() -> None:
    """20 shared pixels; 20 more of the object alone, 4 of the prediction alone: 20/44, and 20/40 without these."""
    truth = make_object(BOX, BOX, None, None)
    assert evaluate([make_object(BOX, None, (0, 0, 2, 2), None, score=0.5)], [truth]).summary.ap50 == 0.0
    assert evaluate([make_object(BOX, None, None, None, score=0.5)], [truth]).summary.ap50 == 1.0


def test_nothing_overlaps_nothing() -> None:
    nothing = make_object(None, (0, 0, 0, 0))
    assert evaluate([make_object(None, None, score=0.5)], [nothing]).summary.ap == 0.0


def test_a_crowd_is_neither_found_nor_missed_and_takes_many() -> None:
    crowd, truth = make_object(ELSEWHERE, crowd=True), make_object(BOX)
    in_crowd = [make_object(ELSEWHERE, score=0.9) for _ in range(3)]
    found = make_object(BOX, score=0.5)
    assert evaluate([*in_crowd, found], [truth, crowd]).summary.ap == 1.0
    assert evaluate([*in_crowd, found], [truth]).summary.ap == 0.25
    alone = evaluate(in_crowd, [crowd])
    assert numbers(alone.summary) == [-1.0] * 12
    assert (alone.videos[0].num_objects, alone.videos[0].num_predictions) == (0, 0)
    assert alone.videos[0].mean_iou is None


def test_an_object_of_another_size_is_ignored_once() -> None:
    """The large object is ignored among the small: the first that finds it is too, the second is wrong."""
    truths = [make_object(BOX), make_object(ELSEWHERE, areas=[1e5])]
    twice = [make_object(ELSEWHERE, score=0.9), make_object(ELSEWHERE, score=0.8), make_object(BOX, score=0.5)]
    assert evaluate(twice, truths).summary.ap_small == 0.5
    assert evaluate(twice[1:], truths).summary.ap_small == 1.0


def test_an_object_that_counts_is_taken_before_a_crowd_that_overlaps_more() -> None:
    truths = [make_object((2, 2, 4, 5), crowd=True), make_object((2, 2, 4, 4))]
    assert evaluate([make_object((2, 2, 4, 5), score=0.5)], truths).summary.ap50 == 1.0


def test_each_object_is_found_once_and_by_the_better_prediction() -> None:
    near, exact = make_object((2, 2, 4, 4), score=0.9), make_object(BOX, score=0.5)  # IoU 0.8 and 1
    assert evaluate([near, exact], [make_object(BOX)]).summary.ap75 == 1.0
    assert evaluate([near, exact], [make_object(BOX)]).summary.ap == pytest.approx((7 * 1 + 3 * 0.5) / 10)


def test_equal_scores_keep_the_order_of_the_file_and_of_the_video_ids() -> None:
    right, wrong = make_object(BOX, score=0.5), make_object(ELSEWHERE, score=0.5)
    assert evaluate([right, wrong], [make_object(BOX)]).summary.ap == 1.0
    assert evaluate([wrong, right], [make_object(BOX)]).summary.ap == 0.5
    elsewhere = make_object(ELSEWHERE, video=2, score=0.5)
    assert evaluate([elsewhere, right], [make_object(BOX)], num_frames={2: 1, 1: 1}).summary.ap == 1.0
    earlier = dataclasses.replace(elsewhere, video=0)
    assert evaluate([right, earlier], [make_object(BOX)], num_frames={1: 1, 0: 1}).summary.ap == 0.5


def test_of_objects_that_overlap_equally_the_last_is_taken() -> None:
    """Both halves overlap the first prediction equally; only the second prediction tells which one was taken."""
    whole, left, right = (2, 2, 4, 8), (2, 2, 4, 4), (2, 6, 4, 4)
    truths = [make_object(left), make_object(right)]
    both = make_object(whole, score=0.9)
    assert evaluate([both, make_object(left, score=0.5)], truths).summary.ap50 == 1.0
    assert evaluate([both, make_object(right, score=0.5)], truths).summary.ap50 == pytest.approx(51 / 101)


def test_categories_are_compared_with_themselves_and_empty_ones_left_out() -> None:
    truths = [make_object(BOX, category=1), make_object(BOX, category=2)]
    score = evaluate([make_object(BOX, category=1, score=0.5)], truths, categories=(3, 2, 1))
    assert [(c.category.id, c.num_objects, c.scores.ap) for c in score.categories] == [(1, 1, 1), (2, 1, 0), (3, 0, -1)]
    assert score.summary.ap == 0.5
    assert (score.categories[2].precision == -1).all()


def test_videos_without_predictions_count_as_missed() -> None:
    truths = [make_object(BOX), make_object(BOX, video=2)]
    score = evaluate([make_object(BOX, score=0.5)], truths)
    assert score.summary.ap == pytest.approx(51 / 101)
    assert [(v.name, v.num_objects, v.num_found, v.mean_iou) for v in score.videos] == [
        ("v1", 1, 1, 1),
        ("v2", 1, 0, 0),
    ]


def test_no_predictions_and_no_objects() -> None:
    assert numbers(evaluate([], [make_object(BOX)]).summary) == [0, 0, 0, 0, -1, -1, 0, 0, 0, 0, -1, -1]
    assert numbers(evaluate([make_object(BOX, score=0.5)], []).summary) == [-1.0] * 12
    assert numbers(evaluate([], [], num_frames={}, categories=()).summary) == [-1.0] * 12


def test_the_mean_iou_of_a_video_is_that_of_the_nearest_of_the_category() -> None:
    truths = [make_object((0, 0, 10, 10)), make_object((0, 0, 10, 10), category=2)]
    predictions = [make_object((0, 0, 4, 10), score=0.9), make_object((0, 0, 6, 10), score=0.1)]
    video = evaluate(predictions, truths, categories=(1, 2)).videos[0]
    assert (video.mean_iou, video.num_found, video.num_objects) == (pytest.approx(0.3), 1, 2)


def test_workers_do_not_change_the_numbers() -> None:
    predictions, truths, num_frames, categories = random_problem(3, (12, 16), max_predictions=40)
    split, readers = make_split(truths, num_frames, categories), make_readers(predictions)
    seen = []
    one = evaluate_youtube_vis(split, readers, progress=lambda *state: seen.append(state))
    two = evaluate_youtube_vis(split, readers, num_workers=2)
    assert (one.summary, one.videos, one.errors) == (two.summary, two.videos, two.errors)
    assert seen == [("evaluate", done, len(num_frames)) for done in range(1, len(num_frames) + 1)]


def fail() -> list[object]:
    raise VisError("results.json: entry 3: damaged")


@pytest.mark.parametrize("num_workers", [1, 2])
def test_a_damaged_prediction_is_named(num_workers: int) -> None:
    split = make_split([make_object(BOX)], {1: 1}, [1])
    with pytest.raises(VisError, match="entry 3"):
        evaluate_youtube_vis(split, {1: partial(fail)}, num_workers=num_workers)  # type: ignore[dict-item]


def test_a_split_without_annotations_is_a_programmers_mistake() -> None:
    split = dataclasses.replace(make_split([], {1: 1}, [1]), annotations=None)
    with pytest.raises(ValueError, match="no annotations"):
        evaluate_youtube_vis(split, {})

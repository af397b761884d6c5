"""Identity metrics by hand, and against numbers of TrackEval that `tests.golden.identity_recipe` recorded."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from tests.golden.identity_recipe import make_problem
from tests.metrics.test_davis import make_labels, make_pairs
from tests.metrics.youtube_vis_factory import Box, encode, evaluate, make_object, paint
from vis_cli.metrics.davis import DavisScore, evaluate_semi_supervised, evaluate_unsupervised
from vis_cli.metrics.identity import IdentityScore, add_counts, average_scores, count_identities
from vis_cli.metrics.overlaps import FrameOverlaps, measure_sequences

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "identity_trackeval.json").read_text())

A: Box = (0, 0, 4, 5)
B: Box = (7, 9, 4, 5)
HALF_OF_A: Box = (0, 0, 2, 5)  # IoU 0.5
MOST_OF_A: Box = (0, 0, 4, 4)  # IoU 0.8


def measure(objects: Sequence[Sequence[Box | None]], predictions: Sequence[Sequence[Box | None]]) -> FrameOverlaps:
    num_frames = max(map(len, [*objects, *predictions]), default=0)
    true, found = ([encode([paint(box) for box in boxes]) for boxes in group] for group in (objects, predictions))
    return measure_sequences(found, true, num_frames)[1]


def score(objects: Sequence[Sequence[Box | None]], predictions: Sequence[Sequence[Box | None]]) -> IdentityScore | None:
    return count_identities(measure(objects, predictions)).score


def check(found: IdentityScore | None, **expected: float) -> None:
    assert found is not None
    values = dataclasses.asdict(found)
    assert {name: values[name] for name in expected} == pytest.approx(expected, abs=1e-12)


PERFECT = dict.fromkeys(("hota", "det_a", "ass_a", "loc_a", "idf1", "idp", "idr", "mota"), 1.0) | {"id_switches": 0}
NOT_FOUND = PERFECT | {name: 0.0 for name in PERFECT if name != "loc_a"}


def test_equal_masks_score_one() -> None:
    check(score([[A, A], [B, B]], [[B, B], [A, A]]), **PERFECT)
    check(score([[A]], [[A]]), **PERFECT)  # one frame
    check(score([[None, A, None]], [[None, A, None]]), **PERFECT)  # an absent object costs nothing


def test_without_objects_nothing_is_known() -> None:
    assert score([], []) is None
    assert score([], [[A, A]]) is None
    assert score([[None, None]], [[A, A]]) is None


def test_without_predictions_nothing_is_found() -> None:
    check(score([[A, A]], []), **NOT_FOUND)
    check(score([[A, A]], [[None, None]]), **NOT_FOUND)
    check(score([[A, A]], [[B, B]]), **NOT_FOUND | {"mota": -1.0})  # two missed, two false, of two


def test_an_identity_that_switches_once() -> None:
    # All masks match: DetA is 1. Each half has 2 of 4 frames in common: 2 / (4 + 2 - 2) is AssA.
    found = score([[A] * 4], [[A, A, None, None], [None, None, A, A]])
    check(found, det_a=1.0, ass_a=0.5, hota=math.sqrt(0.5), loc_a=1.0, id_switches=1, mota=0.75)
    check(found, idf1=0.5, idp=0.5, idr=0.5)


def test_two_objects_that_exchange_their_identities() -> None:
    found = score([[A] * 4, [B] * 4], [[A, B, B, B], [B, A, A, A]])
    check(found, id_switches=2, idf1=0.75, mota=0.75, det_a=1.0)
    # Both pairs of 3 frames have 3 / (4 + 4 - 3), both of 1 frame have 1 / (4 + 4 - 1).
    check(found, ass_a=(3 * 3 / 5 + 1 / 7) / 4)


def test_a_gap_is_missed_and_is_no_switch() -> None:
    found = score([[A] * 5], [[A, A, None, A, A]])
    check(found, id_switches=0, mota=0.8, det_a=0.8, ass_a=0.8, hota=0.8, idr=0.8, idp=1.0, idf1=8 / 9)


def test_a_switch_after_a_gap_counts() -> None:
    assert score([[A] * 3, [B] * 3], [[A, None, None], [B, B, B], [None, None, A]]).id_switches == 1
    assert score([[A] * 3], [[A, None, None], [None, None, A]]).id_switches == 1  # a frame without any prediction


def test_a_return_to_the_first_identity_is_a_second_switch() -> None:
    assert score([[A] * 3], [[A, None, A], [None, A, None]]).id_switches == 2


def test_a_match_continues_even_if_another_mask_fits_better() -> None:
    found = score([[A, A]], [[A, MOST_OF_A], [None, A]])
    check(found, id_switches=0, mota=1 - 1 / 2)
    # A frame without predictions is skipped, like in TrackEval: the match continues after it.
    assert score([[A, A, A]], [[A, None, MOST_OF_A], [None, None, A]]).id_switches == 0
    # A frame in which another object is matched ends it.
    assert score([[A, A, A], [B, B, B]], [[A, None, MOST_OF_A], [None, None, A], [B, B, B]]).id_switches == 1


def test_a_duplicate_is_a_false_detection() -> None:
    found = score([[A, A]], [[A, A], [A, A]])
    check(found, det_a=0.5, ass_a=1.0, hota=math.sqrt(0.5), idp=0.5, idr=1.0, idf1=2 / 3, mota=0.0, id_switches=0)


def test_an_iou_of_one_half_matches_at_ten_of_nineteen_thresholds() -> None:
    found = score([[A]], [[HALF_OF_A]])
    check(found, det_a=10 / 19, ass_a=10 / 19, hota=10 / 19, loc_a=(10 * 0.5 + 9) / 19, idf1=1.0, mota=1.0)
    less = score([[A]], [[(0, 0, 3, 3)]])  # IoU 0.45
    check(less, det_a=9 / 19, hota=9 / 19, idf1=0.0, mota=-1.0)


def test_hota_matches_by_association_before_iou() -> None:
    # The second prediction fits better in frame 0, but the first is there in all frames.
    found = score([[A] * 4], [[MOST_OF_A] * 4, [A, None, None, None]])
    share = 0.8 / 1.8  # of the first prediction in frame 0
    assert 0.8 * (share + 3) / (8 - share - 3) > (1 / 1.8) / (5 - 1 / 1.8)  # so it is matched there
    assert found.ass_a == pytest.approx(16 / 19)  # 4 of 4 frames up to IoU 0.8
    assert found.loc_a == pytest.approx((16 * 0.8 + 3) / 19)


def test_masks_can_overlap() -> None:
    check(score([[A, A], [MOST_OF_A, MOST_OF_A]], [[MOST_OF_A, MOST_OF_A], [A, A]]), **PERFECT)


def test_counts_of_videos_add_up_and_scores_of_categories_are_averaged() -> None:
    switched = count_identities(measure([[A] * 4], [[A, A, None, None], [None, None, A, A]]))
    missed = count_identities(measure([[A] * 2], []))
    false = count_identities(measure([], [[A] * 3]))
    total = add_counts([switched, missed, false]).score
    # 4 matches of 6 masks, 3 false ones; AssA stays the mean over the matches.
    check(total, det_a=4 / 9, ass_a=0.5, hota=math.sqrt(4 / 9 * 0.5), loc_a=1.0, idr=2 / 6, idp=2 / 7, idf1=4 / 13)
    check(total, mota=(4 - 3 - 1) / 6, id_switches=1)
    mean = average_scores([switched.score, missed.score, false.score])  # the last category has no objects
    check(mean, det_a=0.5, ass_a=0.25, hota=math.sqrt(0.5) / 2, loc_a=1.0, idf1=0.25, idp=0.25, idr=0.25)
    check(mean, mota=0.375, id_switches=1)
    assert average_scores([None]) is None
    assert add_counts([]).score is None


@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: f"seed {case['seed']}")
def test_recorded_numbers_of_trackeval(case: dict[str, object]) -> None:
    counts = [count_identities(measure(objects, found)) for objects, found in make_problem(case["seed"])]
    for of_video, expected in zip(counts, case["videos"], strict=True):
        if expected["num_object_masks"]:
            expected = {name: value for name, value in expected.items() if name != "num_object_masks"}
            check(of_video.score, **expected)
    check(add_counts(counts).score, **case["total"])


def test_the_recorded_problems_are_neither_trivial_nor_hopeless() -> None:
    hota = [case["total"]["hota"] for case in GOLDEN]
    assert 0.2 < min(hota) < max(hota) < 0.6
    assert sum(case["total"]["id_switches"] for case in GOLDEN) > 40


def test_categories_of_a_split() -> None:
    """A switch in category 1, a miss in category 2, a false detection in category 3, which has no objects."""
    truths = [make_object(A, A), make_object(B, B, category=2)]
    predictions = [
        make_object(A, None, score=0.9),
        make_object(None, A, score=0.8),
        make_object(B, B, category=3, score=0.7),
    ]
    found = evaluate(predictions, truths, categories=(1, 2, 3))
    by_id = {category.category.id: category.identity for category in found.categories}
    check(by_id[1], det_a=1.0, ass_a=0.5, id_switches=1)
    check(by_id[2], **NOT_FOUND)
    assert by_id[3] is None
    check(found.mean_identity, det_a=0.5, ass_a=0.25, id_switches=1)
    check(found.identity, det_a=1.0, ass_a=(0.5 + 0.5 + 1 + 1) / 4, id_switches=1)  # categories are ignored
    assert found.videos[0].identity == found.identity


def test_videos_of_a_split_add_up() -> None:
    truths = [make_object(A, A), make_object(A, A, video=2)]
    found = evaluate([make_object(A, A, score=0.5)], truths)
    check(found.mean_identity, det_a=0.5, ass_a=1.0)
    assert found.mean_identity == found.identity
    assert [video.identity.hota for video in found.videos] == [1.0, 0.0]


def test_a_sequence_with_several_categories_counts_once() -> None:
    predictions = [
        make_object(A, A, score=0.4, category=1),
        make_object(A, A, score=0.6, category=2),
        make_object(B, B, score=0.3, category=1),
    ]
    found = evaluate(predictions, [make_object(A, A, category=2), make_object(B, B)], categories=(1, 2))
    check(found.identity, **PERFECT)
    check(found.mean_identity, **PERFECT)
    twice = evaluate([*predictions, predictions[1]], [make_object(A, A, category=2)], categories=(1, 2))
    check(twice.mean_identity, det_a=0.5)  # a real duplicate


def test_crowds_and_their_predictions_do_not_count() -> None:
    truths = [make_object(A, A), make_object(B, B, crowd=True)]
    predictions = [make_object(A, A, score=0.5), make_object(B, B, score=0.6), make_object(B, B, score=0.7)]
    found = evaluate(predictions, truths)
    check(found.identity, **PERFECT)
    check(found.mean_identity, **PERFECT)


def test_davis_ignores_void_and_counts_each_false_proposal() -> None:
    truth = [make_labels((1, 0, 0, 4, 4), (255, 6, 6, 3, 3)) for _ in range(3)]
    inside_void = [make_labels((3, 0, 0, 4, 4), (1, 6, 6, 2, 2)) for _ in range(3)]
    found = evaluate_unsupervised("a", make_pairs(inside_void, truth))
    check(found.identities.score, **PERFECT)
    false = [make_labels((3, 0, 0, 4, 4), (1, 9, 0, 2, 2)) for _ in range(3)]
    found = evaluate_unsupervised("a", make_pairs(false, truth))
    assert found.summary.jf_mean == 1.0
    check(found.identities.score, det_a=0.5, ass_a=1.0, mota=0.0)


def test_davis_adds_up_sequences_and_follows_switches() -> None:
    truth = [make_labels((1, 0, 0, 4, 4)) for _ in range(4)]
    switched = [make_labels((1 if frame < 2 else 2, 0, 0, 4, 4)) for frame in range(4)]
    sequences = [
        evaluate_unsupervised(name, make_pairs(found, truth)) for name, found in (("a", switched), ("b", truth))
    ]
    check(sequences[0].identities.score, ass_a=0.5, id_switches=1)
    check(DavisScore(tuple(sequences)).identity, ass_a=0.75, det_a=1.0, id_switches=1)
    empty = [np.zeros_like(labels) for labels in truth]
    assert evaluate_unsupervised("a", make_pairs(truth, empty)).identities.score is None
    check(evaluate_unsupervised("a", make_pairs(empty, truth)).identities.score, **NOT_FOUND)


def test_davis_does_not_match_empty_masks() -> None:
    """J of two empty masks is 1, but an absent object is not a match."""
    truth = [make_labels((1, 0, 0, 4, 4)) if frame < 2 else make_labels() for frame in range(4)]
    check(evaluate_unsupervised("a", make_pairs(truth, truth)).identities.score, **PERFECT)


def test_semi_supervised_davis_scores_the_frames_between_the_first_and_the_last() -> None:
    truth = [make_labels((1, 0, 0, 4, 4), (2, 8, 8, 3, 3)) for _ in range(4)]
    exchanged = [make_labels((2, 0, 0, 4, 4), (1, 8, 8, 3, 3)), truth[1], truth[2], np.zeros_like(truth[0])]
    check(evaluate_semi_supervised("a", make_pairs(exchanged, truth)).identities.score, **PERFECT)

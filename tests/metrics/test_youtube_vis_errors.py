"""Each kind of error on its own, and what AP50 gains without it."""

from __future__ import annotations

import numpy as np
import pytest

from tests.metrics.literal_youtube_vis import LiteralObject
from tests.metrics.youtube_vis_factory import Box, evaluate, make_object
from vis_cli.metrics.youtube_vis_errors import (
    ERROR_KINDS,
    ErrorKind,
    GroundTruthObject,
    ScoredPrediction,
    average_precision_50,
    classify_error,
    count_errors,
)

BOX: Box = (0, 0, 10, 10)
PARTLY: Box = (0, 0, 10, 3)  # IoU 0.3 with BOX
HARDLY: Box = (0, 9, 9, 1)  # IoU 0.09 with BOX

MADE: dict[ErrorKind, LiteralObject] = {
    "class": make_object(BOX, category=2, score=0.9),
    "localisation": make_object(PARTLY, score=0.9),
    "both": make_object(PARTLY, category=2, score=0.9),
    "duplicate": make_object(BOX, score=0.4),
    "background": make_object(HARDLY, score=0.9),
}


@pytest.mark.parametrize("kind", list(MADE))
def test_each_kind_is_told_apart(kind: ErrorKind) -> None:
    predictions = [MADE[kind], make_object(BOX, score=0.5)]
    score = evaluate(predictions, [make_object(BOX)], categories=(1, 2))
    assert {error.kind: error.count for error in score.errors} == dict.fromkeys(ERROR_KINDS, 0) | {kind: 1}


def test_an_object_that_nothing_comes_near_to_is_missed() -> None:
    truths = [make_object(BOX), make_object(BOX, video=2), make_object(BOX, video=3)]
    score = evaluate([make_object(BOX, score=0.5), make_object(PARTLY, video=2, score=0.5)], truths)
    assert {error.kind: error.count for error in score.errors if error.count} == {"localisation": 1, "missed": 1}


def test_crowds_are_no_objects_and_take_no_blame() -> None:
    score = evaluate([make_object(PARTLY, score=0.9)], [make_object(BOX, crowd=True)])
    assert {error.kind: error.count for error in score.errors if error.count} == {"background": 1}


def test_gains_by_hand() -> None:
    """One category, four objects: found at 0.9 and 0.3, localised wrongly at 0.6, missed; background at 0.7.

    AP50 is (26 · 1 + 25 · 2/4) / 101: recall 1/4 at precision 1, then 2/4.
    """
    truths = [make_object(BOX, video=video) for video in range(1, 5)]
    predictions = [
        make_object(BOX, video=1, score=0.9),
        make_object(HARDLY, video=1, score=0.7),
        make_object(PARTLY, video=2, score=0.6),
        make_object(BOX, video=3, score=0.3),
    ]
    score = evaluate(predictions, truths)
    base = (26 * 1 + 25 * 2 / 4) / 101
    assert score.summary.ap50 == pytest.approx(base)
    gains = {error.kind: error.ap50_gain for error in score.errors}
    assert gains == {
        "class": 0.0,
        "localisation": pytest.approx((26 * 1 + 50 * 3 / 4) / 101 - base),
        "both": 0.0,
        "duplicate": 0.0,
        "background": pytest.approx((26 * 1 + 25 * 2 / 3) / 101 - base),
        "missed": pytest.approx((34 * 1 + 33 * 2 / 4) / 101 - base),
    }


def test_a_corrected_class_counts_for_the_category_that_it_is_of() -> None:
    truths = [make_object(BOX, category=1), make_object(BOX, category=2, video=2)]
    predictions = [make_object(BOX, category=2, score=0.9), make_object(BOX, category=2, video=2, score=0.5)]
    score = evaluate(predictions, truths, categories=(1, 2))
    assert score.summary.ap50 == pytest.approx(0.5 / 2)
    assert {error.kind: error.ap50_gain for error in score.errors}["class"] == pytest.approx(1 - 0.25)


def test_only_the_best_of_several_corrected_is_right() -> None:
    target = GroundTruthObject(1, 1, is_found=False)
    predictions = [
        ScoredPrediction(2, 0.5, "class", target),
        ScoredPrediction(3, 0.9, "class", target),
        ScoredPrediction(1, 0.7, "background", None),
    ]
    errors = {error.kind: error for error in count_errors(predictions, [target])}
    assert errors["class"].count == 2
    assert errors["class"].ap50_gain == 1.0  # right at 0.9, the background behind it
    assert errors["missed"].count == 0


def test_an_object_that_was_found_is_not_found_again_by_correction() -> None:
    target = GroundTruthObject(1, 1, is_found=True)
    predictions = [ScoredPrediction(1, 0.4, None, None), ScoredPrediction(1, 0.9, "localisation", target)]
    gains = {error.kind: error.ap50_gain for error in count_errors(predictions, [target])}
    assert gains["localisation"] == 0.5  # it is left out, and what is right leads


def test_correction_gives_no_second_match_of_an_object_in_place_of_another() -> None:
    found, other = GroundTruthObject(1, 1, is_found=True), GroundTruthObject(2, 1, is_found=False)
    predictions = [ScoredPrediction(1, 0.4, None, None), ScoredPrediction(1, 0.9, "localisation", found)]
    gains = {error.kind: error.ap50_gain for error in count_errors(predictions, [found, other])}
    # Half of the objects at precision 1/2, then at precision 1: the other object stays missed.
    assert gains["localisation"] == pytest.approx(51 / 101 * (1 - 1 / 2))


def test_edges_of_the_overlap() -> None:
    objects = [GroundTruthObject(1, 1, is_found=True), GroundTruthObject(2, 2, is_found=False)]

    def found(*ious: float) -> tuple[ErrorKind | None, GroundTruthObject | None]:
        return classify_error(1, np.array(ious), objects)

    assert found(0.5, 0.9) == ("duplicate", None)
    assert found(0.1, 0.9) == ("localisation", objects[0])
    assert found(0.09, 0.5) == ("class", objects[1])
    assert found(0.09, 0.49) == ("both", None)
    assert found(0.0, 0.1) == ("both", None)
    assert found(0.09, 0.09) == ("background", None)
    assert classify_error(1, np.zeros(0), []) == ("background", None)


def test_nothing_at_all() -> None:
    assert average_precision_50([], {}) == -1.0
    assert [(error.count, error.ap50_gain) for error in count_errors([], [])] == [(0, 0.0)] * 6

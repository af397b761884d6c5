"""Sequence IoU and the reductions: parity with the released numbers, and the rules by hand."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from vis_cli.engine.reduce import (
    reduce_each_category,
    reduce_proposals,
    sequence_nms,
    sequence_soft_nms,
)
from vis_cli.engine.sequences import Masks, SequenceProposals
from vis_cli.records.rle import encode_mask, sequence_iou
from vis_cli.settings import PAPER

GOLDEN = Path(__file__).parents[1] / "golden" / "reduce_cases.json"
SCORE_TOLERANCE = 1e-6  # the stored scores are float32


def test_sequence_iou_agrees_with_the_released_one() -> None:
    for case in _cases("seq_match_iou_rle"):
        sequences = _sequences([case["a"], case["b"]])
        iou = sequence_iou(sequences, sequences)
        assert iou[0, 1] == pytest.approx(case["iou"], abs=1e-12)
        assert iou[0, 1] == iou[1, 0]


def test_sequence_nms_agrees_with_the_released_one() -> None:
    for case in _cases("seq_nms"):
        kept = sequence_nms(
            _pairwise_iou(case["masks"]),
            np.array(case["scores"]),
            iou_threshold=case["iou_thr"],
            score_threshold=case["score_thr"],
        )
        assert kept == case["keep"]


def test_sequence_soft_nms_agrees_with_the_released_one() -> None:
    for case in _cases("seq_soft_nms"):
        kept, scores = sequence_soft_nms(
            _pairwise_iou(case["masks"]),
            np.array(case["scores"]),
            sigma=case["iou_thr"],
            score_threshold=case["score_thr"],
            max_sequences=case["max_seq_num"],
        )
        assert kept == (case["keep"] or [])
        np.testing.assert_allclose(scores[kept], case["keep_scores"] or [], atol=SCORE_TOLERANCE)


def test_category_aware_reduction_agrees_with_the_released_one() -> None:
    for case in _cases("cate_aware_reduce"):
        reduced = reduce_each_category(
            _pairwise_iou(case["masks"]),
            np.array(case["scores"]),
            sigma=case["iou_thr"],
            score_threshold=case["score_thr"],
            max_sequences=case["max_seq_num"],
        )
        np.testing.assert_allclose(reduced, case["out"], atol=SCORE_TOLERANCE)


def test_the_best_sequence_is_kept_however_low_and_ties_go_to_the_lower_index() -> None:
    scores = np.array([0.01, 0.02, 0.02])
    assert sequence_nms(np.eye(3), scores, iou_threshold=0.5, score_threshold=0.05) == [1]
    assert sequence_soft_nms(np.eye(3), scores, sigma=0.5, score_threshold=0.05, max_sequences=9)[0] == []


def test_nms_keeps_the_better_proposal_of_each_object() -> None:
    reduced = reduce_proposals(_proposals(), replace(PAPER, reduction="nms"))
    assert reduced.key_frames == (4, 2)  # of the left object the one from frame 4, then the right object
    assert reduced.ids == (12, 11)
    np.testing.assert_allclose(reduced.scores, [0.8, 0.6])


def test_soft_nms_decays_all_classes_of_a_duplicate_alike() -> None:
    reduced = reduce_proposals(_proposals(), replace(PAPER, reduction="soft-nms", score_threshold=0.01))
    decay = np.exp(-(1.0**2) / 0.5)
    assert reduced.key_frames == (4, 2, 0)
    np.testing.assert_allclose(reduced.class_scores[2], np.array([0.1, 0.7, 0.2]) * decay)


def test_category_aware_reduction_drops_duplicates_and_keeps_second_classes() -> None:
    reduced = reduce_proposals(_proposals(), replace(PAPER, reduction="category-aware"))
    assert reduced.key_frames == (4, 2)
    np.testing.assert_allclose(reduced.class_scores, [[0.1, 0.8, 0.1], [0.1, 0.3, 0.6]])


def test_category_aware_reduction_decays_only_the_shared_class() -> None:
    overlapping = _proposals(second=(slice(0, 4), slice(0, 4)))  # IoU 0.8 with the left object
    reduced = reduce_proposals(overlapping, replace(PAPER, reduction="category-aware"))
    assert reduced.key_frames == (4, 2)
    decay = np.exp(-(0.8**2) / 0.5)
    np.testing.assert_allclose(reduced.class_scores, [[0.1, 0.8, -1.0], [0.1, 0.3 * decay, 0.6]])


def test_category_aware_reduction_lists_unlikely_categories_of_objects_that_are_likely_enough() -> None:
    config = replace(PAPER, reduction="category-aware", score_threshold=0.001)
    scores = np.array([[0.29, 0.7, 0.002, 0.0005], [0.96, 0.04, 0.0, 0.0], [0.1, 0.8, 0.05, 0.05]])
    second = (slice(0, 4), slice(0, 4))  # IoU 0.8 with the left object
    proposals = replace(_proposals(second), class_scores=scores)
    reduced = reduce_proposals(proposals, config)
    assert reduced.key_frames == (4,)  # the second one scores less than 0.05, the first one is a duplicate
    first = reduce_proposals(proposals.select([0]), config)
    np.testing.assert_allclose(first.class_scores, [[0.29, 0.7, 0.002, -1.0]])


@pytest.mark.parametrize(("score", "kept"), [(0.06, (4, 2)), (0.04, (4,))])
def test_category_aware_reduction_drops_sequences_below_a_score_of_5_percent(
    score: float, kept: tuple[int, ...]
) -> None:
    config = replace(PAPER, reduction="category-aware", score_threshold=0.001)
    scores = np.array([[0.3, 0.7, 0.0], [1.0 - score, score, 0.0], [0.2, 0.8, 0.0]])
    assert reduce_proposals(replace(_proposals(), class_scores=scores), config).key_frames == kept


def test_without_reduction_all_proposals_remain_best_first() -> None:
    assert reduce_proposals(_proposals(), replace(PAPER, reduction="none")).key_frames == (4, 0, 2)
    strict = replace(PAPER, reduction="none", score_threshold=0.65)
    assert reduce_proposals(_proposals(), strict).key_frames == (4, 0)


@pytest.mark.parametrize("reduction", ["nms", "soft-nms", "category-aware", "none"])
def test_every_reduction_is_capped_takes_nothing_and_ignores_the_order(reduction: str) -> None:
    config = replace(PAPER, reduction=reduction, max_sequences=1)  # type: ignore[arg-type]
    proposals = _proposals()
    assert reduce_proposals(proposals, config).key_frames == (4,)
    assert reduce_proposals(proposals.select([]), config).ids == ()
    free = replace(PAPER, reduction=reduction)  # type: ignore[arg-type]
    expected = reduce_proposals(proposals, free)
    permuted = reduce_proposals(proposals.select([2, 0, 1]), free)
    assert permuted.key_frames == expected.key_frames
    np.testing.assert_allclose(permuted.class_scores, expected.class_scores)


@pytest.mark.parametrize(("containment", "kept"), [(0.79, (4,)), (0.8, (4, 2)), (1.0, (4, 2))])
def test_a_sequence_inside_a_better_one_is_removed(containment: float, kept: tuple[int, ...]) -> None:
    part = _of_one_category((slice(0, 5), slice(0, 2)))  # 8 of its 10 pixels lie in the left object, which has 20
    config = replace(PAPER, reduction="nms", containment=containment)
    assert reduce_proposals(part, config).key_frames == kept


def test_a_whole_with_a_lower_score_than_its_part_is_removed() -> None:
    whole = _of_one_category((slice(0, 10), slice(0, 12)))  # contains the left object
    assert reduce_proposals(whole, replace(PAPER, containment=0.8)).key_frames == (4,)
    best = replace(whole, class_scores=np.array([[0.3, 0.7, 0.0], [0.1, 0.9, 0.0], [0.2, 0.8, 0.0]]))
    assert reduce_proposals(best, replace(PAPER, containment=0.8)).key_frames == (2,)


def test_a_sequence_of_another_category_remains_inside_a_better_one() -> None:
    inside = _proposals(second=(slice(0, 3), slice(0, 3)))
    assert reduce_proposals(inside, replace(PAPER, containment=0.8)).key_frames == (4, 2)


def test_a_contained_sequence_does_not_remove_others() -> None:
    """The middle one lies in the best one. The third one has an IoU of 0.5 or more with the middle one only."""
    masks = [(slice(0, 4), slice(3, 8)), (slice(0, 4), slice(0, 8)), (slice(0, 4), slice(3, 12))]
    scores = np.array([[0.8, 0.0, 0.2], [0.4, 0.6, 0.0], [0.2, 0.8, 0.0]])
    proposals = replace(_proposals(), segmentations=tuple(_one_frame(where) for where in masks), class_scores=scores)
    config = replace(PAPER, sequence_nms_iou=0.6, containment=0.6)
    assert reduce_proposals(proposals, config).key_frames == (4, 0)
    assert reduce_proposals(proposals, replace(config, containment=1.0)).key_frames == (4, 2)


@pytest.mark.parametrize("reduction", ["soft-nms", "category-aware", "none"])
def test_only_nms_removes_contained_sequences(reduction: str) -> None:
    part = _of_one_category((slice(0, 4), slice(0, 2)))
    kept = replace(PAPER, reduction=reduction, containment=0.5)  # type: ignore[arg-type]
    assert len(reduce_proposals(part, kept).ids) == len(reduce_proposals(part, replace(kept, containment=1.0)).ids)


def _proposals(second: tuple[slice, slice] = (slice(5, 9), slice(5, 10))) -> SequenceProposals:
    """Propose the left object from frame 0, the second one from frame 2, the left one again, and better, from 4."""
    left = _one_frame((slice(0, 4), slice(0, 5)))
    return SequenceProposals(
        ids=(10, 11, 12),
        key_frames=(0, 2, 4),
        segmentations=(left, _one_frame(second), left),
        class_scores=np.array([[0.1, 0.7, 0.2], [0.1, 0.3, 0.6], [0.1, 0.8, 0.1]]),
    )


def _of_one_category(second: tuple[slice, slice] = (slice(5, 9), slice(5, 10))) -> SequenceProposals:
    return replace(_proposals(second), class_scores=np.array([[0.3, 0.7, 0.0], [0.4, 0.6, 0.0], [0.2, 0.8, 0.0]]))


def _one_frame(where: tuple[slice, slice]) -> Masks:
    mask = np.zeros((10, 12), dtype=np.bool_)
    mask[where] = True
    return (encode_mask(mask), None)


@cache
def _golden() -> dict[str, Any]:
    golden: dict[str, Any] = json.loads(GOLDEN.read_text())
    return golden


def _cases(kind: str) -> list[dict[str, Any]]:
    cases: list[dict[str, Any]] = _golden()[kind]
    assert len(cases) == 200
    return cases


def _pairwise_iou(masks: list[list[str | None]]) -> NDArray[np.float64]:
    sequences = _sequences(masks)
    return sequence_iou(sequences, sequences)


def _sequences(sequences: list[list[str | None]]) -> list[Masks]:
    size = _golden()["size"]
    return [
        tuple(None if counts is None else {"size": size, "counts": counts} for counts in sequence)
        for sequence in sequences
    ]

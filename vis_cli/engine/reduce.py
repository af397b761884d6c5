"""Reduction of sequence proposals: the best proposal of an object remains (Propose-Reduce, Sec. 3.2).

Used by `segmenter`. The paper leaves some rules open. There the authors' implementation is the model: see
docs/explanation/authors-implementation.md#fact-32 and the facts after it. Pure numpy.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vis_cli.config import SegmentConfig
from vis_cli.engine.sequences import Segmentations, SequenceProposals
from vis_cli.records.rle import rle_areas, sequence_intersections

# Sequence NMS before the category-aware reduction: its IoU threshold, and the score threshold of a sequence. The
# categories of a sequence may score less. See docs/explanation/authors-implementation.md#fact-35.
DUPLICATE_IOU = 0.9
DUPLICATE_SCORE = 0.05
NOT_SELECTED = -1.0  # class score of a sequence that lost that class


def reduce_proposals(proposals: SequenceProposals, config: SegmentConfig) -> SequenceProposals:
    """Reduce S to the final set, best first, with ids from 1."""
    iou = sequence_iou(proposals.segmentations)
    if config.reduction == "nms":
        reduced = _reduce_by_nms(proposals, iou, config)
    elif config.reduction == "soft-nms":
        reduced = _reduce_by_soft_nms(proposals, iou, config)
    elif config.reduction == "category-aware":
        reduced = _reduce_by_category(proposals, iou, config)
    else:
        reduced = proposals.select(_best_first(proposals.scores, config.sequence_score))
    first = reduced.select(range(min(len(reduced.ids), config.max_sequences)))
    return dataclasses.replace(first, ids=tuple(range(1, len(first.ids) + 1)))


def sequence_iou(sequences: Sequence[Segmentations]) -> NDArray[np.float64]:
    """Return the (N, N) IoU over all frames of every two sequences; 0 where both are empty (Propose-Reduce, Eq. 3)."""
    intersections = sequence_intersections(sequences, sequences)
    areas = np.array([rle_areas(masks).sum() for masks in sequences], dtype=np.int64)
    unions = areas[:, None] + areas[None, :] - intersections
    iou: NDArray[np.float64] = intersections / np.maximum(unions, 1)
    return iou


def sequence_nms(
    iou: NDArray[np.float64], scores: NDArray[np.float64], *, iou_threshold: float, score_threshold: float
) -> list[int]:
    """Select greedily by score (ties: lower index); suppress at `iou_threshold` and above.

    Sequences below `score_threshold` are not selected, except for the best sequence.
    See docs/explanation/authors-implementation.md#fact-32.
    """
    selected: list[int] = []
    for index in np.argsort(-scores, kind="stable").tolist():
        if selected and scores[index] < score_threshold:
            break
        if not (iou[index, selected] >= iou_threshold).any():
            selected.append(index)
    return selected


def sequence_soft_nms(
    iou: NDArray[np.float64],
    scores: NDArray[np.float64],
    *,
    sigma: float,
    score_threshold: float,
    max_sequences: int,
) -> tuple[list[int], NDArray[np.float64]]:
    """Select greedily by score, each time decaying the others' by exp(-iou^2 / sigma).

    See docs/explanation/authors-implementation.md#fact-34.

    Returns:
        The selected indices in order of selection, and the scores (N,) they were selected with; those of others
        are as far decayed as they came.
    """
    decayed = scores.astype(np.float64)  # a copy
    waiting = np.ones(len(scores), dtype=np.bool_)
    selected: list[int] = []
    while len(selected) < max_sequences and (waiting & (decayed >= score_threshold)).any():
        best = int(np.where(waiting, decayed, -np.inf).argmax())
        selected.append(best)
        waiting[best] = False
        decayed[waiting] *= np.exp(-(iou[best, waiting] ** 2) / sigma)
    return selected, decayed


def reduce_each_category(
    iou: NDArray[np.float64],
    class_scores: NDArray[np.float64],
    *,
    sigma: float,
    score_threshold: float,
    max_sequences: int,
) -> NDArray[np.float64]:
    """Apply soft-NMS to each foreground class separately (Propose-Reduce, Sec. 4.4, Category-Aware Reduction).

    See docs/explanation/authors-implementation.md#fact-35.

    Returns:
        The (N, C+1) decayed scores, NOT_SELECTED where a sequence lost a class; column 0 as it was.
    """
    reduced = np.full_like(class_scores, NOT_SELECTED)
    reduced[:, 0] = class_scores[:, 0]
    for label in range(1, class_scores.shape[1]):
        selected, decayed = sequence_soft_nms(
            iou, class_scores[:, label], sigma=sigma, score_threshold=score_threshold, max_sequences=max_sequences
        )
        reduced[selected, label] = decayed[selected]
    return reduced


def _reduce_by_nms(proposals: SequenceProposals, iou: NDArray[np.float64], config: SegmentConfig) -> SequenceProposals:
    selected = sequence_nms(
        iou, proposals.scores, iou_threshold=config.sequence_iou, score_threshold=config.sequence_score
    )
    return proposals.select(selected)


def _reduce_by_soft_nms(
    proposals: SequenceProposals, iou: NDArray[np.float64], config: SegmentConfig
) -> SequenceProposals:
    """Reduce by the best class's score; what a sequence loses of it, it loses of its other classes too."""
    selected, decayed = sequence_soft_nms(
        iou,
        proposals.scores,
        sigma=config.soft_nms_sigma,
        score_threshold=config.sequence_score,
        max_sequences=config.max_sequences,
    )
    factors = np.divide(decayed, proposals.scores, out=np.ones_like(decayed), where=proposals.scores > 0)
    class_scores = proposals.class_scores * factors[:, None]
    return dataclasses.replace(proposals, class_scores=class_scores).select(selected)


def _reduce_by_category(
    proposals: SequenceProposals, iou: NDArray[np.float64], config: SegmentConfig
) -> SequenceProposals:
    distinct = sequence_nms(iou, proposals.scores, iou_threshold=DUPLICATE_IOU, score_threshold=DUPLICATE_SCORE)
    remaining = proposals.select(distinct)
    class_scores = reduce_each_category(
        iou[np.ix_(distinct, distinct)],
        remaining.class_scores,
        sigma=config.soft_nms_sigma,
        score_threshold=config.sequence_score,
        max_sequences=config.max_sequences,
    )
    reduced = dataclasses.replace(remaining, class_scores=class_scores)
    return reduced.select(_best_first(reduced.scores, config.sequence_score))


def _best_first(scores: NDArray[np.float64], score_threshold: float) -> list[int]:
    order = np.argsort(-scores, kind="stable").tolist()
    return [index for index in order if scores[index] >= score_threshold]

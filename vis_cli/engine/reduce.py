"""Reduction of sequence proposals: one proposal per object remains (Propose-Reduce, Sec. 3.2); used by `segmenter`.

The paper does not define every rule. The rules that it leaves open follow the authors' implementation:
docs/explanation/authors-implementation.md#fact-32 and the facts after it.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from vis_cli.engine.sequences import SequenceProposals
from vis_cli.records.rle import sequence_areas, sequence_iou
from vis_cli.settings import SegmentSettings

# Sequence NMS before the category-aware reduction: its IoU threshold, and the score threshold of a sequence. The
# categories of a sequence may score less. See docs/explanation/authors-implementation.md#fact-35.
DUPLICATE_IOU = 0.9
DUPLICATE_SCORE = 0.05
NOT_SELECTED = -1.0  # class score of a sequence that was not selected for the class


def reduce_proposals(proposals: SequenceProposals, config: SegmentSettings) -> SequenceProposals:
    """Remove duplicate proposals.

    Args:
        proposals: The redundant set S.
        config: `reduction` selects the rule; the other settings of the step are its parameters.

    Returns:
        At most `max_sequences` sequences in descending order of score.
    """
    iou = sequence_iou(proposals.segmentations, proposals.segmentations)
    if config.reduction == "nms":
        reduced = _reduce_by_nms(proposals, iou, config)
    elif config.reduction == "soft-nms":
        reduced = _reduce_by_soft_nms(proposals, iou, config)
    elif config.reduction == "category-aware":
        reduced = _reduce_by_category(proposals, iou, config)
    else:
        reduced = proposals.select(_best_first(proposals.scores, config.score_threshold))
    return reduced.select(range(min(len(reduced.ids), config.max_sequences)))


def sequence_nms(
    iou: NDArray[np.float64],
    scores: NDArray[np.float64],
    *,
    iou_threshold: float,
    score_threshold: float,
    contained: NDArray[np.bool_] | None = None,
) -> list[int]:
    """Apply NMS to sequence proposals.

    Args:
        iou: Pairwise sequence IoU, (N, N), from 0 to 1.
        scores: Sequence scores, (N,). The lower index wins a tie.
        iou_threshold: A sequence is removed if its IoU with a selected sequence is at least this value.
        score_threshold: Minimum score. The best sequence is selected in any case.
        contained: (N, N), symmetric: one of the two sequences lies in the other one. The sequence with the lower score
            is removed. None: no pair.

    Returns:
        Indices of the selected sequences, in descending order of score.

    Reference: Propose-Reduce, Sec. 3.2; docs/explanation/authors-implementation.md#fact-32.
    """
    same = iou >= iou_threshold if contained is None else (iou >= iou_threshold) | contained
    selected: list[int] = []
    for index in np.argsort(-scores, kind="stable").tolist():
        if selected and scores[index] < score_threshold:
            break
        if not same[index, selected].any():
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
    """Apply soft-NMS to sequence proposals: each selection multiplies the other scores by exp(-iou^2 / sigma).

    Args:
        iou: Pairwise sequence IoU, (N, N), from 0 to 1.
        scores: Sequence scores, (N,). The lower index wins a tie.
        sigma: Width of the Gaussian decay, above 0. A smaller value suppresses more.
        score_threshold: Minimum decayed score.
        max_sequences: Maximum number of selected sequences.

    Returns:
        Indices of the selected sequences in order of selection, and the decayed scores (N,) at the end. A selected
        sequence keeps the score that it was selected with.

    Reference: Propose-Reduce, Sec. 3.2; Soft-NMS (Bodla et al., ICCV 2017);
        docs/explanation/authors-implementation.md#fact-34.
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
    """Apply soft-NMS to each foreground class separately (category-aware reduction).

    Args:
        iou: Pairwise sequence IoU, (N, N), from 0 to 1.
        class_scores: (N, C+1), background first.
        sigma: Width of the Gaussian decay, above 0.
        score_threshold: Minimum decayed score of a class.
        max_sequences: Maximum number of sequences per class.

    Returns:
        Decayed scores (N, C+1). The score is NOT_SELECTED if the sequence was not selected for the class. The scores of
        the background do not change.

    Reference: Propose-Reduce, Sec. 4.4; docs/explanation/authors-implementation.md#fact-35.
    """
    reduced = np.full_like(class_scores, NOT_SELECTED)
    reduced[:, 0] = class_scores[:, 0]
    for label in range(1, class_scores.shape[1]):
        selected, decayed = sequence_soft_nms(
            iou, class_scores[:, label], sigma=sigma, score_threshold=score_threshold, max_sequences=max_sequences
        )
        reduced[selected, label] = decayed[selected]
    return reduced


def _reduce_by_nms(
    proposals: SequenceProposals, iou: NDArray[np.float64], config: SegmentSettings
) -> SequenceProposals:
    selected = sequence_nms(
        iou,
        proposals.scores,
        iou_threshold=config.sequence_nms_iou,
        score_threshold=config.score_threshold,
        contained=None if config.containment >= 1.0 else contained_pairs(proposals, config.containment, iou=iou),
    )
    return proposals.select(selected)


def _reduce_by_soft_nms(
    proposals: SequenceProposals, iou: NDArray[np.float64], config: SegmentSettings
) -> SequenceProposals:
    """Apply soft-NMS to the sequence scores. All classes of a sequence decay by the factor of its best class."""
    selected, decayed = sequence_soft_nms(
        iou,
        proposals.scores,
        sigma=config.soft_nms_sigma,
        score_threshold=config.score_threshold,
        max_sequences=config.max_sequences,
    )
    factors = np.divide(decayed, proposals.scores, out=np.ones_like(decayed), where=proposals.scores > 0)
    class_scores = proposals.class_scores * factors[:, None]
    return dataclasses.replace(proposals, class_scores=class_scores).select(selected)


def _reduce_by_category(
    proposals: SequenceProposals, iou: NDArray[np.float64], config: SegmentSettings
) -> SequenceProposals:
    distinct = sequence_nms(iou, proposals.scores, iou_threshold=DUPLICATE_IOU, score_threshold=DUPLICATE_SCORE)
    remaining = proposals.select(distinct)
    class_scores = reduce_each_category(
        iou[np.ix_(distinct, distinct)],
        remaining.class_scores,
        sigma=config.soft_nms_sigma,
        score_threshold=config.score_threshold,
        max_sequences=config.max_sequences,
    )
    reduced = dataclasses.replace(remaining, class_scores=class_scores)
    return reduced.select(_best_first(reduced.scores, config.score_threshold))


def contained_pairs(
    proposals: SequenceProposals, fraction: float, *, iou: NDArray[np.float64] | None = None
) -> NDArray[np.bool_]:
    """Return the pairs (N, N) of one category in which more than a fraction of one sequence lies in the other one.

    A sequence of another category can be a separate object, such as a cat in the arms of a person.

    Args:
        proposals: N sequences.
        fraction: From 0 to 1.
        iou: Pairwise sequence IoU (N, N), if it is known.
    """
    iou = sequence_iou(proposals.segmentations, proposals.segmentations) if iou is None else iou
    areas = sequence_areas(proposals.segmentations)
    intersections = np.rint(iou * (areas[:, None] + areas[None, :]) / (1.0 + iou))  # pixels, from the definition of IoU
    contained = intersections / np.maximum(np.minimum(areas[:, None], areas[None, :]), 1)
    labels = proposals.class_scores[:, 1:].argmax(axis=1)
    pairs: NDArray[np.bool_] = (contained > fraction) & (labels[:, None] == labels[None, :])
    return pairs


def _best_first(scores: NDArray[np.float64], score_threshold: float) -> list[int]:
    order = np.argsort(-scores, kind="stable").tolist()
    return [index for index in order if scores[index] >= score_threshold]

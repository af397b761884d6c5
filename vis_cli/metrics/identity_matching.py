"""Matching of sequences with objects, frame by frame (HOTA, CLEAR MOT) and over the video (IDF1).

Used by `metrics.identity`. The rules, their thresholds and their order are the same as in TrackEval.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

from vis_cli.metrics.overlaps import Floats, FrameOverlaps

HOTA_THRESHOLDS = np.arange(0.05, 0.99, 0.05)  # alpha: minimum IoU of a match, 0.05 to 0.95
MATCH_IOU = 0.5  # minimum IoU of a match for IDF1, MOTA and identity switches
EPSILON = float(np.finfo(np.float64).eps)
CONTINUES = 1000.0  # an object keeps the prediction of the previous frame, even if another one fits better
NOTHING = -1


class HotaSums(NamedTuple):
    """Sums over the matches of all frames, for the A thresholds of HOTA."""

    matches: Floats  # (A,)
    association: Floats  # (A,): of the IoU of the lifetimes of the two matched sequences
    localization: Floats  # (A,): of the IoU of the masks


class ClearCounts(NamedTuple):
    """Counts of CLEAR MOT."""

    matches: int
    switches: int


def sum_hota(overlaps: FrameOverlaps) -> HotaSums:
    """Match the masks of each frame so that association and IoU are maximal, and sum over all matches.

    Reference: HOTA (Luiten et al., IJCV 2021), Sec. 5.
    """
    alignment = _align(overlaps)
    together = np.zeros((len(HOTA_THRESHOLDS), *alignment.shape))  # (A, N, P): frames in which a pair is matched
    localization = np.zeros(len(HOTA_THRESHOLDS))
    for objects, predictions, ious in overlaps.iter_visible():
        weights = alignment[np.ix_(objects, predictions)] * ious
        rows, columns = linear_sum_assignment(weights, maximize=True)
        matched = ious[rows, columns]
        is_match = matched >= HOTA_THRESHOLDS[:, None] - EPSILON  # (A, matches)
        together[:, objects[rows], predictions[columns]] += is_match
        localization += (is_match * matched).sum(axis=1)
    lifetimes = np.maximum(_lengths(overlaps) - together, 1)
    return HotaSums(together.sum(axis=(1, 2)), (together**2 / lifetimes).sum(axis=(1, 2)), localization)


def count_identity_matches(overlaps: FrameOverlaps) -> int:
    """Assign at most one sequence to each object, and return the maximum number of frames in which they match.

    Reference: Performance measures and a data set for multi-target, multi-camera tracking (Ristani et al., ECCVW 2016).
    """
    together = (overlaps.ious >= MATCH_IOU).sum(axis=0)  # (N, P)
    rows, columns = linear_sum_assignment(together, maximize=True)
    return int(together[rows, columns].sum())


def count_clear(overlaps: FrameOverlaps) -> ClearCounts:
    """Match the masks of each frame, first with the prediction of the previous frame, then by IoU.

    An identity switch is a match with another prediction than in the last frame in which the object was matched, any
    number of frames before. A frame without a visible object or without a visible prediction is skipped.

    Reference: CLEAR MOT (Bernardin and Stiefelhagen, 2008).
    """
    last = np.full(overlaps.ious.shape[1], NOTHING)  # prediction of the last match of each object
    previous = last.copy()  # prediction of each object in the previous frame
    num_matches = num_switches = 0
    for objects, predictions, ious in overlaps.iter_visible():
        continues = previous[objects][:, None] == predictions[None, :]
        weights = np.where(ious >= MATCH_IOU - EPSILON, ious + CONTINUES * continues, 0.0)
        rows, columns = linear_sum_assignment(weights, maximize=True)
        is_match = weights[rows, columns] > 0
        matched, partners = objects[rows[is_match]], predictions[columns[is_match]]
        num_switches += int(((last[matched] != NOTHING) & (last[matched] != partners)).sum())
        num_matches += len(matched)
        last[matched] = partners
        previous[:] = NOTHING
        previous[matched] = partners
    return ClearCounts(num_matches, num_switches)


def _align(overlaps: FrameOverlaps) -> Floats:
    """Return how well the sequences agree with the objects over all frames, (N, P), from 0 to 1.

    Each frame adds the IoU of the pair, divided by the sum of all IoUs of its object and of its prediction.
    """
    agreement = np.zeros(overlaps.ious.shape[1:])
    for ious in overlaps.ious:
        total = ious.sum(axis=0)[None, :] + ious.sum(axis=1)[:, None] - ious
        agreement += np.where(total > EPSILON, ious / np.maximum(total, EPSILON), 0.0)
    alignment: Floats = agreement / np.maximum(_lengths(overlaps) - agreement, 1)
    return alignment


def _lengths(overlaps: FrameOverlaps) -> Floats:
    """Return the number of frames of each object plus the number of frames of each prediction, (N, P)."""
    of_objects, of_predictions = overlaps.visible_objects.sum(axis=0), overlaps.visible_predictions.sum(axis=0)
    lengths: Floats = (of_objects[:, None] + of_predictions[None, :]).astype(np.float64)
    return lengths

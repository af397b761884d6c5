"""Matching of predictions with the objects of one video and category by sequence IoU, as in the YouTube-VIS evaluator.

Used by `metrics.youtube_vis`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)
MAX_AREA = 1e10
AREA_RANGES = (
    (0.0, MAX_AREA),
    (0.0, 128.0**2),
    (128.0**2, 256.0**2),
    (256.0**2, MAX_AREA),
)  # all, small, medium, large

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Objects:
    """N objects of the ground truth of one video and category."""

    areas: Floats  # (N,): mean visible areas in pixels
    is_crowd: Bools  # (N,): a crowd counts neither as found nor as missed


@dataclass(frozen=True, slots=True, eq=False)
class Matches:
    """Matches of D predictions of one video and category, for A area ranges and T IoU thresholds."""

    scores: Floats  # (D,): in descending order
    is_true: Bools  # (A, T, D): whether a prediction is matched with an object
    is_ignored: Bools  # (A, T, D): whether a prediction counts neither as true nor as false
    num_objects: NDArray[np.int64]  # (A,): number of objects that count
    is_found: Bools  # (N,): whether an object of any area is matched at the lowest IoU threshold


def mean_visible_areas(sequences: Sequence[Sequence[float | None]]) -> Floats:
    """Average areas over the frames in which the object is visible.

    Args:
        sequences: N sequences with one area per frame, in pixels; None or 0 where the object is absent.

    Returns:
        Mean areas (N,), in pixels; 0 for an object that is never visible.
    """
    if not sequences:
        return np.zeros(0)
    areas = np.array([[area or 0.0 for area in sequence] for sequence in sequences], dtype=np.float64)
    visible = areas != 0
    means: Floats = areas.sum(axis=1, where=visible) / np.maximum(visible.sum(axis=1), 1)
    return means


def match_predictions(scores: Floats, areas: Floats, ious: Floats, objects: Objects) -> Matches:
    """Match each prediction with the unmatched object of highest IoU, for each area range and IoU threshold.

    Predictions are matched in descending order of score. Crowds and objects outside the area range are ignored: a
    prediction is matched with them only if no other object reaches the threshold, and is then ignored too. Several
    predictions can be matched with the same crowd. A prediction without a match is ignored if its area is outside the
    range.

    Args:
        scores: Scores of D predictions, (D,), in descending order.
        areas: Mean visible areas of the predictions in pixels, (D,).
        ious: IoU of each prediction with each object, (D, N), from 0 to 1.
        objects: The objects in the order of the file. If several objects have the same IoU, the last one is matched.
    """
    low, high = np.array(AREA_RANGES).T[:, :, None]  # (A, 1) each
    object_ignored = objects.is_crowd | (objects.areas < low) | (objects.areas > high)  # (A, N)
    outside = (areas < low) | (areas > high)  # (A, D)
    is_matched = np.zeros((len(AREA_RANGES), len(IOU_THRESHOLDS), len(scores)), dtype=np.bool_)
    is_ignored = np.repeat(outside[:, None], len(IOU_THRESHOLDS), axis=1)
    close_enough = ious[:, None] >= IOU_THRESHOLDS[:, None]  # (D, T, N)
    is_free = np.ones((*is_matched.shape[:2], len(objects.areas)), dtype=np.bool_)
    for d in np.flatnonzero(close_enough.any(axis=(1, 2))):
        candidates = (is_free | objects.is_crowd) & close_enough[d]  # (A, T, N)
        regular = candidates & ~object_ignored[:, None]
        candidates = np.where(regular.any(axis=2, keepdims=True), regular, candidates)
        area_range, threshold = np.nonzero(candidates.any(axis=2))
        taken = _last_argmax(np.where(candidates, ious[d], -1.0))[area_range, threshold]
        is_free[area_range, threshold, taken] = False
        is_matched[area_range, threshold, d] = True
        is_ignored[area_range, threshold, d] = object_ignored[area_range, taken]
    return Matches(
        scores=scores,
        is_true=is_matched & ~is_ignored,
        is_ignored=is_ignored,
        num_objects=(~object_ignored).sum(axis=1),
        is_found=~is_free[0, 0],
    )


def _last_argmax(values: Floats) -> NDArray[np.intp]:
    """Return the last index of the maximum along the last axis."""
    last: NDArray[np.intp] = values.shape[-1] - 1 - values[..., ::-1].argmax(axis=-1)
    return last

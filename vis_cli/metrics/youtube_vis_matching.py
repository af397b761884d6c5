"""Which predictions of one video and category are right: matched by sequence IoU as YouTube-VIS's evaluator does.

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
    """Hold N true objects of one video and category; `areas` are their mean visible areas in pixels: (N,)."""

    areas: Floats
    is_crowd: Bools  # (N,): neither found nor missed counts


@dataclass(frozen=True, slots=True, eq=False)
class Matches:
    """Say what became of D predictions of one video and category, the best first: A area ranges, T IoU thresholds."""

    scores: Floats  # (D,)
    is_true: Bools  # (A, T, D): matched with an object
    is_ignored: Bools  # (A, T, D): neither right nor wrong
    num_objects: NDArray[np.int64]  # (A,): that are to be found
    is_found: Bools  # (N,): by any prediction at the lowest threshold, whatever the object's area


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
    """Give each prediction, the best first, the free object that it overlaps most, for every area range and threshold.

    An object outside the area range, or a crowd, is ignored: it is taken only where no other will do, and so is the
    prediction that takes it. A crowd can be taken again and again. A prediction without an object is ignored where its
    own area is outside the range.

    Args:
        scores: of D predictions, falling: (D,).
        areas: their mean visible areas: (D,).
        ious: with the objects: (D, N).
        objects: in the order of the file; of equal IoUs the last one counts.
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

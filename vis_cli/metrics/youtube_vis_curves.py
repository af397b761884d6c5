"""Precision and recall of one category: the ranking of its predictions over all videos, and 101-point curves.

Used by `metrics.youtube_vis` and `metrics.youtube_vis_errors`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vis_cli.metrics.youtube_vis_matching import AREA_RANGES, IOU_THRESHOLDS, Bools, Floats, Matches

RECALLS = np.linspace(0.0, 1.0, 101)  # recalls at which precision is sampled
MAX_PREDICTIONS = (1, 10, 100)  # limits of predictions per video and category
NOTHING = -1.0  # value of a metric without objects, as in the benchmark


@dataclass(frozen=True, slots=True, eq=False)
class Curves:
    """Curves of one category: A area ranges, M limits of predictions, T IoU thresholds, R recalls."""

    precision: Floats  # (A, M, T, R), from 0 to 1; NOTHING for an area range without objects
    recall: Floats  # (A, M, T), from 0 to 1: the maximum recall; NOTHING for an area range without objects


def category_curves(videos: Sequence[Matches]) -> Curves:
    """Rank the predictions of all videos by score, and compute the curves.

    Args:
        videos: Matches of one category in each video, in the order of the video ids, which breaks ties.
    """
    shape = (len(AREA_RANGES), len(MAX_PREDICTIONS), len(IOU_THRESHOLDS))
    curves = Curves(np.full((*shape, len(RECALLS)), NOTHING), np.full(shape, NOTHING))
    num_objects = np.sum([video.num_objects for video in videos], axis=0, initial=0) * np.ones(len(AREA_RANGES), int)
    if not num_objects.any():
        return curves
    for m, limit in enumerate(MAX_PREDICTIONS):
        scores = np.concatenate([video.scores[:limit] for video in videos])
        order = np.argsort(-scores, kind="stable")
        is_true = np.concatenate([video.is_true[..., :limit] for video in videos], axis=2)[..., order]
        ignored = np.concatenate([video.is_ignored[..., :limit] for video in videos], axis=2)[..., order]
        for a in np.flatnonzero(num_objects):
            is_false = ~is_true[a] & ~ignored[a]
            curves.precision[a, m], curves.recall[a, m] = trace(is_true[a], is_false, int(num_objects[a]))
    return curves


def trace(is_true: Bools, is_false: Bools, num_objects: int) -> tuple[Floats, Floats]:
    """Compute precision over recall for T IoU thresholds.

    Args:
        is_true: Whether each of D predictions is a true positive, (T, D), in descending order of score.
        is_false: Whether it is a false positive, (T, D). A prediction that is neither is ignored.
        num_objects: Objects of the ground truth, at least 1.

    Returns:
        Precision at RECALLS, (T, R), from 0 to 1 and non-increasing.
        Maximum recall, (T,), from 0 to 1.
    """
    num_thresholds, num_predictions = is_true.shape
    precision, recall = np.zeros((num_thresholds, len(RECALLS))), np.zeros(num_thresholds)
    if num_predictions == 0:
        return precision, recall
    num_true, num_false = np.cumsum(is_true, axis=1), np.cumsum(is_false, axis=1)
    recalls = num_true / num_objects  # (T, D)
    precisions = num_true / np.maximum(num_true + num_false, 1)
    falling = np.maximum.accumulate(precisions[:, ::-1], axis=1)[:, ::-1]
    for t in range(num_thresholds):
        reached = np.searchsorted(recalls[t], RECALLS, side="left")
        inside = reached < num_predictions
        precision[t, inside] = falling[t, reached[inside]]
    return precision, recalls[:, -1]


def mean_where_known(values: Floats) -> float:
    """Return the mean of all values except NOTHING. Without such values, return NOTHING."""
    known = values[values > NOTHING]
    return float(known.mean()) if known.size else NOTHING

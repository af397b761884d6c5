"""From matches to precision and recall: the ranking over all videos of a category, and its 101-point curves.

Used by `metrics.youtube_vis` and `metrics.youtube_vis_errors`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vis_cli.metrics.youtube_vis_matching import AREA_RANGES, IOU_THRESHOLDS, Bools, Floats, Matches

RECALLS = np.linspace(0.0, 1.0, 101)  # where precision is read
MAX_PREDICTIONS = (1, 10, 100)  # counted for each video and category
NOTHING = -1.0  # the benchmark's value of a number that no object was there for


@dataclass(frozen=True, slots=True, eq=False)
class Curves:
    """Hold the curves of one category: A area ranges, M limits of predictions, T thresholds, R recalls."""

    precision: Floats  # (A, M, T, R), NOTHING where the range has no object
    recall: Floats  # (A, M, T): the highest one


def category_curves(videos: Sequence[Matches]) -> Curves:
    """Rank the predictions of all videos, which come in the order of their ids, and trace the curves."""
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
    """Trace precision over recall for T thresholds at once.

    Args:
        is_true: (T, D), the best prediction first.
        is_false: (T, D); a prediction that is neither is ignored.
        num_objects: that are to be found, at least one.

    Returns:
        Precision at RECALLS, made to fall: (T, R). The highest recall: (T,).
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
    """Average what is not NOTHING; NOTHING where nothing is known."""
    known = values[values > NOTHING]
    return float(known.mean()) if known.size else NOTHING

"""Identity metrics of one video of a YouTube-VIS split: which objects and predictions count, and in which category.

Used by `metrics.youtube_vis_video`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from vis_cli.metrics.identity import IdentityCounts, count_identities
from vis_cli.metrics.overlaps import Bools, FrameOverlaps
from vis_cli.metrics.youtube_vis_matching import Matches
from vis_cli.records.rle import Rle
from vis_cli.records.youtube_vis import YouTubeVisAnnotation
from vis_cli.records.youtube_vis_results import Prediction

ALL, IOU_50 = 0, 0  # indices of the area range and the IoU threshold at which a prediction is a crowd


@dataclass(frozen=True, slots=True)
class VideoIdentities:
    """Identity counts of one video."""

    all_as_one: IdentityCounts  # without categories
    by_category: dict[int, IdentityCounts]


def count_video_identities(
    predictions: Sequence[Prediction],
    annotations: Sequence[YouTubeVisAnnotation],
    overlaps: FrameOverlaps,
    matches: Mapping[int, Matches],
) -> VideoIdentities:
    """Count the identities of one video, in each category and without categories.

    Crowds do not count, and neither do predictions that AP ignores because they are matched with a crowd. A sequence
    that the results list under several categories counts once, in the category of highest score.

    Args:
        predictions: P predictions, sorted by category, then by descending score.
        annotations: The ground truth, N objects.
        overlaps: IoUs of the objects with the predictions.
        matches: Matches of AP by category. Predictions of a category have the same order as in `predictions`.
    """
    of_prediction = np.array([p.category_id for p in predictions], dtype=np.int64)
    of_object = np.array([annotation.category_id for annotation in annotations], dtype=np.int64)
    counted = np.array([not annotation.is_crowd for annotation in annotations], dtype=np.bool_)
    kept = _best_categories(predictions)
    for category, of_category in matches.items():
        kept[of_prediction == category] &= ~of_category.is_ignored[ALL, IOU_50]
    return VideoIdentities(
        count_identities(overlaps.select(counted, kept)),
        {
            category: count_identities(
                overlaps.select(counted & (of_object == category), kept & (of_prediction == category))
            )
            for category in matches
        },
    )


def _best_categories(predictions: Sequence[Prediction]) -> Bools:
    """Return whether each prediction has the category of highest score among the predictions with equal masks, (P,).

    Two equal predictions of this category are both kept: one of them is a false detection.
    """
    best: dict[tuple[str | None, ...], Prediction] = {}
    masks = [_key(prediction.segmentations) for prediction in predictions]
    for key, prediction in zip(masks, predictions, strict=True):
        if key not in best or prediction.score > best[key].score:
            best[key] = prediction
    is_best = [best[key].category_id == p.category_id for key, p in zip(masks, predictions, strict=True)]
    return np.array(is_best, dtype=np.bool_)


def _key(masks: Sequence[Rle | None]) -> tuple[str | None, ...]:
    return tuple(None if mask is None else mask["counts"] for mask in masks)

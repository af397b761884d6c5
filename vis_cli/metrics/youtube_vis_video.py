"""One video of a YouTube-VIS split: its predictions read, compared with its objects, matched and explained.

Used by `metrics.youtube_vis`, in processes of their own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count

import numpy as np

from vis_cli.metrics.youtube_vis_curves import MAX_PREDICTIONS
from vis_cli.metrics.youtube_vis_errors import GroundTruthObject, ScoredPrediction, classify_error
from vis_cli.metrics.youtube_vis_matching import (
    Floats,
    Matches,
    Objects,
    match_predictions,
    mean_visible_areas,
)
from vis_cli.records.rle import rle_areas, sequence_iou
from vis_cli.records.youtube_vis import YouTubeVisAnnotation, YouTubeVisVideo
from vis_cli.records.youtube_vis_results import Prediction, PredictionReader

ALL, IOU_50 = 0, 0  # the area range and the threshold by which an object is called found


@dataclass(frozen=True, slots=True)
class VideoScore:
    """Say how well the objects of one video were found; crowds are not counted."""

    id: int
    name: str
    num_objects: int
    num_found: int  # at IoU 0.5
    num_predictions: int  # that count
    mean_iou: float | None  # of each object with the nearest prediction of its category; None without objects


@dataclass(frozen=True, slots=True, eq=False)
class VideoMatches:
    """Hold what of one video is scored."""

    score: VideoScore
    matches: dict[int, Matches]  # by category
    findings: tuple[ScoredPrediction, ...]  # what each prediction is, but for those that are ignored
    objects: tuple[GroundTruthObject, ...]


def match_video(
    video: YouTubeVisVideo, truths: Sequence[YouTubeVisAnnotation], read_predictions: PredictionReader
) -> VideoMatches:
    """Match the predictions of one video with its objects.

    Raises:
        VisError: a prediction is damaged.
    """
    predictions = _rank(read_predictions())
    masks = [prediction.segmentations for prediction in predictions]
    ious = sequence_iou(masks, [truth.segmentations for truth in truths])
    areas = mean_visible_areas([rle_areas(sequence).tolist() for sequence in masks])
    of_prediction = np.array([p.category_id for p in predictions], dtype=np.int64)
    of_truth = np.array([t.category_id for t in truths], dtype=np.int64)
    scores = np.array([p.score for p in predictions], dtype=np.float64)
    objects = _describe(truths)
    matches = {}
    for category in sorted({*of_prediction.tolist(), *of_truth.tolist()}):
        mine, theirs = of_prediction == category, of_truth == category
        of_category = Objects(objects.areas[theirs], objects.is_crowd[theirs])
        matches[category] = match_predictions(scores[mine], areas[mine], ious[np.ix_(mine, theirs)], of_category)
    return _explain(video, predictions, truths, ious, matches)


def _rank(predictions: Sequence[Prediction]) -> list[Prediction]:
    """Sort by category, then by score (ties: the file's order), and keep as many of each category as count."""
    ranked = sorted(predictions, key=lambda prediction: (prediction.category_id, -prediction.score))
    kept: list[Prediction] = []
    for prediction in ranked:
        limit = MAX_PREDICTIONS[-1]
        if len(kept) < limit or kept[-limit].category_id != prediction.category_id:
            kept.append(prediction)
    return kept


def _describe(truths: Sequence[YouTubeVisAnnotation]) -> Objects:
    return Objects(
        areas=mean_visible_areas([truth.areas for truth in truths]),
        is_crowd=np.array([truth.is_crowd for truth in truths], dtype=np.bool_),
    )


def _explain(
    video: YouTubeVisVideo,
    predictions: Sequence[Prediction],
    truths: Sequence[YouTubeVisAnnotation],
    ious: Floats,
    matches: dict[int, Matches],
) -> VideoMatches:
    """Say of each prediction and each object what became of it at IoU 0.5."""
    found = {category: iter(of_category.is_found.tolist()) for category, of_category in matches.items()}
    everything = [GroundTruthObject(truth.id, truth.category_id, next(found[truth.category_id])) for truth in truths]
    counted = [index for index, truth in enumerate(truths) if not truth.is_crowd]
    objects, ious = [everything[index] for index in counted], ious[:, counted]
    findings = list(_find(predictions, objects, ious, matches))
    score = VideoScore(
        id=video.id,
        name=video.name,
        num_objects=len(objects),
        num_found=sum(target.is_found for target in objects),
        num_predictions=len(findings),
        mean_iou=_mean_best_iou(predictions, objects, ious),
    )
    return VideoMatches(score, matches, tuple(findings), tuple(objects))


def _find(
    predictions: Sequence[Prediction], objects: Sequence[GroundTruthObject], ious: Floats, matches: dict[int, Matches]
) -> Iterator[ScoredPrediction]:
    """Yield what each prediction is, if it is not ignored; within a category they come as in `matches`."""
    ranks = defaultdict[int, Iterator[int]](count)
    for prediction, overlaps in zip(predictions, ious, strict=True):
        category = prediction.category_id
        rank, of_category = next(ranks[category]), matches[category]
        if of_category.is_true[ALL, IOU_50, rank]:
            yield ScoredPrediction(category, prediction.score, None, None)
        elif not of_category.is_ignored[ALL, IOU_50, rank]:
            yield ScoredPrediction(category, prediction.score, *classify_error(category, overlaps, objects))


def _mean_best_iou(
    predictions: Sequence[Prediction], objects: Sequence[GroundTruthObject], ious: Floats
) -> float | None:
    if not objects:
        return None
    of_prediction, of_object = ([item.category_id for item in items] for items in (predictions, objects))
    is_same = np.equal.outer(np.array(of_prediction, dtype=np.int64), np.array(of_object, dtype=np.int64))
    return float(np.where(is_same, ious, 0.0).max(axis=0, initial=0.0).mean())

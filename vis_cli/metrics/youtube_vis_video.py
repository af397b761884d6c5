"""Evaluation of one video of a YouTube-VIS split: reading of its predictions, matching, and errors by kind.

Used by `metrics.youtube_vis`, which runs it in several processes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count

import numpy as np

from vis_cli.metrics.identity import IdentityScore
from vis_cli.metrics.overlaps import measure_sequences
from vis_cli.metrics.youtube_vis_curves import MAX_PREDICTIONS
from vis_cli.metrics.youtube_vis_errors import GroundTruthObject, ScoredPrediction, classify_error
from vis_cli.metrics.youtube_vis_identity import VideoIdentities, count_video_identities
from vis_cli.metrics.youtube_vis_matching import (
    Floats,
    Matches,
    Objects,
    match_predictions,
    mean_visible_areas,
)
from vis_cli.records.rle import rle_areas
from vis_cli.records.youtube_vis import YouTubeVisAnnotation, YouTubeVisVideo
from vis_cli.records.youtube_vis_results import Prediction, PredictionReader

ALL, IOU_50 = 0, 0  # indices of the area range and the IoU threshold at which errors are classified


@dataclass(frozen=True, slots=True)
class VideoScore:
    """Summary of one video, without crowds."""

    id: int
    name: str
    num_objects: int
    num_found: int  # objects that are matched with a prediction at IoU 0.5
    num_predictions: int  # without ignored predictions
    mean_iou: float | None  # mean over objects of the maximum IoU with a prediction of its category; None: no objects
    identity: IdentityScore | None  # without categories; None: no objects


@dataclass(frozen=True, slots=True, eq=False)
class VideoMatches:
    """Matches of one video."""

    score: VideoScore
    matches: dict[int, Matches]  # by category id
    predictions: tuple[ScoredPrediction, ...]  # without ignored predictions
    objects: tuple[GroundTruthObject, ...]
    identities: VideoIdentities


def match_video(
    video: YouTubeVisVideo, annotations: Sequence[YouTubeVisAnnotation], read_predictions: PredictionReader
) -> VideoMatches:
    """Match the predictions of one video with its objects.

    Args:
        video: The video.
        annotations: The ground truth of the video.
        read_predictions: Function that reads the predictions of the video.

    Raises:
        VisError: A prediction is damaged.
    """
    predictions = _rank(read_predictions())
    masks = [prediction.segmentations for prediction in predictions]
    true_masks = [annotation.segmentations for annotation in annotations]
    ious, overlaps = measure_sequences(masks, true_masks, len(video.file_names))
    areas = mean_visible_areas([rle_areas(sequence).tolist() for sequence in masks])
    of_prediction = np.array([p.category_id for p in predictions], dtype=np.int64)
    of_object = np.array([annotation.category_id for annotation in annotations], dtype=np.int64)
    scores = np.array([p.score for p in predictions], dtype=np.float64)
    objects = _objects(annotations)
    matches = {}
    for category in sorted({*of_prediction.tolist(), *of_object.tolist()}):
        mine, theirs = of_prediction == category, of_object == category
        of_category = Objects(objects.areas[theirs], objects.is_crowd[theirs])
        matches[category] = match_predictions(scores[mine], areas[mine], ious[np.ix_(mine, theirs)], of_category)
    identities = count_video_identities(predictions, annotations, overlaps, matches)
    return _classify(video, predictions, annotations, ious, matches, identities)


def _rank(predictions: Sequence[Prediction]) -> list[Prediction]:
    """Sort by category, then by descending score, and keep at most 100 predictions of each category.

    Predictions of equal score keep their order in the file.
    """
    ranked = sorted(predictions, key=lambda prediction: (prediction.category_id, -prediction.score))
    kept: list[Prediction] = []
    for prediction in ranked:
        limit = MAX_PREDICTIONS[-1]
        if len(kept) < limit or kept[-limit].category_id != prediction.category_id:
            kept.append(prediction)
    return kept


def _objects(annotations: Sequence[YouTubeVisAnnotation]) -> Objects:
    return Objects(
        areas=mean_visible_areas([annotation.areas for annotation in annotations]),
        is_crowd=np.array([annotation.is_crowd for annotation in annotations], dtype=np.bool_),
    )


def _classify(
    video: YouTubeVisVideo,
    predictions: Sequence[Prediction],
    annotations: Sequence[YouTubeVisAnnotation],
    ious: Floats,
    matches: dict[int, Matches],
    identities: VideoIdentities,
) -> VideoMatches:
    """Classify each prediction by its kind of error, and each object as found or not, at IoU 0.5."""
    found = {category: iter(of_category.is_found.tolist()) for category, of_category in matches.items()}
    with_crowds = [GroundTruthObject(item.id, item.category_id, next(found[item.category_id])) for item in annotations]
    counted = [index for index, annotation in enumerate(annotations) if not annotation.is_crowd]
    objects, ious = [with_crowds[index] for index in counted], ious[:, counted]
    scored = list(_iter_scored(predictions, objects, ious, matches))
    score = VideoScore(
        id=video.id,
        name=video.name,
        num_objects=len(objects),
        num_found=sum(target.is_found for target in objects),
        num_predictions=len(scored),
        mean_iou=_mean_best_iou(predictions, objects, ious),
        identity=identities.all_as_one.score,
    )
    return VideoMatches(score, matches, tuple(scored), tuple(objects), identities)


def _iter_scored(
    predictions: Sequence[Prediction], objects: Sequence[GroundTruthObject], ious: Floats, matches: dict[int, Matches]
) -> Iterator[ScoredPrediction]:
    """Yield the predictions that are not ignored. Within a category, they have the same order as `matches`."""
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

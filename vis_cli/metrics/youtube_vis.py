"""Average precision (AP) and average recall (AR) of a YouTube-VIS or OVIS split, as the benchmark computes them.

Used by `vis eval` and by training. Each process evaluates some of the videos and returns only their matches.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from vis_cli.metrics.identity import IdentityScore, add_counts, average_scores
from vis_cli.metrics.workers import run_jobs
from vis_cli.metrics.youtube_vis_curves import (
    MAX_PREDICTIONS,
    NOTHING,
    Curves,
    category_curves,
    mean_where_known,
)
from vis_cli.metrics.youtube_vis_errors import ErrorCount, GroundTruthObject, ScoredPrediction, count_errors
from vis_cli.metrics.youtube_vis_matching import IOU_THRESHOLDS, Floats, Matches
from vis_cli.metrics.youtube_vis_video import VideoMatches, VideoScore, match_video
from vis_cli.progress import Progress
from vis_cli.records.types import Category
from vis_cli.records.youtube_vis import YouTubeVis, YouTubeVisAnnotation
from vis_cli.records.youtube_vis_results import PredictionReader

IOU_50, IOU_75 = (int(np.argmin(abs(IOU_THRESHOLDS - threshold))) for threshold in (0.5, 0.75))
AT_1, AT_10, AT_100 = range(len(MAX_PREDICTIONS))
ALL, SMALL, MEDIUM, LARGE = range(4)  # area ranges


@dataclass(frozen=True, slots=True)
class PrecisionRecall:
    """The twelve metrics of the benchmark, over all categories or for one; from 0 to 1, or -1 without objects."""

    ap: float  # over IoU 0.50:0.05:0.95
    ap50: float
    ap75: float
    ap_small: float  # mean visible area up to 128² pixels
    ap_medium: float
    ap_large: float  # mean visible area of at least 256² pixels
    ar1: float  # with at most 1 prediction per video and category
    ar10: float
    ar100: float
    ar_small: float
    ar_medium: float
    ar_large: float


@dataclass(frozen=True, slots=True, eq=False)
class CategoryScore:
    """Metrics and precision curves of one category."""

    category: Category
    num_objects: int  # objects of the ground truth in all videos, without crowds
    scores: PrecisionRecall
    identity: IdentityScore | None  # None without objects
    precision: Floats  # (T, R) by IOU_THRESHOLDS and RECALLS; -1 without objects


@dataclass(frozen=True, slots=True, eq=False)
class YouTubeVisScore:
    """Metrics of a split."""

    summary: PrecisionRecall
    identity: IdentityScore | None  # all categories as one
    mean_identity: IdentityScore | None  # mean over the categories with objects
    categories: tuple[CategoryScore, ...]  # in the order of their ids
    videos: tuple[VideoScore, ...]  # in the order of their ids
    errors: tuple[ErrorCount, ...]


def evaluate_youtube_vis(
    split: YouTubeVis,
    predictions: Mapping[int, PredictionReader],
    *,
    num_workers: int | None = 1,
    progress: Progress | None = None,
) -> YouTubeVisScore:
    """Score predictions against the annotations of a split.

    Args:
        split: The ground truth.
        predictions: Functions that read the predictions of a video, by the video's id. A missing video has no
            predictions.
        num_workers: Number of processes; None chooses it by the number of CPU cores and of videos.
        progress: Function to call after each video.

    Raises:
        VisError: A prediction is damaged.
        ValueError: The split has no annotations.
    """
    if split.annotations is None:
        raise ValueError(f"{split.path} has no annotations")
    annotations = defaultdict[int, list[YouTubeVisAnnotation]](list)
    for annotation in split.annotations:
        annotations[annotation.video_id].append(annotation)
    ordered = sorted(split.videos, key=lambda video: video.id)
    jobs = [partial(match_video, video, annotations[video.id], predictions.get(video.id, list)) for video in ordered]
    videos = run_jobs(jobs, num_workers=num_workers, progress=progress)
    return _score(sorted(split.categories, key=lambda category: category.id), videos)


def _score(categories: Sequence[Category], videos: Sequence[VideoMatches]) -> YouTubeVisScore:
    matches = defaultdict[int, list[Matches]](list)
    predictions, objects = list[ScoredPrediction](), list[GroundTruthObject]()
    for video in videos:
        for category_id, of_category in video.matches.items():
            matches[category_id].append(of_category)
        predictions += video.predictions
        objects += video.objects
    curves = [category_curves(matches[category.id]) for category in categories]
    scored = tuple(
        CategoryScore(
            category,
            num_objects=sum(target.category_id == category.id for target in objects),
            scores=_summarize([curve]),
            identity=_category_identity(category, videos),
            precision=curve.precision[ALL, AT_100],
        )
        for category, curve in zip(categories, curves, strict=True)
    )
    return YouTubeVisScore(
        summary=_summarize(curves),
        identity=add_counts(video.identities.all_as_one for video in videos).score,
        mean_identity=average_scores([category.identity for category in scored]),
        categories=scored,
        videos=tuple(video.score for video in videos),
        errors=count_errors(predictions, objects),
    )


def _category_identity(category: Category, videos: Sequence[VideoMatches]) -> IdentityScore | None:
    counts = [video.identities.by_category for video in videos]
    return add_counts(of_video[category.id] for of_video in counts if category.id in of_video).score


def _summarize(curves: Sequence[Curves]) -> PrecisionRecall:
    """Average over categories, IoU thresholds and recalls in one step, like the benchmark."""
    if not curves:
        return PrecisionRecall(*[NOTHING] * 12)
    precision = np.stack([curve.precision for curve in curves])  # (K, A, M, T, R)
    recall = np.stack([curve.recall for curve in curves])  # (K, A, M, T)
    return PrecisionRecall(
        ap=mean_where_known(precision[:, ALL, AT_100]),
        ap50=mean_where_known(precision[:, ALL, AT_100, IOU_50]),
        ap75=mean_where_known(precision[:, ALL, AT_100, IOU_75]),
        ap_small=mean_where_known(precision[:, SMALL, AT_100]),
        ap_medium=mean_where_known(precision[:, MEDIUM, AT_100]),
        ap_large=mean_where_known(precision[:, LARGE, AT_100]),
        ar1=mean_where_known(recall[:, ALL, AT_1]),
        ar10=mean_where_known(recall[:, ALL, AT_10]),
        ar100=mean_where_known(recall[:, ALL, AT_100]),
        ar_small=mean_where_known(recall[:, SMALL, AT_100]),
        ar_medium=mean_where_known(recall[:, MEDIUM, AT_100]),
        ar_large=mean_where_known(recall[:, LARGE, AT_100]),
    )

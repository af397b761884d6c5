"""Average precision and recall of a YouTube-VIS or OVIS split, in the benchmark's own numbers.

Used by `eval` and by the training. Videos are spread over processes; of each, only what is scored comes back.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from vis_cli.metrics.workers import Progress, run_jobs
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
from vis_cli.records.types import Category
from vis_cli.records.youtube_vis import YouTubeVis, YouTubeVisAnnotation
from vis_cli.records.youtube_vis_results import PredictionReader

IOU_50, IOU_75 = (int(np.argmin(abs(IOU_THRESHOLDS - threshold))) for threshold in (0.5, 0.75))
AT_1, AT_10, AT_100 = range(len(MAX_PREDICTIONS))
ALL, SMALL, MEDIUM, LARGE = range(4)  # area ranges


@dataclass(frozen=True, slots=True)
class PrecisionRecall:
    """Hold the benchmark's twelve numbers in 0..1, or those of one category; -1 where there is no such object."""

    ap: float  # over IoU 0.50:0.05:0.95
    ap50: float
    ap75: float
    ap_small: float  # mean visible area up to 128² pixels
    ap_medium: float
    ap_large: float  # from 256² pixels on
    ar1: float  # with the best prediction of each video and category only
    ar10: float
    ar100: float
    ar_small: float
    ar_medium: float
    ar_large: float


@dataclass(frozen=True, slots=True, eq=False)
class CategoryScore:
    """Hold the numbers of one category and its curves."""

    category: Category
    num_objects: int  # to be found, in all videos
    scores: PrecisionRecall
    precision: Floats  # (T, R) by IOU_THRESHOLDS and RECALLS; -1 where there is no object


@dataclass(frozen=True, slots=True, eq=False)
class YouTubeVisScore:
    """Hold the numbers of a split, of each category in the order of their ids, and of each video in that of theirs."""

    summary: PrecisionRecall
    categories: tuple[CategoryScore, ...]
    videos: tuple[VideoScore, ...]
    errors: tuple[ErrorCount, ...]


def evaluate_youtube_vis(
    split: YouTubeVis,
    predictions: Mapping[int, PredictionReader],
    *,
    num_workers: int | None = 1,
    progress: Progress | None = None,
) -> YouTubeVisScore:
    """Score predictions against a split that has annotations.

    Args:
        split: the ground truth.
        predictions: what reads those of a video, by its id; a video without any is one where nothing was found.
        num_workers: processes that the videos are spread over; None: as many as the machine has cores.
        progress: called after each video.

    Raises:
        VisError: a prediction is damaged.
        ValueError: the split has no annotations.
    """
    if split.annotations is None:
        raise ValueError(f"{split.path} has no annotations")
    truths = defaultdict[int, list[YouTubeVisAnnotation]](list)
    for annotation in split.annotations:
        truths[annotation.video_id].append(annotation)
    ordered = sorted(split.videos, key=lambda video: video.id)
    jobs = [partial(match_video, video, truths[video.id], predictions.get(video.id, list)) for video in ordered]
    videos = run_jobs(jobs, num_workers=num_workers, progress=progress)
    return _score(sorted(split.categories, key=lambda category: category.id), videos)


def _score(categories: Sequence[Category], videos: Sequence[VideoMatches]) -> YouTubeVisScore:
    matches = defaultdict[int, list[Matches]](list)
    findings, objects = list[ScoredPrediction](), list[GroundTruthObject]()
    for video in videos:
        for category_id, found in video.matches.items():
            matches[category_id].append(found)
        findings += video.findings
        objects += video.objects
    curves = [category_curves(matches[category.id]) for category in categories]
    return YouTubeVisScore(
        summary=_summarize(curves),
        categories=tuple(
            CategoryScore(
                category,
                num_objects=sum(target.category_id == category.id for target in objects),
                scores=_summarize([curve]),
                precision=curve.precision[ALL, AT_100],
            )
            for category, curve in zip(categories, curves, strict=True)
        ),
        videos=tuple(video.score for video in videos),
        errors=count_errors(findings, objects),
    )


def _summarize(curves: Sequence[Curves]) -> PrecisionRecall:
    """Average over categories, thresholds and recalls at once, as the benchmark does."""
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

"""Errors of predictions by kind, as in TIDE (Bolya et al., ECCV 2020), and their cost in AP50.

Used by `metrics.youtube_vis`. TIDE compares boxes; this module compares sequences of masks, at IoU 0.5.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from vis_cli.metrics.youtube_vis_curves import mean_where_known, trace
from vis_cli.metrics.youtube_vis_matching import Floats

FOREGROUND_IOU = 0.5
BACKGROUND_IOU = 0.1

ErrorKind: TypeAlias = Literal["class", "localisation", "both", "duplicate", "background", "missed"]
ERROR_KINDS: dict[ErrorKind, str] = {
    "class": "IoU of at least 0.5 with an object of another category",
    "localisation": "IoU of 0.1 to 0.5 with an object of the category",
    "both": "IoU of 0.1 to 0.5 with an object of another category",
    "duplicate": "an object that is matched with a prediction of higher score",
    "background": "IoU below 0.1 with every object",
    "missed": "an object without a match, and without a class or localisation error",
}


@dataclass(frozen=True, slots=True)
class GroundTruthObject:
    """An object of the ground truth, without crowds."""

    id: int  # of the annotation
    category_id: int
    is_found: bool  # whether a prediction of its category is matched with it at IoU 0.5


@dataclass(frozen=True, slots=True)
class ScoredPrediction:
    """A prediction and its kind of error."""

    category_id: int
    score: float
    error: ErrorKind | None  # None for a correct prediction
    target: GroundTruthObject | None  # for a class or localisation error: the object that the prediction overlaps


@dataclass(frozen=True, slots=True)
class ErrorCount:
    """Number of errors of one kind, and their cost."""

    kind: ErrorKind
    count: int
    ap50_gain: float  # increase of AP50 without errors of this kind; the gains of all kinds do not add up to 1 - AP50


def classify_error(
    category_id: int, ious: Floats, objects: Sequence[GroundTruthObject]
) -> tuple[ErrorKind | None, GroundTruthObject | None]:
    """Return the kind of error of a prediction that is not matched with an object, and the object that it overlaps.

    Args:
        category_id: Category of the prediction.
        ious: IoU of the prediction with all objects of its video, (N,), from 0 to 1.
        objects: The objects of its video, of any category.
    """
    is_same = np.array([target.category_id == category_id for target in objects], dtype=np.bool_)
    same, other = np.where(is_same, ious, 0.0), np.where(is_same, 0.0, ious)
    best_same, best_other = same.max(initial=0.0), other.max(initial=0.0)
    if best_same >= FOREGROUND_IOU:
        return "duplicate", None
    if best_same >= BACKGROUND_IOU:
        return "localisation", objects[int(same.argmax())]
    if best_other >= FOREGROUND_IOU:
        return "class", objects[int(other.argmax())]
    return ("both" if best_other >= BACKGROUND_IOU else "background"), None


def count_errors(
    predictions: Sequence[ScoredPrediction], objects: Sequence[GroundTruthObject]
) -> tuple[ErrorCount, ...]:
    """Count each kind of error over all videos, and compute AP50 without errors of this kind."""
    missed = _missed(predictions, objects)
    counts = {kind: sum(prediction.error == kind for prediction in predictions) for kind in ERROR_KINDS}
    counts["missed"] = len(missed)
    num_objects = _count_by_category(objects)
    ap50 = average_precision_50(predictions, num_objects)
    gains = {
        kind: average_precision_50(_corrected(predictions, kind), num_objects) - ap50
        for kind in ERROR_KINDS
        if counts[kind]
    }
    if missed:
        not_missed = _count_by_category(target for target in objects if target not in missed)
        gains["missed"] = average_precision_50(predictions, not_missed) - ap50
    return tuple(ErrorCount(kind, counts[kind], gains.get(kind, 0.0)) for kind in ERROR_KINDS)


def average_precision_50(predictions: Iterable[ScoredPrediction], num_objects: Mapping[int, int]) -> float:
    """Return AP50, averaged over the categories that have objects.

    Args:
        predictions: The predictions of all videos.
        num_objects: Number of objects by category id.
    """
    by_category = defaultdict[int, list[ScoredPrediction]](list)
    for prediction in predictions:
        by_category[prediction.category_id].append(prediction)
    return mean_where_known(
        np.array([_category_ap50(by_category[category], count) for category, count in num_objects.items()])
    )


def _category_ap50(predictions: Sequence[ScoredPrediction], num_objects: int) -> float:
    ranked = sorted(predictions, key=lambda prediction: -prediction.score)
    is_true = np.array([[prediction.error is None for prediction in ranked]], dtype=np.bool_)
    precision, _ = trace(is_true, ~is_true, num_objects)
    return float(precision.mean())


def _corrected(predictions: Sequence[ScoredPrediction], kind: ErrorKind) -> list[ScoredPrediction]:
    """Return the predictions without one kind of error.

    A class or localisation error becomes correct if it is the prediction of highest score for an object that is not
    found. All other errors of this kind are removed.
    """
    others = [prediction for prediction in predictions if prediction.error != kind]
    best: dict[GroundTruthObject, ScoredPrediction] = {}
    for prediction in predictions:
        target = prediction.target if prediction.error == kind else None
        if target is None or target.is_found:
            continue
        if target not in best or prediction.score > best[target].score:
            best[target] = prediction
    corrected = (
        dataclasses.replace(prediction, category_id=target.category_id, error=None)
        for target, prediction in best.items()
    )
    return [*others, *corrected]


def _missed(predictions: Iterable[ScoredPrediction], objects: Iterable[GroundTruthObject]) -> set[GroundTruthObject]:
    """Return the objects that are not found and are not the target of an error."""
    mistaken = {prediction.target for prediction in predictions}
    return {target for target in objects if not target.is_found and target not in mistaken}


def _count_by_category(objects: Iterable[GroundTruthObject]) -> dict[int, int]:
    counts = defaultdict[int, int](int)
    for target in objects:
        counts[target.category_id] += 1
    return dict(counts)

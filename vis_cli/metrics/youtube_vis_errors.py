"""Why predictions are wrong and what each kind of error costs, at IoU 0.5, after TIDE (Bolya et al., ECCV 2020).

Used by `metrics.youtube_vis`: TIDE's kinds, with sequences of masks for its boxes.
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
    "class": "an object, called by a wrong category",
    "localisation": "an object of the category, but overlapped too little",
    "both": "overlaps an object of another category, too little",
    "duplicate": "an object that a better prediction has found already",
    "background": "no object at all",
    "missed": "an object that no prediction comes near to",
}


@dataclass(frozen=True, slots=True)
class GroundTruthObject:
    """Say whether an object that is to be found was found."""

    id: int  # of the annotation
    category_id: int
    is_found: bool


@dataclass(frozen=True, slots=True)
class ScoredPrediction:
    """Say what one prediction is: right where `error` is None."""

    category_id: int
    score: float
    error: ErrorKind | None
    target: GroundTruthObject | None  # the object it mistook, of a class or localisation error


@dataclass(frozen=True, slots=True)
class ErrorCount:
    """Count the errors of one kind, and say by how much AP50 would rise without them."""

    kind: ErrorKind
    count: int
    ap50_gain: float  # alone; the gains of all kinds do not add up to what is missing


def classify_error(
    category_id: int, ious: Floats, objects: Sequence[GroundTruthObject]
) -> tuple[ErrorKind | None, GroundTruthObject | None]:
    """Say which error a prediction is that no object was matched with, and the object that it mistook.

    Args:
        category_id: of the prediction.
        ious: with all objects of its video: (N,).
        objects: of its video, whatever their category.
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


def count_errors(findings: Sequence[ScoredPrediction], objects: Sequence[GroundTruthObject]) -> tuple[ErrorCount, ...]:
    """Count each kind of error over all videos, and mend it alone to see what AP50 would be."""
    missed = _missed(findings, objects)
    counts = {kind: sum(finding.error == kind for finding in findings) for kind in ERROR_KINDS} | {
        "missed": len(missed)
    }
    num_objects = _count_by_category(objects)
    ap50 = average_precision_50(findings, num_objects)
    gains = {
        kind: average_precision_50(_mend(findings, kind), num_objects) - ap50 for kind in ERROR_KINDS if counts[kind]
    }
    if missed:
        found_or_mistaken = _count_by_category(target for target in objects if target not in missed)
        gains["missed"] = average_precision_50(findings, found_or_mistaken) - ap50
    return tuple(ErrorCount(kind, counts[kind], gains.get(kind, 0.0)) for kind in ERROR_KINDS)


def average_precision_50(findings: Iterable[ScoredPrediction], num_objects: Mapping[int, int]) -> float:
    """Return AP50 over the categories that have objects."""
    by_category = defaultdict[int, list[ScoredPrediction]](list)
    for finding in findings:
        by_category[finding.category_id].append(finding)
    return mean_where_known(
        np.array([_category_ap50(by_category[category], count) for category, count in num_objects.items()])
    )


def _category_ap50(findings: Sequence[ScoredPrediction], num_objects: int) -> float:
    ranked = sorted(findings, key=lambda finding: -finding.score)
    is_true = np.array([[finding.error is None for finding in ranked]], dtype=np.bool_)
    precision, _ = trace(is_true, ~is_true, num_objects)
    return float(precision.mean())


def _mend(findings: Sequence[ScoredPrediction], kind: ErrorKind) -> list[ScoredPrediction]:
    """Return the findings as they would be without one kind of error.

    A class or localisation error becomes right if it is the best prediction of an object that was not found; all else
    that is mended is left out.
    """
    mended = [finding for finding in findings if finding.error != kind]
    best: dict[GroundTruthObject, ScoredPrediction] = {}
    for finding in findings:
        target = finding.target if finding.error == kind else None
        if target is not None and not target.is_found and (target not in best or finding.score > best[target].score):
            best[target] = finding
    right = (
        dataclasses.replace(finding, category_id=target.category_id, error=None) for target, finding in best.items()
    )
    return [*mended, *right]


def _missed(findings: Iterable[ScoredPrediction], objects: Iterable[GroundTruthObject]) -> set[GroundTruthObject]:
    """Return the objects that were neither found nor mistaken."""
    mistaken = {finding.target for finding in findings}
    return {target for target in objects if not target.is_found and target not in mistaken}


def _count_by_category(objects: Iterable[GroundTruthObject]) -> dict[int, int]:
    counts = defaultdict[int, int](int)
    for target in objects:
        counts[target.category_id] += 1
    return dict(counts)

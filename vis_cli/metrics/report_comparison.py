"""Comparison of one result with annotations: J of each object in every frame, kinds of errors, and the worst frames.

Used by `commands.report`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from vis_cli.metrics.overlaps import FrameOverlaps, measure_sequences
from vis_cli.metrics.youtube_vis_errors import ERROR_KINDS, GroundTruthObject, classify_error
from vis_cli.metrics.youtube_vis_matching import Floats, Objects, match_predictions, mean_visible_areas
from vis_cli.records.categories import CategoryMap, category_names
from vis_cli.records.report.comparison import Comparison, ErrorRow, ObjectComparison, WorstFrame
from vis_cli.records.rle import rle_areas
from vis_cli.records.types import Category, InstanceSequence, VideoResult
from vis_cli.records.youtube_vis import YouTubeVisAnnotation

ALL, IOU_50 = 0, 0  # indices of the area range and the IoU threshold at which errors are classified
CORRECT = "correct"
MEANING_OF_CORRECT = "IoU of at least 0.5 with an object of the category"
UNKNOWN_CATEGORY = -1  # of an instance whose category the annotations do not have
NUM_WORST = 50


def compare(
    result: VideoResult, annotations: Sequence[YouTubeVisAnnotation], categories: Sequence[Category], source: str
) -> Comparison:
    """Compare the confident instances of a result with the objects of its video, without crowds.

    Each object is matched with at most one instance, so that the sum of the sequence IoUs is largest, as DAVIS does.
    Kinds of errors are those of `vis eval`, for the category with the highest score of each instance.
    """
    objects = [annotation for annotation in annotations if not annotation.is_crowd]
    instances = [instance for instance in result.instances if instance.confident]
    masks, true_masks = ([item.segmentations for item in items] for items in (instances, objects))
    ious, overlaps = measure_sequences(masks, true_masks, result.video.num_frames)
    names = category_names(categories)
    compared = tuple(
        ObjectComparison(
            id=target.id,
            category=names[target.category_id],
            instance_id=None if number is None else instances[number].id,
            region=_region(overlaps, index, number),
            segmentations=target.segmentations,
        )
        for index, (target, number) in enumerate(zip(objects, _assign(ious), strict=True))
    )
    kinds, missed = _classify(instances, objects, ious, _category_ids(result, instances, categories))
    return Comparison(source, compared, _error_rows(kinds, missed), kinds, _worst_frames(compared))


def _assign(ious: Floats) -> list[int | None]:
    """Return the instance of each object, (P, N) -> N indices; None without a common pixel."""
    rows, columns = linear_sum_assignment(ious, maximize=True)
    matched = dict(zip(columns.tolist(), rows.tolist(), strict=True))
    return [
        matched[index] if index in matched and ious[matched[index], index] > 0 else None
        for index in range(ious.shape[1])
    ]


def _region(overlaps: FrameOverlaps, index: int, number: int | None) -> tuple[float | None, ...]:
    visible = overlaps.visible_objects[:, index]
    values: NDArray[np.float64] = np.zeros(len(visible))
    if number is not None:
        visible = visible | overlaps.visible_predictions[:, number]
        values = overlaps.ious[:, index, number]
    return tuple(value if known else None for value, known in zip(values.tolist(), visible.tolist(), strict=True))


def _category_ids(
    result: VideoResult, instances: Sequence[InstanceSequence], categories: Sequence[Category]
) -> NDArray[np.int64]:
    """Return the category of each instance in the annotations."""
    names, known = category_names(result.categories), CategoryMap(categories)
    found = (known.find(names[instance.category_id]) for instance in instances)
    return np.array([UNKNOWN_CATEGORY if category is None else category for category in found], dtype=np.int64)


def _classify(
    instances: Sequence[InstanceSequence],
    objects: Sequence[YouTubeVisAnnotation],
    ious: Floats,
    of_instance: NDArray[np.int64],
) -> tuple[dict[int, str], list[int]]:
    """Return the kind of each instance by id, and the ids of the missed objects."""
    of_object = np.array([target.category_id for target in objects], dtype=np.int64)
    areas = mean_visible_areas([rle_areas(instance.segmentations).tolist() for instance in instances])
    scores = np.array([instance.score for instance in instances], dtype=np.float64)
    true_areas = mean_visible_areas([target.areas for target in objects])
    is_true, is_found = np.zeros(len(instances), np.bool_), np.zeros(len(objects), np.bool_)
    for category in np.unique(of_instance).tolist():
        mine, theirs = np.flatnonzero(of_instance == category), np.flatnonzero(of_object == category)
        mine = mine[np.argsort(-scores[mine], kind="stable")]
        of_category = Objects(true_areas[theirs], np.zeros(len(theirs), np.bool_))
        matches = match_predictions(scores[mine], areas[mine], ious[np.ix_(mine, theirs)], of_category)
        is_true[mine], is_found[theirs] = matches.is_true[ALL, IOU_50], matches.is_found
    targets = [
        GroundTruthObject(item.id, item.category_id, found)
        for item, found in zip(objects, is_found.tolist(), strict=True)
    ]
    kinds: dict[int, str] = {}
    mistaken = set()
    for index, instance in enumerate(instances):
        kind, target = classify_error(int(of_instance[index]), ious[index], targets)
        kinds[instance.id] = CORRECT if is_true[index] or kind is None else kind
        if not is_true[index]:
            mistaken.add(target)
    return kinds, [target.id for target in targets if not target.is_found and target not in mistaken]


def _error_rows(kinds: dict[int, str], missed: Sequence[int]) -> tuple[ErrorRow, ...]:
    kinds_and_meanings = [(CORRECT, MEANING_OF_CORRECT), *ERROR_KINDS.items()]
    return tuple(
        ErrorRow(
            kind=kind,
            meaning=meaning,
            instance_ids=tuple(id_ for id_, of_instance in kinds.items() if of_instance == kind),
            object_ids=tuple(missed) if kind == "missed" else (),
        )
        for kind, meaning in kinds_and_meanings
    )


def _worst_frames(objects: Sequence[ObjectComparison]) -> tuple[WorstFrame, ...]:
    frames = []
    for frame, values in enumerate(zip(*(item.region for item in objects), strict=True)):
        known = [(value, item.id) for value, item in zip(values, objects, strict=True) if value is not None]
        if known:
            lowest, object_id = min(known)
            frames.append(WorstFrame(frame, sum(value for value, _ in known) / len(known), object_id, lowest))
    return tuple(sorted(frames, key=lambda item: item.mean)[:NUM_WORST])

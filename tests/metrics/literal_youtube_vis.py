"""The YouTube-VIS evaluator written out slowly, rule by rule, from the protocol's words; the tests' second opinion."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]

IOU_THRESHOLDS = [0.5 + 0.05 * i for i in range(10)]
RECALLS = np.linspace(0, 1, 101).tolist()
AREA_RANGES = {
    "all": (0, 1e10),
    "small": (0, 128 * 128),
    "medium": (128 * 128, 256 * 256),
    "large": (256 * 256, 1e10),
}


@dataclass(eq=False)
class LiteralObject:
    """A true or a predicted object; the areas are the file's for a true one, counted for a predicted one."""

    video: int
    category: int
    masks: list[Mask | None]
    areas: list[float | None]
    crowd: bool = False
    score: float = 0.0


@functools.cache
def literal_iou(a: LiteralObject, b: LiteralObject) -> float:
    intersection = union = 0
    for mask_a, mask_b in zip(a.masks, b.masks, strict=True):
        if mask_a is not None and mask_b is not None:
            intersection += int((mask_a & mask_b).sum())
            union += int((mask_a | mask_b).sum())
        elif mask_a is not None:
            union += int(mask_a.sum())
        elif mask_b is not None:
            union += int(mask_b.sum())
    return intersection / union if union > 0 else 0.0


def literal_area(item: LiteralObject) -> float:
    """The mean over the frames whose area is neither null nor zero."""
    areas = [area for area in item.areas if area is not None and area != 0]
    return sum(areas) / len(areas) if areas else 0.0


def is_outside(item: LiteralObject, area_range: str) -> bool:
    low, high = AREA_RANGES[area_range]
    return literal_area(item) < low or literal_area(item) > high


def literal_ranked(predictions: list[LiteralObject], limit: int) -> list[LiteralObject]:
    """The best of one video and category; of equal scores the earlier comes first, as sorted() is stable."""
    return sorted(predictions, key=lambda item: -item.score)[:limit]


def literal_match(
    ranked: list[LiteralObject], truths: list[LiteralObject], area_range: str, threshold: float
) -> list[str]:
    """What becomes of each prediction: 'true', 'false' or 'ignored'."""
    ignored = [truth.crowd or is_outside(truth, area_range) for truth in truths]
    taken: set[int] = set()
    outcomes = []
    for prediction in ranked:
        overlaps = [literal_iou(prediction, truth) for truth in truths]
        free = [i for i, truth in enumerate(truths) if i not in taken or truth.crowd]
        near = [i for i in free if overlaps[i] >= min(threshold, 1 - 1e-10)]
        choice = [i for i in near if not ignored[i]] or near  # an ignored one only if no other will do
        if choice:
            best = max(choice, key=lambda i: (overlaps[i], i))  # of equal ones the last
            taken.add(best)
            outcomes.append("ignored" if ignored[best] else "true")
        else:
            outcomes.append("ignored" if is_outside(prediction, area_range) else "false")
    return outcomes


@functools.cache  # AP50, AP75, AR and the scores of one category need the same points as AP
def literal_points(
    predictions: tuple[LiteralObject, ...],
    truths: tuple[LiteralObject, ...],
    videos: tuple[int, ...],
    *,
    area_range: str,
    limit: int,
    threshold: float,
) -> tuple[tuple[float, float], ...] | None:
    """Recall and precision of one category after each prediction, by falling score; None without objects."""
    num_objects = sum(not truth.crowd and not is_outside(truth, area_range) for truth in truths)
    if num_objects == 0:
        return None
    rows = []
    for video in sorted(videos):
        ranked = literal_ranked([p for p in predictions if p.video == video], 100)
        mine = [truth for truth in truths if truth.video == video]
        outcomes = literal_match(ranked, mine, area_range, threshold)
        rows += [(p.score, outcome) for p, outcome in list(zip(ranked, outcomes, strict=True))[:limit]]
    rows.sort(key=lambda row: -row[0])
    num_true = num_false = 0
    points = []
    for _, outcome in rows:
        num_true += outcome == "true"
        num_false += outcome == "false"
        total = num_true + num_false
        points.append((num_true / num_objects, num_true / total if total else 0.0))
    return tuple(points)


@functools.cache
def literal_precisions(points: tuple[tuple[float, float], ...]) -> list[float]:
    """The precision at each of RECALLS."""
    return [max((p for r, p in points if r >= recall), default=0.0) for recall in RECALLS]


def literal_scores(
    predictions: list[LiteralObject], truths: list[LiteralObject], videos: list[int], categories: list[int]
) -> list[float]:
    """AP, AP50, AP75, APs, APm, APl, AR1, AR10, AR100, ARs, ARm, ARl."""

    def curves(area_range: str, limit: int, thresholds: list[float]) -> list[tuple[tuple[float, float], ...]]:
        found = [
            literal_points(
                tuple(p for p in predictions if p.category == category),
                tuple(t for t in truths if t.category == category),
                tuple(videos),
                area_range=area_range,
                limit=limit,
                threshold=threshold,
            )
            for category in categories
            for threshold in thresholds
        ]
        return [curve for curve in found if curve is not None]

    def ap(area_range: str, thresholds: list[float] = IOU_THRESHOLDS) -> float:
        values = [p for points in curves(area_range, 100, thresholds) for p in literal_precisions(points)]
        return sum(values) / len(values) if values else -1.0

    def ar(area_range: str, limit: int) -> float:
        values = [points[-1][0] if points else 0.0 for points in curves(area_range, limit, IOU_THRESHOLDS)]
        return sum(values) / len(values) if values else -1.0

    return [
        *(ap("all"), ap("all", IOU_THRESHOLDS[:1]), ap("all", IOU_THRESHOLDS[5:6])),
        *(ap("small"), ap("medium"), ap("large")),
        *(ar("all", 1), ar("all", 10), ar("all", 100)),
        *(ar("small", 100), ar("medium", 100), ar("large", 100)),
    ]


def forget() -> None:
    """Drop the objects that the caches hold, with their masks."""
    literal_iou.cache_clear()
    literal_points.cache_clear()
    literal_precisions.cache_clear()

"""DAVIS's measures written out slowly, pixel by pixel, from the protocol's words; the tests' second opinion."""

from __future__ import annotations

import itertools
import math

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]


def literal_j(prediction: Mask, truth: Mask, void: Mask) -> float:
    intersection = union = 0
    for y, x in np.ndindex(*truth.shape):
        if not void[y, x]:
            intersection += bool(prediction[y, x] and truth[y, x])
            union += bool(prediction[y, x] or truth[y, x])
    return 1.0 if union == 0 else intersection / union


def literal_boundary(mask: Mask) -> set[tuple[int, int]]:
    height, width = mask.shape
    pixels = set()
    for y, x in np.ndindex(height, width):
        if y == height - 1 and x == width - 1:
            continue
        if y == height - 1:
            neighbours = [(y, x + 1)]
        elif x == width - 1:
            neighbours = [(y + 1, x)]
        else:
            neighbours = [(y, x + 1), (y + 1, x), (y + 1, x + 1)]
        if any(mask[y, x] != mask[other] for other in neighbours):
            pixels.add((y, x))
    return pixels


def literal_f(prediction: Mask, truth: Mask, void: Mask) -> float:
    radius = math.ceil(0.008 * math.sqrt(truth.shape[0] ** 2 + truth.shape[1] ** 2))
    found, wanted = literal_boundary(prediction & ~void), literal_boundary(truth & ~void)
    if not found and not wanted:
        return 1.0
    if not found or not wanted:
        return 0.0
    precision = literal_share_near(found, wanted, radius)
    recall = literal_share_near(wanted, found, radius)
    return 0.0 if precision + recall == 0 else 2 * precision * recall / (precision + recall)


def literal_share_near(points: set[tuple[int, int]], others: set[tuple[int, int]], radius: int) -> float:
    near = [any((y - v) ** 2 + (x - u) ** 2 <= radius**2 for v, u in others) for y, x in points]
    return sum(near) / len(points)


def literal_statistics(values: list[float]) -> tuple[float, float, float]:
    edges = [int(np.round(1 + i * (len(values) - 1) / 4 + 1e-10)) - 1 for i in range(5)]
    first, last = values[edges[0] : edges[1] + 1], values[edges[3] : edges[4] + 1]
    recall = sum(value > 0.5 for value in values) / len(values)
    return sum(values) / len(values), recall, sum(first) / len(first) - sum(last) / len(last)


def literal_unsupervised(
    predictions: list[NDArray[np.uint8]], truths: list[NDArray[np.uint8]]
) -> list[tuple[list[float], list[float]]]:
    """Return the (J, F) values over frames of each object under the best of all assignments."""
    first = np.where(truths[0] == 255, 0, truths[0])
    num_objects = int(first.max())
    num_proposals = max(max(int(p.max()) for p in predictions), num_objects)
    pairs = {}
    for i, j in itertools.product(range(num_objects), range(num_proposals)):
        args = [(p == j + 1, t == i + 1, t == 255) for p, t in zip(predictions, truths, strict=True)]
        pairs[i, j] = ([literal_j(*a) for a in args], [literal_f(*a) for a in args])
    means = {key: (np.mean(j) + np.mean(f)) / 2 for key, (j, f) in pairs.items()}
    assignments = itertools.permutations(range(num_proposals), num_objects)
    best = max(assignments, key=lambda chosen: sum(means[i, j] for i, j in enumerate(chosen)))
    return [pairs[i, j] for i, j in enumerate(best)]


def literal_semi_supervised(
    predictions: list[NDArray[np.uint8]], truths: list[NDArray[np.uint8]]
) -> list[tuple[list[float], list[float]]]:
    num_objects = int(np.where(truths[0] == 255, 0, truths[0]).max())
    frames = list(zip(predictions, truths, strict=True))[1:-1]
    no_void = np.zeros(truths[0].shape, bool)
    return [
        (
            [literal_j(p == i, t == i, no_void) for p, t in frames],
            [literal_f(p == i, t == i, no_void) for p, t in frames],
        )
        for i in range(1, num_objects + 1)
    ]

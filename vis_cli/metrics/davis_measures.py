"""DAVIS's two measures of a frame, region similarity J and boundary accuracy F, and their statistics over frames.

Used by `metrics.davis`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

BOUNDARY_TOLERANCE = 0.008  # of the picture's diagonal
RECALL_THRESHOLD = 0.5
NUM_DECAY_BINS = 4

Labels: TypeAlias = NDArray[np.uint8]  # (H, W): 0 background, 1..254 instances
Scores: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Statistics:
    """Sum up one measure over the frames of one object, or average such sums over objects."""

    mean: float
    recall: float  # share of the frames above RECALL_THRESHOLD
    decay: float  # mean of the first quarter of the frames minus mean of the last


@dataclass(frozen=True, slots=True)
class _Boundary:
    """Hold the boundary of one mask: the line, the line widened by the tolerance, and its number of pixels."""

    line: NDArray[np.uint8]
    band: NDArray[np.uint8]
    length: int


def score_frame(prediction: Labels, ground_truth: Labels, num_proposals: int, num_objects: int) -> Scores:
    """Compare the proposals 1..P of a frame with the objects 1..O, other labels being background.

    Returns:
        float64 (2, P, O) in 0..1: J, then F.
    """
    region = region_similarity(prediction, ground_truth, num_proposals, num_objects)
    boundary = boundary_accuracy(prediction, ground_truth, num_proposals, num_objects)
    return np.stack([region, boundary])


def region_similarity(prediction: Labels, ground_truth: Labels, num_proposals: int, num_objects: int) -> Scores:
    """Return the intersection over union of each proposal and each object, 1 where both are empty: (P, O)."""
    pairs = prediction.ravel().astype(np.intp) * 256 + ground_truth.ravel()
    counts = np.bincount(pairs, minlength=256 * 256).reshape(256, 256)  # pixels of each pair of labels
    proposals, objects = slice(1, num_proposals + 1), slice(1, num_objects + 1)
    intersection = counts[proposals, objects]
    union = counts[proposals].sum(axis=1)[:, None] + counts[:, objects].sum(axis=0)[None, :] - intersection
    return np.where(union == 0, 1.0, intersection / np.maximum(union, 1))


def boundary_accuracy(prediction: Labels, ground_truth: Labels, num_proposals: int, num_objects: int) -> Scores:
    """Return the F-measure of each proposal's and each object's boundary: (P, O)."""
    disk = _disk(math.ceil(BOUNDARY_TOLERANCE * math.hypot(*ground_truth.shape)))
    objects = _boundaries(ground_truth, num_objects, disk)
    proposals = _boundaries(prediction, num_proposals, disk)
    scores = [_f_measure(proposal, target) for proposal in proposals for target in objects]
    return np.array(scores, dtype=np.float64).reshape(num_proposals, num_objects)


def boundary_map(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Mark the pixels of an (H, W) mask that differ from the one to the right, below, or diagonally between.

    The last row is compared to the right only, the last column downwards only, so the picture's border is no boundary.
    """
    edges = np.zeros_like(mask, dtype=np.bool_)
    edges[:, :-1] |= mask[:, :-1] != mask[:, 1:]
    edges[:-1, :] |= mask[:-1, :] != mask[1:, :]
    edges[:-1, :-1] |= mask[:-1, :-1] != mask[1:, 1:]
    return edges


def frame_statistics(values: Scores) -> Statistics:
    """Sum up one object's measure over its (T,) frames.

    The decay's bins are the benchmark's: they share their edge frames, and five edges are rounded from 1 to T. The
    benchmark keeps the edges in eight bits, which goes wrong above 255 frames; here they are kept whole.
    """
    edges = np.round(np.linspace(1, len(values), NUM_DECAY_BINS + 1) + 1e-10).astype(np.intp) - 1
    first, last = values[: edges[1] + 1], values[edges[-2] :]
    return Statistics(
        mean=float(values.mean()),
        recall=float((values > RECALL_THRESHOLD).mean()),
        decay=float(first.mean() - last.mean()),
    )


def average_statistics(statistics: Iterable[Statistics]) -> Statistics:
    """Average over objects; every number is nan where there is none."""
    rows = np.array([(s.mean, s.recall, s.decay) for s in statistics], dtype=np.float64).reshape(-1, 3)
    if len(rows) == 0:
        return Statistics(math.nan, math.nan, math.nan)
    return Statistics(*(float(mean) for mean in rows.mean(axis=0)))


def _boundaries(labels: Labels, num_labels: int, disk: NDArray[np.uint8]) -> list[_Boundary | None]:
    """Find the boundary of each label 1..num_labels; None where it has none."""
    present = set(np.unique(labels).tolist())
    return [_boundary(labels == i, disk) if i in present else None for i in range(1, num_labels + 1)]


def _boundary(mask: NDArray[np.bool_], disk: NDArray[np.uint8]) -> _Boundary | None:
    line = boundary_map(mask).astype(np.uint8)
    length = cv2.countNonZero(line)
    return _Boundary(line, np.asarray(cv2.dilate(line, disk), dtype=np.uint8), length) if length else None


def _f_measure(proposal: _Boundary | None, target: _Boundary | None) -> float:
    """Return the harmonic mean of precision and recall within the tolerance; two missing boundaries agree."""
    if proposal is None or target is None:
        return float(proposal is target)
    precision = cv2.countNonZero(proposal.line & target.band) / proposal.length
    recall = cv2.countNonZero(target.line & proposal.band) / target.length
    return 0.0 if precision + recall == 0 else 2 * precision * recall / (precision + recall)


def _disk(radius: int) -> NDArray[np.uint8]:
    """Return the (2r+1, 2r+1) pixels whose centres lie within `radius`."""
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    disk: NDArray[np.uint8] = (x * x + y * y <= radius * radius).astype(np.uint8)
    return disk

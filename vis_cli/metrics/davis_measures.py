"""The DAVIS measures of a frame, region similarity J and boundary accuracy F, and their statistics over frames.

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

BOUNDARY_TOLERANCE = 0.008  # fraction of the frame's diagonal
RECALL_THRESHOLD = 0.5
NUM_DECAY_BINS = 4

Labels: TypeAlias = NDArray[np.uint8]  # (H, W): 0 is background, 1..254 are instances
Scores: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Statistics:
    """Statistics of one measure over the frames of one object, or their averages over objects."""

    mean: float
    recall: float  # fraction of the frames above RECALL_THRESHOLD
    decay: float  # mean of the first quarter of the frames minus mean of the last quarter


@dataclass(frozen=True, slots=True)
class _Boundary:
    """Boundary of one mask."""

    line: NDArray[np.uint8]
    band: NDArray[np.uint8]  # the line, dilated by the tolerance
    length: int  # pixels of the line


def score_frame(prediction: Labels, ground_truth: Labels, num_proposals: int, num_objects: int) -> Scores:
    """Compare the proposals of a frame with its objects.

    Args:
        prediction: Label map (H, W). Labels above `num_proposals` count as background.
        ground_truth: Label map (H, W). Labels above `num_objects` count as background.
        num_proposals: P; the proposals are the labels 1..P.
        num_objects: O; the objects are the labels 1..O.

    Returns:
        float64 (2, P, O) from 0 to 1: J, then F.
    """
    region = region_similarity(prediction, ground_truth, num_proposals, num_objects)
    boundary = boundary_accuracy(prediction, ground_truth, num_proposals, num_objects)
    return np.stack([region, boundary])


def region_similarity(prediction: Labels, ground_truth: Labels, num_proposals: int, num_objects: int) -> Scores:
    """Return the IoU of each proposal with each object, (P, O); 1 if both are empty."""
    pairs = prediction.ravel().astype(np.intp) * 256 + ground_truth.ravel()
    counts = np.bincount(pairs, minlength=256 * 256).reshape(256, 256)  # pixels of each pair of labels
    proposals, objects = slice(1, num_proposals + 1), slice(1, num_objects + 1)
    intersection = counts[proposals, objects]
    union = counts[proposals].sum(axis=1)[:, None] + counts[:, objects].sum(axis=0)[None, :] - intersection
    return np.where(union == 0, 1.0, intersection / np.maximum(union, 1))


def visible_labels(labels: Labels, num_labels: int) -> NDArray[np.bool_]:
    """Return whether each of the labels 1..num_labels has pixels in a label map, (num_labels,)."""
    counts = cv2.calcHist([labels], [0], None, [256], [0, 256])  # faster than numpy for 8 bits
    visible: NDArray[np.bool_] = counts.ravel()[1 : num_labels + 1] > 0
    return visible


def boundary_accuracy(prediction: Labels, ground_truth: Labels, num_proposals: int, num_objects: int) -> Scores:
    """Return the F-measure of the boundaries of each proposal and each object, (P, O)."""
    disk = _disk(math.ceil(BOUNDARY_TOLERANCE * math.hypot(*ground_truth.shape)))
    objects = _boundaries(ground_truth, num_objects, disk)
    proposals = _boundaries(prediction, num_proposals, disk)
    scores = [_f_measure(proposal, target) for proposal in proposals for target in objects]
    return np.array(scores, dtype=np.float64).reshape(num_proposals, num_objects)


def boundary_map(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Mark the pixels of an (H, W) mask that differ from the pixel to the right, below, or below to the right.

    The last row is compared only to the right and the last column only downwards, so the frame's border is not a
    boundary.
    """
    edges = np.zeros_like(mask, dtype=np.bool_)
    edges[:, :-1] |= mask[:, :-1] != mask[:, 1:]
    edges[:-1, :] |= mask[:-1, :] != mask[1:, :]
    edges[:-1, :-1] |= mask[:-1, :-1] != mask[1:, 1:]
    return edges


def frame_statistics(values: Scores) -> Statistics:
    """Return the statistics of a measure of one object over T frames.

    The bins of the decay are the same as in the benchmark: five rounded edges from 1 to T, where neighbouring bins
    share their edge frame. The benchmark stores the edges in 8 bits, which overflow above 255 frames. Here they are
    integers without this limit.

    Args:
        values: The measure in each frame, (T,), from 0 to 1.
    """
    edges = np.round(np.linspace(1, len(values), NUM_DECAY_BINS + 1) + 1e-10).astype(np.intp) - 1
    first, last = values[: edges[1] + 1], values[edges[-2] :]
    return Statistics(
        mean=float(values.mean()),
        recall=float((values > RECALL_THRESHOLD).mean()),
        decay=float(first.mean() - last.mean()),
    )


def average_statistics(statistics: Iterable[Statistics]) -> Statistics:
    """Return the averages over objects; nan if there are no objects."""
    rows = np.array([(s.mean, s.recall, s.decay) for s in statistics], dtype=np.float64).reshape(-1, 3)
    if len(rows) == 0:
        return Statistics(math.nan, math.nan, math.nan)
    return Statistics(*(float(mean) for mean in rows.mean(axis=0)))


def _boundaries(labels: Labels, num_labels: int, disk: NDArray[np.uint8]) -> list[_Boundary | None]:
    """Return the boundary of each label 1..num_labels; None for a label without a boundary."""
    present = set(np.unique(labels).tolist())
    return [_boundary(labels == i, disk) if i in present else None for i in range(1, num_labels + 1)]


def _boundary(mask: NDArray[np.bool_], disk: NDArray[np.uint8]) -> _Boundary | None:
    line = boundary_map(mask).astype(np.uint8)
    length = cv2.countNonZero(line)
    return _Boundary(line, np.asarray(cv2.dilate(line, disk), dtype=np.uint8), length) if length else None


def _f_measure(proposal: _Boundary | None, target: _Boundary | None) -> float:
    """Return the harmonic mean of precision and recall within the tolerance; 1 if both boundaries are missing."""
    if proposal is None or target is None:
        return float(proposal is target)
    precision = cv2.countNonZero(proposal.line & target.band) / proposal.length
    recall = cv2.countNonZero(target.line & proposal.band) / target.length
    return 0.0 if precision + recall == 0 else 2 * precision * recall / (precision + recall)


def _disk(radius: int) -> NDArray[np.uint8]:
    """Return a (2r+1, 2r+1) array that is 1 for the pixels whose centres lie within `radius`."""
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    disk: NDArray[np.uint8] = (x * x + y * y <= radius * radius).astype(np.uint8)
    return disk

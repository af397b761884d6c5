"""IoU of each object with each predicted sequence in every frame.

Used by `metrics.davis` and `metrics.youtube_vis_video`. `metrics.identity_matching` matches sequences by these IoUs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vis_cli.records.rle import Rle, iter_intersections, rle_areas

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Indices = NDArray[np.intp]


class VisiblePairs(NamedTuple):
    """The visible objects and predictions of one frame."""

    objects: Indices  # (n,)
    predictions: Indices  # (p,)
    ious: Floats  # (n, p)


@dataclass(frozen=True, slots=True, eq=False)
class FrameOverlaps:
    """IoUs of N objects with P predictions in T frames. Masks of one frame can overlap."""

    ious: Floats  # (T, N, P), from 0 to 1; 0 if one of the masks is empty
    visible_objects: Bools  # (T, N): whether the mask has pixels
    visible_predictions: Bools  # (T, P)

    def select(self, objects: Bools, predictions: Bools) -> FrameOverlaps:
        """Return the overlaps of some objects (N,) with some predictions (P,)."""
        ious = self.ious[:, objects][:, :, predictions]
        return FrameOverlaps(ious, self.visible_objects[:, objects], self.visible_predictions[:, predictions])

    def iter_visible(self) -> Iterator[VisiblePairs]:
        """Yield the visible masks of each frame that has a visible object and a visible prediction."""
        for ious, of_objects, of_predictions in zip(
            self.ious, self.visible_objects, self.visible_predictions, strict=True
        ):
            objects, predictions = np.flatnonzero(of_objects), np.flatnonzero(of_predictions)
            if len(objects) and len(predictions):
                yield VisiblePairs(objects, predictions, ious[np.ix_(objects, predictions)])


def label_overlaps(region: Floats, visible_proposals: Bools, visible_objects: Bools) -> FrameOverlaps:
    """Convert the region similarities of label maps.

    Args:
        region: J of each proposal with each object, (P, N, T). J of two empty masks is ignored.
        visible_proposals: Whether a proposal has pixels, (T, P).
        visible_objects: Whether an object has pixels, (T, N).
    """
    both = visible_objects[:, :, None] & visible_proposals[:, None, :]  # (T, N, P)
    return FrameOverlaps(np.where(both, region.T, 0.0), visible_objects, visible_proposals)


def measure_sequences(
    predictions: Sequence[Sequence[Rle | None]], objects: Sequence[Sequence[Rle | None]], num_frames: int
) -> tuple[Floats, FrameOverlaps]:
    """Measure the IoU of sequences, and the IoU of their masks in every frame, in one pass.

    Args:
        predictions: P sequences of `num_frames` masks; None where the mask is empty.
        objects: N sequences of `num_frames` masks.
        num_frames: T.

    Returns:
        Sequence IoU (P, N), from 0 to 1, as `records.rle.sequence_iou` computes it; and the IoUs of the frames.
    """
    of_predictions, of_objects = _areas(predictions, num_frames), _areas(objects, num_frames)  # (T, P) and (T, N)
    ious = np.zeros((num_frames, len(objects), len(predictions)))
    total = np.zeros((len(predictions), len(objects)), dtype=np.int64)
    for frame, shared in enumerate(iter_intersections(predictions, objects)):
        total += shared
        union = of_predictions[frame][:, None] + of_objects[frame][None, :] - shared
        ious[frame] = (shared / np.maximum(union, 1)).T
    unions = of_predictions.sum(axis=0)[:, None] + of_objects.sum(axis=0)[None, :] - total
    sequence_ious: Floats = total / np.maximum(unions, 1)
    return sequence_ious, FrameOverlaps(ious, of_objects > 0, of_predictions > 0)


def _areas(sequences: Sequence[Sequence[Rle | None]], num_frames: int) -> NDArray[np.int64]:
    areas = np.zeros((num_frames, len(sequences)), dtype=np.int64)
    for index, masks in enumerate(sequences):
        areas[:, index] = rle_areas(masks)
    return areas

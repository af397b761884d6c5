"""Detections of another program for the frames of one video. `records.detection_file` reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vis_cli.records.rle import Rle
from vis_cli.records.types import Category


@dataclass(frozen=True, slots=True)
class BoxDetections:
    """N detections of one frame."""

    boxes: NDArray[np.float64]  # (N, 4) xyxy, pixels of the video; ends are where the last pixel ends
    scores: NDArray[np.float64]  # (N,) from 0 to 1
    labels: NDArray[np.int64]  # (N,) from 1 to C
    masks: tuple[Rle | None, ...]  # N masks at the size of the video; None: the file has only a box

    def __post_init__(self) -> None:
        """Check that all fields have the same length."""
        lengths = {len(self.boxes), len(self.scores), len(self.labels), len(self.masks)}
        if len(lengths) != 1:
            raise ValueError(f"fields of BoxDetections have different lengths: {sorted(lengths)}")


@dataclass(frozen=True, slots=True)
class VideoDetections:
    """Detections of a video."""

    categories: tuple[Category, ...]  # label i is categories[i - 1]
    frames: Mapping[int, BoxDetections]  # by frame index, only frames with at least one detection

    def only(self, categories: Sequence[Category]) -> VideoDetections:
        """Return the detections of some of the categories."""
        labels = [self.categories.index(category) + 1 for category in categories]
        frames = {}
        for index, found in self.frames.items():
            rows = np.flatnonzero(np.isin(found.labels, labels))
            if len(rows):
                frames[index] = BoxDetections(
                    found.boxes[rows],
                    found.scores[rows],
                    np.array([labels.index(label) + 1 for label in found.labels[rows].tolist()], dtype=np.int64),
                    tuple(found.masks[row] for row in rows.tolist()),
                )
        return VideoDetections(tuple(categories), frames)

    def likely_frames(self, score: float) -> tuple[int, ...]:
        """Return the frames with a detection above a score, in ascending order.

        If no detection is above it, return all frames.
        """
        likely = [index for index, found in self.frames.items() if (found.scores > score).any()]
        return tuple(sorted(likely or self.frames))

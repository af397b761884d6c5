"""Detections of another program as a detector; used by the engine."""

from __future__ import annotations

import numpy as np

from vis_cli.records.detections import BoxDetections, VideoDetections
from vis_cli.records.types import Category, KeyFrame
from vis_cli.zoo.detectors.protocol import FoundBoxes

NOTHING = BoxDetections(np.zeros((0, 4)), np.zeros(0), np.zeros(0, dtype=np.int64), ())


class FileDetector:
    """The detections of a file."""

    reads_video = True
    calibration = None

    def __init__(self, detections: VideoDetections) -> None:
        """Store the detections of a video."""
        self.categories: tuple[Category, ...] = detections.categories
        self._frames = detections.frames

    def detect(self, key_frame: KeyFrame, *, mask_size: tuple[int, int]) -> FoundBoxes:
        """Return the detections of a frame. Their masks stay encoded, because most of them can be left out."""
        found = self._frames.get(key_frame.index, NOTHING)
        return FoundBoxes(
            found.boxes.astype(np.float32),
            found.scores.astype(np.float32),
            found.labels,
            (None,) * len(found.scores),
            found.masks,
        )

"""Detections of another program as a detector; used by the engine."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from vis_cli.records.detections import BoxDetections, VideoDetections
from vis_cli.records.rle import Rle, decode_rle
from vis_cli.records.types import Category, Picture
from vis_cli.zoo.detectors.protocol import FoundBoxes

NOTHING = BoxDetections(np.zeros((0, 4)), np.zeros(0), np.zeros(0, dtype=np.int64), ())


class FileDetector:
    """The detections of a file."""

    def __init__(self, detections: VideoDetections) -> None:
        """Store the detections of a video."""
        self.categories: tuple[Category, ...] = detections.categories
        self._frames = detections.frames

    def detect(self, picture: Picture, *, mask_size: tuple[int, int]) -> FoundBoxes:
        """Return the detections of a frame. A value of a mask at `mask_size` is the covered fraction of a pixel."""
        found = self._frames.get(picture.index, NOTHING)
        return FoundBoxes(
            found.boxes.astype(np.float32),
            found.scores.astype(np.float32),
            found.labels,
            tuple(None if rle is None else _covered(rle, mask_size) for rle in found.masks),
            found.masks,
        )


def _covered(rle: Rle, size: tuple[int, int]) -> NDArray[np.float32]:
    mask = decode_rle(rle).astype(np.float32)
    covered: NDArray[np.float32] = np.asarray(cv2.resize(mask, size[::-1], interpolation=cv2.INTER_AREA))
    return covered

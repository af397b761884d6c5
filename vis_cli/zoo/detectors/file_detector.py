"""Detections of another program as a detector; used by the engine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

import numpy as np
import torch
from torchvision.ops import batched_nms

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


def count_others(
    detections: VideoDetections,
    categories: Collection[Category],
    *,
    score_threshold: float,
    nms_iou: float,
    class_agnostic: bool,
) -> dict[str, int]:
    """Return the largest number of detections of a frame by the name of each category that is not in `categories`.

    Args:
        detections: Detections of all categories of a video.
        categories: Some of their categories.
        score_threshold: Detections with at most this score are not counted.
        nms_iou: IoU threshold of box NMS within each category. Duplicates are not counted.
        class_agnostic: NMS over all categories.
    """
    numbers: dict[str, int] = {}
    for found in detections.frames.values():
        likely = np.flatnonzero(found.scores > score_threshold)
        boxes, scores, labels = map(torch.from_numpy, (found.boxes[likely], found.scores[likely], found.labels[likely]))
        kept = batched_nms(boxes, scores, torch.zeros_like(labels) if class_agnostic else labels, nms_iou)
        found_categories = (detections.categories[label - 1] for label in labels[kept].tolist())
        for name, number in Counter(other.name for other in found_categories if other not in categories).items():
            numbers[name] = max(number, numbers.get(name, 0))
    return numbers

"""A detector of boxes, as `detectors.boxes_and_masks` calls it. No module of the engine knows its kind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from vis_cli.network.config import Calibration
from vis_cli.records.rle import Rle
from vis_cli.records.types import Category, KeyFrame

__all__ = ["BoxDetector", "FoundBoxes", "KeyFrame"]


@dataclass(frozen=True, slots=True)
class FoundBoxes:
    """N detections of a key frame, before score threshold and NMS, in any order."""

    boxes: NDArray[np.float32]  # (N, 4) xyxy, pixels of the key frame; ends are where the last pixel ends
    scores: NDArray[np.float32]  # (N,) from 0 to 1
    labels: NDArray[np.int64]  # (N,) from 1 to C: label i is categories[i - 1]
    # N masks (h, w) from 0 to 1 of the complete key frame, at `mask_size`. None: the mask is in `segmentations`, or the
    # model's mask head predicts it.
    masks: tuple[NDArray[np.float32] | None, ...]
    # N masks at the size of the key frame, if they are binary and known exactly. (): no mask is.
    segmentations: tuple[Rle | None, ...] = ()

    def __post_init__(self) -> None:
        """Check that all fields have the same length."""
        lengths = {len(self.boxes), len(self.scores), len(self.labels), len(self.masks)}
        lengths |= {len(self.segmentations)} if self.segmentations else set()
        if len(lengths) != 1:
            raise ValueError(f"fields of FoundBoxes have different lengths: {sorted(lengths)}")


class BoxDetector(Protocol):
    """Find boxes with classes and scores in a key frame, and masks if it can."""

    @property
    def reads_video(self) -> bool:
        """Return whether it reads key frames at the size of the video. False: at the size of the network input."""

    @property
    def calibration(self) -> Calibration | None:
        """Return the calibration of its scores. None: it is not measured."""

    @property
    def categories(self) -> tuple[Category, ...]:
        """Return the C categories."""

    def detect(self, key_frame: KeyFrame, *, mask_size: tuple[int, int]) -> FoundBoxes:
        """Find the objects of a key frame.

        Args:
            key_frame: The key frame.
            mask_size: (h, w) of the masks to return, if the detector predicts masks.
        """

"""Mattes and cut-outs: the masks alone, and the objects without their background."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from vis_cli.records.overlay import Frame
from vis_cli.records.palette import Color
from vis_cli.records.renderings.painter import union_of
from vis_cli.records.types import InstanceSequence

# A codec mixes colours across the edge of an object. Pixels up to this distance keep their colour under alpha 0, so
# that edges do not become dark. Pixels farther away are black: a file does not contain a hidden background.
FRINGE = 8
WHITE: Color = (255, 255, 255)
GREEN: Color = (0, 177, 64)  # of chroma key screens


class MattePainter:
    """Painter of the masks: 255 inside of an object, 0 outside, (H, W)."""

    def __init__(self, instances: Sequence[InstanceSequence]) -> None:
        self._instances = instances

    def draw(self, frame: Frame, index: int) -> NDArray[np.uint8]:
        """Draw the masks of a frame."""
        return union_of(self._instances, index, frame.shape[:2]) * np.uint8(255)


class AlphaPainter:
    """Painter of the objects with straight alpha, (H, W, 4): alpha is 255 inside of an object, 0 outside."""

    def __init__(self, instances: Sequence[InstanceSequence]) -> None:
        self._instances = instances
        self._kernel = np.ones((2 * FRINGE + 1, 2 * FRINGE + 1), np.uint8)

    def draw(self, frame: Frame, index: int) -> NDArray[np.uint8]:
        """Draw the objects of a frame."""
        mask = union_of(self._instances, index, frame.shape[:2])
        image = np.zeros((*mask.shape, 4), dtype=np.uint8)
        image[..., :3] = frame * cv2.dilate(mask, self._kernel)[..., None]
        image[..., 3] = mask * np.uint8(255)
        return image


class BackgroundPainter:
    """Painter of the objects in front of one colour, (H, W, 3)."""

    def __init__(self, instances: Sequence[InstanceSequence], color: Color) -> None:
        self._instances = instances
        self._color = color

    def draw(self, frame: Frame, index: int) -> NDArray[np.uint8]:
        """Draw the objects of a frame."""
        mask = union_of(self._instances, index, frame.shape[:2])
        image = np.empty_like(frame)
        image[:] = self._color
        cv2.copyTo(frame, mask, image)
        return image

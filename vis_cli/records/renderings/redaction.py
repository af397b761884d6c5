"""Redaction of objects: blur, pixelate and grey-out.

`coverage` decides which pixels are covered, this module how.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from vis_cli.records.overlay import Frame
from vis_cli.records.renderings.coverage import CoveredObject, Region, frame_seconds
from vis_cli.records.renderings.painter import Look
from vis_cli.records.types import InstanceSequence, VideoResult

GREY = 128
MIN_BLOCK_FRACTION = 1 / 40  # of the frame's short side: 9 pixels at 360p. Blocks of small objects are this large
CELLS_PER_BLOCK = 2  # a blur averages cells of half a block, then mixes neighbouring cells
BLUR_CELLS = 2.0  # standard deviation of this mixture, in cells: one block

Hide: TypeAlias = Callable[[Frame, Region, int], NDArray[np.uint8]]


class Redactor:
    """Painter that covers instances. It is also correct if frames are drawn in another order."""

    def __init__(self, result: VideoResult, instances: Sequence[InstanceSequence], look: Look, hide: Hide) -> None:
        """Prepare the covered objects.

        Args:
            result: Result of the video.
            instances: Instances to cover.
            look: Settings of the coverage and of the blocks.
            hide: Returns the new pixels in the box of a region, (height, width, 3), from the frame, the region and the
                side of a block in pixels.
        """
        self._hide = hide
        size, times = (result.video.width, result.video.height), frame_seconds(result.video)
        smallest = max(2, round(min(size) * MIN_BLOCK_FRACTION))
        self._objects: list[tuple[CoveredObject, int]] = []
        for instance in instances:
            covered = CoveredObject(instance.segmentations, size, times, look.coverage)
            self._objects.append((covered, max(smallest, -(-covered.longest_side // look.blocks))))

    def draw(self, frame: Frame, index: int) -> NDArray[np.uint8]:
        """Cover the instances in a copy of a frame."""
        image = np.array(frame, dtype=np.uint8)
        for covered, block in self._objects:
            region = covered.region(index)
            if region is not None:
                height, width = region.mask.shape
                hidden = self._hide(frame, region, block)
                cv2.copyTo(hidden, region.mask, image[region.y : region.y + height, region.x : region.x + width])
        return image


def grey_out(frame: Frame, region: Region, block: int) -> NDArray[np.uint8]:
    """Replace all pixels by grey. This is the only redaction that keeps no information of the pixels."""
    return np.full((*region.mask.shape, 3), GREY, dtype=np.uint8)


def pixelate(frame: Frame, region: Region, block: int) -> NDArray[np.uint8]:
    """Replace square blocks by their mean colour. The grid of the blocks is fixed in the frame."""
    cells, x, y = _cells(frame, region, block)
    blocks = cells.repeat(block, axis=0).repeat(block, axis=1)
    return _cut(blocks, region, x, y)


def blur(frame: Frame, region: Region, block: int) -> NDArray[np.uint8]:
    """Replace pixels by smooth colours without any detail that is smaller than a block."""
    side = max(1, block // CELLS_PER_BLOCK)
    cells, x, y = _cells(frame, region, side)
    mixed = cv2.GaussianBlur(cells, (0, 0), BLUR_CELLS, borderType=cv2.BORDER_REPLICATE)
    size = (mixed.shape[1] * side, mixed.shape[0] * side)
    return _cut(np.asarray(cv2.resize(mixed, size, interpolation=cv2.INTER_LINEAR), dtype=np.uint8), region, x, y)


def _cells(frame: Frame, region: Region, side: int) -> tuple[NDArray[np.uint8], int, int]:
    """Return the mean colours of the cells that a region touches, (rows, columns, 3), and x and y of the first cell."""
    height, width = region.mask.shape
    x, y = region.x // side * side, region.y // side * side
    right, bottom = -(-(region.x + width) // side) * side, -(-(region.y + height) // side) * side
    inside = frame[y:bottom, x:right]
    missing_rows, missing_columns = bottom - y - inside.shape[0], right - x - inside.shape[1]
    padded = cv2.copyMakeBorder(inside, 0, missing_rows, 0, missing_columns, cv2.BORDER_REPLICATE)
    size = ((right - x) // side, (bottom - y) // side)
    return np.asarray(cv2.resize(padded, size, interpolation=cv2.INTER_AREA), dtype=np.uint8), x, y


def _cut(image: NDArray[np.uint8], region: Region, x: int, y: int) -> NDArray[np.uint8]:
    height, width = region.mask.shape
    return np.ascontiguousarray(image[region.y - y : region.y - y + height, region.x - x : region.x - x + width])

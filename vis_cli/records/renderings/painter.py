"""The protocol of a mode, the settings of all modes, and the union of masks.

Used by the modes of this package and by `commands.render`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from vis_cli.records.overlay import Frame
from vis_cli.records.renderings.coverage import Coverage
from vis_cli.records.rle import decode_in_box
from vis_cli.records.types import InstanceSequence

Background = Literal["transparent", "white", "green"]


@dataclass(frozen=True, slots=True)
class Look:
    """Settings of the modes. Each mode uses some of them."""

    background: Background = "transparent"  # of cutout
    coverage: Coverage = field(default_factory=Coverage)  # of blur, pixelate and grey-out
    blocks: int = 8  # along the longer side of an object, in blur and pixelate


class Painter(Protocol):
    """Painter of the frames of one video."""

    def draw(self, frame: Frame, index: int) -> NDArray[np.uint8]:
        """Draw a frame.

        Args:
            frame: (H, W, 3) RGB frame of the video, which stays unchanged.
            index: The frame index.

        Returns:
            (H, W, 3) RGB, (H, W, 4) RGB and alpha, or (H, W) grey.
        """


def union_of(instances: Sequence[InstanceSequence], index: int, shape: tuple[int, int]) -> NDArray[np.uint8]:
    """Return the union of the masks in a frame, uint8 (H, W) of 0 and 1.

    Args:
        instances: The instances.
        index: The frame index.
        shape: Height and width of the frame.
    """
    union = np.zeros(shape, dtype=np.uint8)
    for instance in instances:
        segmentation = instance.segmentations[index]
        if segmentation is not None:
            x, y, mask = decode_in_box(segmentation)
            region = union[y : y + mask.shape[0], x : x + mask.shape[1]]
            np.maximum(region, mask, out=region)
    return union

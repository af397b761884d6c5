"""Colours of instances: the palette of every image that `vis` draws, and the one that DAVIS prescribes for its PNGs.

Used by `overlay`, `davis` and `training.contact_sheet`.
"""

from __future__ import annotations

from functools import cache
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

NUM_COLORS = 256  # instance 257 has the colour of instance 1
MIN_CHROMA, MIN_LIGHTNESS, MAX_LIGHTNESS = 35, 35, 92  # of a colour in Lab; lightness is from 0 to 100
FIRST_COLOR = (255, 51, 51)

Color: TypeAlias = tuple[int, int, int]  # RGB


def instance_color(instance_id: int) -> Color:
    """Return the RGB colour of an instance. It is the same in every frame and run, and unlike the other colours."""
    return _distinct_colors()[(instance_id - 1) % NUM_COLORS]


def voc_palette() -> NDArray[np.uint8]:
    """Return the colour map of PASCAL VOC, which DAVIS uses: uint8 (256, 3) RGB, black first.

    Bit 3k+c of a label becomes bit 7-k of channel c, so that consecutive labels have very different colours.
    """
    labels = np.arange(256)
    palette = np.zeros((256, 3), dtype=np.uint8)
    for bit in range(8):
        palette[:, bit % 3] |= (((labels >> bit) & 1) << (7 - bit // 3)).astype(np.uint8)
    return palette


@cache
def _distinct_colors() -> tuple[Color, ...]:
    """Choose NUM_COLORS colours one by one. Each has the largest distance in Lab from the colours before it.

    Candidates are saturated, and neither dark nor pale, so that they stand out from most images.
    """
    steps = np.linspace(0, 255, 16)
    candidates = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(-1, 1, 3)
    lab = cv2.cvtColor((candidates / 255).astype(np.float32), cv2.COLOR_RGB2Lab)[:, 0]  # L 0..100, a and b signed
    lightness, chroma = lab[:, 0], np.hypot(lab[:, 1], lab[:, 2])
    is_vivid = (chroma > MIN_CHROMA) & (lightness > MIN_LIGHTNESS) & (lightness < MAX_LIGHTNESS)
    candidates, lab = candidates[is_vivid, 0], lab[is_vivid]
    chosen = [int(np.argmin(np.abs(candidates - FIRST_COLOR).sum(axis=1)))]
    distances = np.full(len(lab), np.inf)
    while len(chosen) < NUM_COLORS:
        distances = np.minimum(distances, np.linalg.norm(lab - lab[chosen[-1]], axis=1))
        chosen.append(int(distances.argmax()))
    return tuple((int(red), int(green), int(blue)) for red, green, blue in candidates[chosen].round())

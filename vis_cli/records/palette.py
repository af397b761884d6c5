"""Colours of instances: the palette of every image that `vis` draws, and the one that DAVIS prescribes for its PNGs.

Used by `instance_colors`, `davis` and `training.contact_sheet`.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Color: TypeAlias = tuple[int, int, int]  # RGB

# Of the saturated colours that are neither dark nor pale (in Lab: chroma above 40, lightness from 40 to 90), the ten
# whose smallest distance is largest. A distance is the smaller one of two: 1/1.7 of the distance in Lab, and the
# distance in Lab that remains for protanopia, deuteranopia and tritanopia (Machado et al. 2009, severity 1).
# The smallest distances are 48 for normal vision and 25 otherwise; the palette of Okabe and Ito reaches 16.
# Each colour is as far as possible from the colours before it.
PALETTE: tuple[Color, ...] = (
    (255, 68, 102),  # red
    (119, 17, 255),  # violet
    (255, 221, 0),  # yellow
    (0, 238, 238),  # cyan
    (204, 17, 187),  # magenta
    (238, 136, 34),  # orange
    (187, 238, 136),  # light green
    (85, 102, 0),  # olive
    (153, 68, 119),  # plum
    (102, 153, 255),  # blue
)


def instance_color(instance_id: int) -> Color:
    """Return the RGB colour of an id alone. It is the same in every image; ids that differ by 10 have one colour."""
    return PALETTE[(instance_id - 1) % len(PALETTE)]


def voc_palette() -> NDArray[np.uint8]:
    """Return the colour map of PASCAL VOC, which DAVIS uses: uint8 (256, 3) RGB, black first.

    Bit 3k+c of a label becomes bit 7-k of channel c, so that consecutive labels have very different colours.
    """
    labels = np.arange(256)
    palette = np.zeros((256, 3), dtype=np.uint8)
    for bit in range(8):
        palette[:, bit % 3] |= (((labels >> bit) & 1) << (7 - bit // 3)).astype(np.uint8)
    return palette

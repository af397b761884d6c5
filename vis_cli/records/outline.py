"""Outlines of masks, drawn inside the masks: solid, or dashed for weak instances. Used by `overlay`."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

DASH = 6  # length of a dash, and of the space after it, in widths of the outline
CORE = 4 / 12  # of a dash and its space; widening it to the width of the outline adds a width at both ends


def outline_of(mask: NDArray[np.uint8], thickness: int, *, is_dashed: bool) -> NDArray[np.uint8]:
    """Return the outline of a mask, uint8 (H, W) of 0 and 1. The border of the array is part of the outline.

    Args:
        mask: (H, W) mask of 0 and 1.
        thickness: Width of the outline in pixels.
        is_dashed: Whether the outline consists of dashes.
    """
    disk = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * thickness + 1, 2 * thickness + 1))
    inner = cv2.erode(mask, disk, borderType=cv2.BORDER_CONSTANT, borderValue=0)
    outline = np.asarray(mask - inner, dtype=np.uint8)
    if not is_dashed:
        return outline
    dashes = np.asarray(cv2.dilate(_dashes(mask, DASH * thickness), disk), dtype=np.uint8)
    return outline & dashes


def _dashes(mask: NDArray[np.uint8], length: int) -> NDArray[np.uint8]:
    """Return the cores of the dashes along the contours of a mask. Each contour has a whole number of dashes."""
    dashes = np.zeros_like(mask)
    contours, _ = cv2.findContours(mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    for contour in contours:
        x, y = contour[:, 0, 0], contour[:, 0, 1]
        num_dashes = max(1, round(len(x) / (2 * length)))
        is_drawn = np.arange(len(x)) * num_dashes / len(x) % 1 < CORE
        dashes[y[is_drawn], x[is_drawn]] = 1
    return dashes

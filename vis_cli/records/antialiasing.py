"""Masks with smooth or noisy edges, as painting programs and JPEG make them: found by their values at edges.

Used by `given_masks`, and by `davis` for ground truth.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from vis_cli.errors import VisError

MIN_BLENDED_VALUES = 2  # one can be a thin object between two others
BLENDED_FRACTION = 0.6  # of a value's pixels
MIN_SCATTERED_VALUES = 16  # so many objects that are thinner than 3 pixels are none
SCATTERED_FRACTION = 0.75  # of all values


def require_sharp(labels: NDArray[np.uint8], where: str) -> None:
    """Reject a grey mask whose edges are smooth or noisy: each of its grey values would become an object.

    The values of a palette PNG come from a tool for labels, so they need no check.

    Raises:
        VisError: (H, W) `labels` have values from antialiasing or a lossy format; `where` names the file.
    """
    count = count_edge_values(labels)
    if count:
        values = "1 grey value" if count == 1 else f"{count} grey values"
        cause = f"{values} only at edges, so the mask is antialiased or was a JPEG"
        raise VisError(f"{where}: {cause}. Export it without antialiasing, or as a palette PNG.")


def count_edge_values(labels: NDArray[np.uint8]) -> int:
    """Count the values of a label map that come from antialiasing or a lossy format, 0 where it has none.

    A pixel is blended if its value lies between the smallest and the largest of its 3x3 neighbourhood. In a label map
    this happens only where three labels meet. Along a smooth edge it happens to every value between the two sides.
    The noise of a lossy format has many values, and almost none of them fills a 3x3 neighbourhood.

    Args:
        labels: (H, W).
    """
    kernel = np.ones((3, 3), np.uint8)
    low, high = cv2.erode(labels, kernel), cv2.dilate(labels, kernel)
    totals, blended, flat = (
        np.bincount(labels[chosen].ravel(), minlength=256)
        for chosen in (..., (labels > low) & (labels < high), low == high)
    )
    values = np.flatnonzero(totals[1:]) + 1
    num_blended = int(np.count_nonzero(blended[values] >= BLENDED_FRACTION * totals[values]))
    enough = 1 if totals[255] else MIN_BLENDED_VALUES  # next to white, each grey is suspect
    if num_blended >= enough and 2 * num_blended >= len(values) - 1:
        return num_blended
    num_scattered = int(np.count_nonzero(flat[values] == 0))
    is_noise = num_scattered >= max(MIN_SCATTERED_VALUES, SCATTERED_FRACTION * len(values))
    return num_scattered if is_noise else 0

"""Detection of label maps with smooth or noisy edges, which painting programs and JPEG produce.

Used by `given_masks`, and by `davis` for ground truth.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from vis_cli.errors import VisError

MIN_BLENDED_VALUES = 2  # a single blended value can be a thin object between two others
BLENDED_FRACTION = 0.6  # of the pixels of a value
MIN_SCATTERED_VALUES = 16  # that many values without any 3x3 area are noise instead of objects
SCATTERED_FRACTION = 0.75  # of all values


def require_sharp(labels: NDArray[np.uint8], where: str) -> None:
    """Reject a grey mask with smooth or noisy edges, because each of its grey values would become an object.

    Palette PNGs need no check, because a labelling tool chose their values.

    Args:
        labels: Label map (H, W).
        where: File, for the error message.

    Raises:
        VisError: Values of the label map come from antialiasing or a lossy format.
    """
    count = count_edge_values(labels)
    if count:
        values = "1 grey value" if count == 1 else f"{count} grey values"
        problem = f"the mask has {values} only at edges, so it is antialiased or was a JPEG"
        raise VisError(problem, where=where, hint="Export it without antialiasing, or as a palette PNG.")


def count_edge_values(labels: NDArray[np.uint8]) -> int:
    """Return the number of values of a label map that come from antialiasing or a lossy format.

    A pixel is blended if its value is between the minimum and the maximum of its 3x3 neighbourhood. In a label map,
    pixels are blended only where three labels meet. On a smooth edge, all values between the two sides are blended.
    The noise of a lossy format has many values, and almost none of them fills a 3x3 neighbourhood.

    Args:
        labels: Label map (H, W).
    """
    kernel = np.ones((3, 3), np.uint8)
    low, high = cv2.erode(labels, kernel), cv2.dilate(labels, kernel)
    totals, blended, flat = (
        np.bincount(labels[chosen].ravel(), minlength=256)
        for chosen in (..., (labels > low) & (labels < high), low == high)
    )
    values = np.flatnonzero(totals[1:]) + 1
    num_blended = int(np.count_nonzero(blended[values] >= BLENDED_FRACTION * totals[values]))
    enough = 1 if totals[255] else MIN_BLENDED_VALUES  # in an image with white pixels, one grey value is enough
    if num_blended >= enough and 2 * num_blended >= len(values) - 1:
        return num_blended
    num_scattered = int(np.count_nonzero(flat[values] == 0))
    is_noise = num_scattered >= max(MIN_SCATTERED_VALUES, SCATTERED_FRACTION * len(values))
    return num_scattered if is_noise else 0

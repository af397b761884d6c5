"""Coarse map of a frame: which object is uppermost in each cell, so that tags find free places fast.

Used by `tag_layout` and `overlay`.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

CELLS = 90  # along the short side of a frame

Box = tuple[int, int, int, int]  # x and y of the left top corner, x and y behind the right bottom corner


class Occupancy:
    """Map of the objects of one frame. A cell holds the value of the object that was added last, or 0.

    A cell samples one pixel: cell (row, column) is pixel (row * cell, column * cell).
    """

    def __init__(self, width: int, height: int) -> None:
        self._cell = max(1, min(width, height) // CELLS)
        self._grid = np.zeros((-(-height // self._cell), -(-width // self._cell)), dtype=np.int32)
        self._sums: NDArray[np.int32] | None = None  # integral of the cells with an object

    def add(self, value: int, x: int, y: int, mask: NDArray[np.uint8]) -> None:
        """Add an object above the others: its value, from 1, and its mask of 0 and 1 with the left top corner x, y."""
        sampled = mask[-y % self._cell :: self._cell, -x % self._cell :: self._cell]
        row, column = -(-y // self._cell), -(-x // self._cell)
        region = self._grid[row : row + sampled.shape[0], column : column + sampled.shape[1]]
        region[sampled > 0] = value
        self._sums = None

    def covered(
        self, boxes: NDArray[np.int64], value: int
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Return what each box covers, as fractions (M,): of the box by other objects, of the box by the object with
        this value, and of this object by the box.
        """
        if self._sums is None:
            self._sums = _integral(self._grid > 0)
        own_sums = _integral(self._grid == value)
        start_x, start_y, end_x, end_y = (-(-boxes // self._cell)).T  # cells whose pixel is inside the box
        cells = np.maximum((end_x - start_x) * (end_y - start_y), 1)
        every, own = (
            sums[end_y, end_x] - sums[start_y, end_x] - sums[end_y, start_x] + sums[start_y, start_x]
            for sums in (self._sums, own_sums)
        )
        return (every - own) / cells, own / cells, own / max(own_sums[-1, -1], 1)


def _integral(cells: NDArray[np.bool_]) -> NDArray[np.int32]:
    return np.asarray(cv2.integral(cells.view(np.uint8)), dtype=np.int32)

"""Distance of colours in Lab for normal vision, protanopia, deuteranopia and tritanopia.

Used by `instance_colors`.

Reference: Machado, Oliveira and Fernandes, A Physiologically-based Model for Simulation of Color Vision Deficiency,
IEEE TVCG 15(6), 2009; matrices of severity 1.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

SIMULATIONS = {  # matrices for linear RGB
    "normal": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "protanopia": (
        (0.152286, 1.052583, -0.204868),
        (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ),
    "deuteranopia": (
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ),
    "tritanopia": (
        (1.255528, -0.076749, -0.178779),
        (-0.078411, 0.930809, 0.147602),
        (0.004733, 0.691367, 0.303900),
    ),
}


def color_distances(colors: Sequence[tuple[int, int, int]]) -> NDArray[np.float64]:
    """Return the distance in Lab of each pair of N >= 1 RGB colours, (N, N), in the vision in which it is smallest."""
    linear = _to_linear(np.array(colors, dtype=np.float64).reshape(-1, 3) / 255)  # (N, 3)
    distances = []
    for matrix in SIMULATIONS.values():
        seen = _from_linear(np.clip(linear @ np.array(matrix).T, 0, 1))
        lab = cv2.cvtColor(seen[None].astype(np.float32), cv2.COLOR_RGB2Lab)[0]  # L from 0 to 100, a and b signed
        distances.append(np.linalg.norm(lab[:, None] - lab[None], axis=-1))
    smallest: NDArray[np.float64] = np.min(distances, axis=0).astype(np.float64)
    return smallest


def _to_linear(color: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(color <= 0.04045, color / 12.92, ((color + 0.055) / 1.055) ** 2.4)


def _from_linear(color: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(color <= 0.0031308, 12.92 * color, 1.055 * color ** (1 / 2.4) - 0.055)

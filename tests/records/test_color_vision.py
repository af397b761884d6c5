"""Distances of colours for four kinds of colour vision, compared with a literal computation in float64."""

from __future__ import annotations

import math

import numpy as np
import pytest

from vis_cli.records.color_vision import color_distances

RED, GREEN, BLUE, GREY, WHITE = (255, 0, 0), (0, 128, 0), (0, 0, 255), (90, 90, 90), (255, 255, 255)


def linear(channel: float) -> float:
    value = channel / 255
    return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4


def lab(red: float, green: float, blue: float) -> tuple[float, float, float]:
    """Convert linear RGB to Lab (CIE 1976, white D65)."""
    x = (0.412453 * red + 0.357580 * green + 0.180423 * blue) / 0.950456
    y = 0.212671 * red + 0.715160 * green + 0.072169 * blue
    z = (0.019334 * red + 0.119193 * green + 0.950227 * blue) / 1.088754
    fx, fy, fz = (t ** (1 / 3) if t > (6 / 29) ** 3 else t / (3 * (6 / 29) ** 2) + 4 / 29 for t in (x, y, z))
    return 116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)


def seen(color: tuple[int, int, int], matrix: list[list[float]]) -> tuple[float, float, float]:
    rgb = [linear(channel) for channel in color]
    mixed = [sum(weight * value for weight, value in zip(row, rgb, strict=True)) for row in matrix]
    return lab(*(min(max(value, 0.0), 1.0) for value in mixed))


# Machado, Oliveira and Fernandes 2009, severity 1
PROTANOPIA = [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
DEUTERANOPIA = [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
TRITANOPIA = [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
NORMAL = [[1.0, 0, 0], [0, 1.0, 0], [0, 0, 1.0]]


@pytest.mark.parametrize(
    ("first", "second", "worst"),
    [
        ((200, 80, 20), (110, 120, 20), PROTANOPIA),
        ((60, 80, 30), (110, 40, 40), DEUTERANOPIA),
        ((60, 160, 255), (40, 170, 170), TRITANOPIA),
        (GREY, WHITE, NORMAL),
    ],
)
def test_distance_is_the_one_of_the_worst_vision(
    first: tuple[int, int, int], second: tuple[int, int, int], worst: list[list[float]]
) -> None:
    expected = {
        str(matrix): math.dist(seen(first, matrix), seen(second, matrix))
        for matrix in (NORMAL, PROTANOPIA, DEUTERANOPIA, TRITANOPIA)
    }
    distance = color_distances([first, second])[0, 1]
    assert distance == pytest.approx(min(expected.values()), abs=0.5)
    if worst is not NORMAL:  # grey and white are the same for all
        assert min(expected, key=lambda name: expected[name]) == str(worst)
        assert distance < expected[str(NORMAL)] / 2


def test_distances_are_pairwise() -> None:
    distances = color_distances([RED, GREEN, BLUE])
    np.testing.assert_allclose(distances, distances.T)
    np.testing.assert_array_equal(np.diag(distances), 0)

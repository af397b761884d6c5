"""Map of the objects of a frame."""

from __future__ import annotations

import numpy as np
import pytest

from vis_cli.records.occupancy import CELLS, Occupancy


def box(x0: int, y0: int, x1: int, y1: int) -> np.ndarray:
    return np.array([[x0, y0, x1, y1]])


def fractions(occupancy: Occupancy, place: np.ndarray, value: int) -> tuple[float, ...]:
    return tuple(float(fraction[0]) for fraction in occupancy.covered(place, value))


@pytest.mark.parametrize("scale", [1, 4])
def test_fractions_of_the_box_and_of_the_object(scale: int) -> None:
    """In frames of 4 times the size, a cell samples one of 16 pixels."""
    occupancy = Occupancy(CELLS * scale, CELLS * scale)
    side = 20 * scale
    occupancy.add(2, 10 * scale, 10 * scale, np.ones((side, side), np.uint8))
    occupancy.add(1, 20 * scale, 10 * scale, np.ones((side, side), np.uint8))  # over the right half of object 2
    place = box(15 * scale, 10 * scale, 25 * scale, 30 * scale)
    assert fractions(occupancy, place, 1) == (0.5, 0.5, 0.25)
    assert fractions(occupancy, place, 2) == (0.5, 0.5, 0.5)
    assert fractions(occupancy, place, 3) == (1, 0, 0)
    assert fractions(occupancy, box(0, 0, 5, 5), 1) == (0, 0, 0)


def test_holes_are_free() -> None:
    occupancy = Occupancy(50, 50)
    mask = np.ones((30, 30), np.uint8)
    mask[10:20, 10:20] = 0
    occupancy.add(1, 10, 10, mask)
    assert fractions(occupancy, box(20, 20, 30, 30), 2) == (0, 0, 0)


@pytest.mark.parametrize(("x", "y"), [(0, 0), (3, 5), (639, 359), (638, 1)])
def test_an_object_is_at_its_place(x: int, y: int) -> None:
    occupancy = Occupancy(640, 360)  # cells of 4 pixels
    mask = np.ones((min(9, 360 - y), min(9, 640 - x)), np.uint8)
    occupancy.add(1, x, y, mask)
    others, _, _ = occupancy.covered(box(0, 0, 640, 360), 2)
    assert others[0] * 160 * 90 == pytest.approx(mask.size / 16, abs=4)
    if x > 0:
        assert occupancy.covered(box(0, 0, x, 360), 2)[0][0] == 0
    if y > 0:
        assert occupancy.covered(box(0, 0, 640, y), 2)[0][0] == 0

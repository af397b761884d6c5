"""Colours of instances: different for instances that come close in any frame, and the same in every selection."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from tests.records.result_factory import make_instance
from vis_cli.records.color_vision import color_distances
from vis_cli.records.instance_colors import assign_colors
from vis_cli.records.palette import PALETTE, Color
from vis_cli.records.types import InstanceSequence

SIZE = (100, 200)


def square(x: int, y: int, side: int = 8) -> np.ndarray:
    mask = np.zeros(SIZE, bool)
    mask[y : y + side, x : x + side] = True
    return mask


def distance(first: Color, second: Color) -> float:
    return float(color_distances([first, second])[0, 1])


def grid(columns: int, rows: int, spacing: int) -> list[InstanceSequence]:
    """Return instances in one frame whose squares of 8 pixels have `spacing` pixels between them."""
    step = 8 + spacing
    cells = [(x, y) for y in range(rows) for x in range(columns)]
    return [
        make_instance(i, [square(x * step, y * step)], score=1 - i / 100) for i, (x, y) in enumerate(cells, start=1)
    ]


def test_up_to_ten_instances_have_ten_colors() -> None:
    colors = assign_colors(grid(10, 1, 2), 100)
    assert set(colors) == set(range(1, 11))
    assert set(colors.values()) == set(PALETTE)
    assert colors[1] == PALETTE[0]


def test_close_instances_differ_for_every_kind_of_color_vision() -> None:
    """Each square of the grid of 30 touches up to eight others, and colours are used three times."""
    colors = assign_colors(grid(10, 3, 2), 100)
    for first in range(30):
        for second in range(first):
            if abs(first % 10 - second % 10) <= 1 and abs(first // 10 - second // 10) <= 1:
                assert distance(colors[first + 1], colors[second + 1]) > 25
    counts = [list(colors.values()).count(color) for color in PALETTE]
    assert min(counts) >= 1


def test_among_unused_colors_the_one_that_differs_most_from_close_instances() -> None:
    row = [make_instance(i, [square(x, 40)], score=1 - i / 10) for i, x in ((1, 0), (2, 40), (3, 50))]
    distances = color_distances(PALETTE)[1]
    assert assign_colors(row, 100)[3] == PALETTE[2 + int(distances[2:].argmax())] != PALETTE[2]


def with_nine_others(first: list[np.ndarray | None], last: list[np.ndarray | None]) -> dict[int, Color]:
    """Return the colours of instances 1 and 11, and of nine others that are far from the last one in 30 more frames."""
    absent: list[np.ndarray | None] = [None] * len(first)
    others = [make_instance(i, [*absent, *[square(100, 50)] * 30], score=0.8) for i in range(2, 11)]
    alone = make_instance(1, [*first, *[None] * 30], score=0.9)
    return assign_colors([alone, *others, make_instance(11, [*last, *[square(20, 50)] * 30], score=0.1)], 100)


@pytest.mark.parametrize(("gap", "is_close"), [(5, True), (6, False)])
def test_close_is_a_twentieth_of_the_short_side(gap: int, is_close: bool) -> None:
    """The last instance shares the colour of the first one, which it sees only once, unless they are close there."""
    colors = with_nine_others([square(0, 0)], [square(8 + gap, 0)])
    assert (colors[11] != colors[1]) is is_close


def test_any_frame_counts() -> None:
    first = [square(0, 0), square(20, 0)]
    meets = with_nine_others(first, [square(100, 0), square(30, 0)])
    passes = with_nine_others(first, [square(30, 0), square(100, 0)])  # at the same places, but not in one frame
    assert meets[11] != meets[1]
    assert passes[11] == passes[1]


def test_a_crowd_without_a_free_color_repeats_the_one_that_is_close_for_the_shortest_time() -> None:
    """Instance 11 is close to all others, but only in one of three frames to instance 4."""
    here, away = square(50, 50), square(150, 50)
    others = [
        make_instance(i, [here, here if i != 4 else away, here if i != 4 else away], score=1 - i / 100)
        for i in range(1, 11)
    ]
    last = make_instance(11, [here, here, here], score=0.1)
    colors = assign_colors([*others, last], 100)
    assert colors[11] == colors[4]


def test_a_repeated_color_is_that_of_the_farthest_instance() -> None:
    """Eleven squares in a row with much space between them: the last one has the colour of the first one."""
    row = [make_instance(i, [square(16 * (i - 1), 40)], score=1 - i / 100) for i in range(1, 12)]
    assert assign_colors(row, 100)[11] == assign_colors(row, 100)[1]
    row[10] = make_instance(11, [square(0, 90)], score=0.1)  # below the first one
    assert assign_colors(row, 100)[11] == assign_colors(row, 100)[10]


def test_the_order_of_the_instances_and_weak_instances_do_not_matter() -> None:
    instances = grid(5, 2, 2)
    colors = assign_colors(instances, 100)
    assert assign_colors(instances[::-1], 100) == colors
    weak = [make_instance(i, [square(i, 3)], score=0.99, confident=False) for i in range(20, 40)]
    more = assign_colors([*weak, *instances], 100)
    assert {i: more[i] for i in colors} == colors


@pytest.mark.parametrize("masks", [[None], [np.zeros(SIZE, bool)]])
def test_absent_and_empty_masks_are_close_to_nothing(masks: Sequence[np.ndarray | None]) -> None:
    instances = [make_instance(i, masks) for i in range(1, 13)]
    colors = assign_colors(instances, 100)
    assert colors[11] == colors[1]
    assert assign_colors([], 100) == {}

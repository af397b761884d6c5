"""Places of tags: inside the frame, apart from each other and from other objects, attached, and steady."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from vis_cli.records.blob import largest_blob
from vis_cli.records.occupancy import Occupancy
from vis_cli.records.tag_layout import Placement, TagLayout

FRAME = (640, 360)
SIZES = [(90, 18), (50, 18), (20, 14)]

Square = tuple[int, int, int, int]  # x, y, width, height


class Scene:
    """A video of rectangles; earlier rectangles are above later ones."""

    def __init__(self, frame: tuple[int, int] = FRAME, sizes: Sequence[tuple[int, int]] = SIZES) -> None:
        self.frame, self.sizes, self.layout = frame, sizes, TagLayout(frame)

    def place(
        self, squares: Sequence[Square], first_level: int = 0, ids: Sequence[int] = range(1, 100)
    ) -> list[Placement | None]:
        occupancy, blobs = Occupancy(*self.frame), []
        for value, (x, y, width, height) in reversed(list(enumerate(squares, start=1))):
            mask = np.ones((height, width), np.uint8)
            occupancy.add(value, x, y, mask)
            blobs.append((ids[value - 1], largest_blob(x, y, mask)))
        return self.layout.place(blobs[::-1], [self.sizes] * len(squares), occupancy, first_level)

    def boxes(self, squares: Sequence[Square]) -> list[tuple[int, int, int, int]]:
        placements = self.place(squares)
        assert all(placement is not None for placement in placements)
        return [placement.box for placement in placements if placement is not None]


def overlap(first: tuple[int, ...], second: tuple[int, ...]) -> int:
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    return max(width, 0) * max(height, 0)


def corners(square: Square) -> tuple[int, int, int, int]:
    x, y, width, height = square
    return x, y, x + width, y + height


def test_a_tag_is_above_the_middle_of_its_object() -> None:
    [placement] = Scene().place([(200, 200, 60, 80)])
    assert placement is not None
    assert (placement.level, placement.leader) == (0, None)
    x0, y0, x1, y1 = placement.box
    assert (x1 - x0, y1 - y0) == SIZES[0]
    assert (x0 + x1) / 2 == pytest.approx(230, abs=2)
    assert 1 <= 200 - y1 <= 4


def test_a_tag_is_over_the_highest_point() -> None:
    mask = np.zeros((100, 200), np.uint8)
    mask[50:] = 1
    mask[:50, 150:170] = 1  # a head at the right
    occupancy = Occupancy(*FRAME)
    occupancy.add(1, 100, 200, mask)
    [placement] = TagLayout(FRAME).place([(1, largest_blob(100, 200, mask))], [SIZES], occupancy)
    assert placement is not None
    x0, _, x1, y1 = placement.box
    assert (x0 + x1) / 2 == pytest.approx(260, abs=8)
    assert 1 <= 200 - y1 <= 4


@pytest.mark.parametrize("x", [0, 300, 630])
@pytest.mark.parametrize("y", [0, 170, 350])
def test_tags_never_leave_the_frame(x: int, y: int) -> None:
    [(x0, y0, x1, y1)] = Scene().boxes([(x, y, 10, 10)])
    assert 0 <= x0 < x1 <= 640
    assert 0 <= y0 < y1 <= 360
    assert overlap((x0, y0, x1, y1), (x, y, x + 10, y + 10)) == 0


def test_a_frame_narrower_than_the_tag_gets_a_shorter_one() -> None:
    [placement] = Scene((60, 200)).place([(10, 100, 30, 30)])
    assert placement is not None
    assert placement.level == 1
    assert Scene((15, 200)).place([(0, 100, 10, 30)]) == [None]


def test_tags_cover_neither_tags_nor_other_objects_where_a_free_place_exists() -> None:
    """A wall of objects: the places above and below each object are taken by its neighbours."""
    squares = [(x, y, 40, 40) for y in (100, 145, 190) for x in (200, 245, 290, 335)]
    boxes = Scene().boxes(squares)
    for position, box in enumerate(boxes):
        assert all(overlap(box, other) == 0 for other in boxes[:position])
        others = sum(overlap(box, corners(square)) for i, square in enumerate(squares) if i != position)
        assert others <= 0.1 * (box[2] - box[0]) * (box[3] - box[1])


def test_a_tag_that_moved_away_has_a_leader_line_to_its_object() -> None:
    squares = [(x, y, 40, 40) for y in (100, 145, 190) for x in (200, 245, 290, 335)]
    placements = Scene().place(squares)
    leaders = 0
    for square, placement in zip(squares, placements, strict=True):
        assert placement is not None
        x0, y0, x1, y1 = placement.box
        gap = 20
        is_near = overlap((x0 - gap, y0 - gap, x1 + gap, y1 + gap), corners(square)) > 0
        if placement.leader is None:
            assert is_near
            continue
        leaders += 1
        (start_x, start_y), (end_x, end_y) = placement.leader
        assert x0 <= start_x < x1
        assert y0 <= start_y < y1
        assert square[0] <= end_x < square[0] + 40
        assert square[1] <= end_y < square[1] + 40
    assert leaders >= 1


def test_a_large_object_has_its_tag_inside() -> None:
    [(x0, y0, x1, y1)] = Scene().boxes([(0, 0, 640, 360)])
    assert 0 <= x0 < x1 <= 640
    assert 0 <= y0 < y1 <= 360


def test_a_tag_is_not_over_its_own_object_if_a_side_is_free() -> None:
    """Other objects take the places above and below."""
    square = (200, 100, 200, 150)
    box = Scene().boxes([square, (150, 20, 300, 78), (150, 252, 300, 78)])[0]
    assert overlap(box, corners(square)) == 0


def test_a_tag_inside_a_large_object_is_better_than_a_leader_line() -> None:
    """Other objects surround it, and there are free places behind them."""
    square = (100, 150, 440, 60)
    around = [(100, 130, 440, 18), (100, 212, 440, 18), (80, 130, 18, 100), (542, 130, 18, 100)]
    placement = Scene().place([square, *around])[0]
    assert placement is not None
    assert placement.leader is None
    assert overlap(placement.box, corners(square)) == 90 * 18


def test_a_tag_comes_back_as_near_as_possible() -> None:
    """A square around the object shrinks, but still takes the places at its sides."""
    scene, square, distances = Scene(sizes=[(20, 14)]), (315, 175, 10, 10), []
    for side in (120, 40):
        placement = scene.place([square, (320 - side // 2, 180 - side // 2, side, side)])[0]
        assert placement is not None
        assert placement.leader is not None
        distances.append(float(np.hypot(*np.subtract(*placement.leader))))
    assert distances[0] > 50
    assert distances[1] < 40


def test_a_tag_does_not_jump_between_places_of_similar_quality() -> None:
    """An object fills the frame except a hole, which appears at the top and at the bottom in turn."""
    layout, places = TagLayout(FRAME), set()
    for index in range(6):
        mask = np.ones((360, 640), np.uint8)
        top = 0 if index % 2 else 330
        mask[top : top + 30, 260:380] = 0
        occupancy = Occupancy(*FRAME)
        occupancy.add(1, 0, 0, mask)
        [placement] = layout.place([(1, largest_blob(0, 0, mask))], [SIZES], occupancy)
        assert placement is not None
        places.add(placement.box)
    assert len(places) == 1


def test_a_tag_does_not_hide_a_small_object() -> None:
    """At the right border, the tag cannot be centred, and the object's height leaves no space above it."""
    [box] = Scene().boxes([(620, 2, 20, 30)])
    assert overlap(box, (620, 2, 640, 32)) <= 0.2 * 20 * 30


def test_shorter_tags_where_longer_ones_do_not_fit() -> None:
    first, second = Scene((135, 18)).place([(0, 0, 10, 18), (125, 0, 10, 18)])
    assert first is not None
    assert second is not None
    assert (first.level, second.level) == (0, 2)
    assert overlap(first.box, second.box) == 0


def test_no_tag_rather_than_an_overlap() -> None:
    frame = (90, 18)
    placements = Scene(frame).place([(0, 0, 40, 18), (50, 0, 40, 18)])
    assert placements[0] is not None
    assert placements[1] is None


def test_the_first_level_is_the_longest_tag() -> None:
    [placement] = Scene().place([(200, 200, 60, 80)], first_level=2)
    assert placement is not None
    assert placement.level == 2
    assert placement.box[2] - placement.box[0] == 20


def test_a_tag_does_not_tremble() -> None:
    scene, rng = Scene(), np.random.default_rng(0)
    noisy = [scene.boxes([(200 + dx, 200 + dy, 60, 80)])[0] for dx, dy in rng.integers(-1, 2, (30, 2)).tolist()]
    assert len(set(noisy)) <= 2


def test_a_tag_moves_with_its_object() -> None:
    scene = Scene()
    for step in range(40):
        x0, _, x1, y1 = scene.boxes([(100 + 6 * step, 150 + 2 * step, 60, 80)])[0]
        assert (x0 + x1) / 2 == pytest.approx(130 + 6 * step, abs=10)
        assert y1 == pytest.approx(148 + 2 * step, abs=8)


def test_a_tag_keeps_its_place_when_a_better_one_gets_free() -> None:
    """Another object passes above: the tag moves below its object once, and stays there."""
    scene, below = Scene(), []
    for step in range(58):
        passing = (10 * step, 150, 60, 45)
        box = scene.boxes([passing, (300, 200, 60, 40)])[1]
        below.append(box[1] >= 240)
    assert not below[0]
    assert below[-1]
    assert np.count_nonzero(np.diff(np.array(below, int))) == 1


def test_a_tag_that_was_too_long_waits_before_it_gets_longer() -> None:
    scene, levels = Scene((135, 18)), []
    scene.place([(0, 0, 10, 18), (125, 0, 10, 18)])  # object 2 has the shortest tag
    for _ in range(20):
        [placement] = scene.place([(125, 0, 10, 18)], ids=[2])
        assert placement is not None
        levels.append(placement.level)
    assert levels == [2] * 12 + [0] * 8


def test_a_frame_without_objects() -> None:
    scene = Scene()
    assert scene.place([]) == []
    assert len(scene.place([(200, 200, 60, 80)])) == 1
    assert scene.place([]) == []

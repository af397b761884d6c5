"""Tags get shorter while they need too much space, and for a second before and after it."""

from __future__ import annotations

import numpy as np
import pytest

from tests.records.result_factory import make_instance
from vis_cli.records.crowding import MAX_TAG_FRACTION, tag_levels

MASK = np.ones((2, 2), bool)


def levels(present: list[str], areas: list[int], *, fps: float = 1.0, area: int = 1000) -> list[int]:
    """Return the levels for instances that are present in the frames with a #."""
    tags = [(make_instance(i, [MASK if c == "#" else None for c in row]), areas) for i, row in enumerate(present)]
    num_frames = len(present[0]) if present else 3
    return tag_levels(tags, frame_area=area, num_frames=num_frames, fps=fps).tolist()


def test_the_longest_tags_that_have_space() -> None:
    assert MAX_TAG_FRACTION * 1000 == 80
    assert levels(["#", "#"], [40, 30, 20]) == [0]
    assert levels(["#", "#"], [41, 30, 20]) == [1]
    assert levels(["#", "#"], [60, 41, 20]) == [2]
    assert levels(["#", "#"], [90, 80, 70]) == [2]  # the shortest tags are always used


@pytest.mark.parametrize(("fps", "expected"), [(0.1, "0001000"), (1.0, "0011100"), (2.0, "0111110"), (1e9, "1111111")])
def test_the_level_changes_rarely(fps: float, expected: str) -> None:
    rows = ["#######", "...#..."]
    assert levels(rows, [60, 30, 20], fps=fps) == [int(level) for level in expected]


def test_no_instances_and_no_tags() -> None:
    assert levels([], [60, 30, 20]) == [0, 0, 0]
    assert levels(["###"], []) == [0, 0, 0]

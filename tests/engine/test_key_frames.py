"""Key frame spacing."""

from __future__ import annotations

import pytest

from vis_cli.engine.key_frames import select_key_frames
from vis_cli.settings import KeyFrameSpacing


@pytest.mark.parametrize(
    ("num_frames", "num_key_frames", "expected"),
    [(12, 4, (0, 3, 6, 9)), (11, 4, (0, 2, 4, 6)), (3, 4, (0, 1, 2)), (1, 6, (0,)), (7, 1, (0,)), (4, 4, (0, 1, 2, 3))],
)
def test_even_spacing_is_eq_1(num_frames: int, num_key_frames: int, expected: tuple[int, ...]) -> None:
    assert select_key_frames(num_frames, num_key_frames, "even") == expected


@pytest.mark.parametrize(
    ("num_frames", "num_key_frames", "expected"),
    [(36, 5, (0, 8, 17, 26, 35)), (16, 5, (0, 3, 7, 11, 15)), (3, 5, (0, 1, 2)), (1, 5, (0,)), (9, 1, (0,))],
)
def test_endpoints_spacing_has_the_last_frame_and_no_duplicates(
    num_frames: int, num_key_frames: int, expected: tuple[int, ...]
) -> None:
    assert select_key_frames(num_frames, num_key_frames, "endpoints") == expected


@pytest.mark.parametrize("spacing", ["even", "endpoints"])
def test_more_key_frames_than_frames_are_all_frames(spacing: KeyFrameSpacing) -> None:
    assert select_key_frames(3, 10**18, spacing) == (0, 1, 2)

"""The pixels that a redaction covers: dilation, hold, margins and gaps."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.records.result_factory import make_mask
from vis_cli.records.renderings.coverage import Coverage, CoveredObject, frame_seconds
from vis_cli.records.rle import encode_mask
from vis_cli.records.types import VideoInfo

NONE = Coverage(dilation=0, hold=0, margin=0, gap=0)
SIZE = (20, 10)  # width and height


def make_info(num_frames: int, *, fps: float = 10, timestamps: tuple[float, ...] | None = None) -> VideoInfo:
    return VideoInfo("clip", Path("clip.mp4"), *SIZE, fps, num_frames, timestamps=timestamps)


def dot(x: int, y: int = 5) -> NDArray[np.bool_]:
    mask = np.zeros(SIZE[::-1], np.bool_)
    mask[y, x] = True
    return mask


def covered(masks: Sequence[NDArray[np.bool_] | None], coverage: Coverage, **info: object) -> list[NDArray[np.bool_]]:
    """Return the covered pixels of each frame, (H, W)."""
    rles = [None if mask is None else encode_mask(mask) for mask in masks]
    video = make_info(len(masks), **info)  # type: ignore[arg-type]
    thing = CoveredObject(rles, SIZE, frame_seconds(video), coverage)
    frames = []
    for index in range(len(masks)):
        area, region = np.zeros(SIZE[::-1], np.bool_), thing.region(index)
        if region is not None:
            height, width = region.mask.shape
            area[region.y : region.y + height, region.x : region.x + width] = region.mask > 0
        frames.append(area)
    return frames


def columns(frames: Sequence[NDArray[np.bool_]]) -> list[list[int]]:
    """Return the covered columns of row 5 of each frame."""
    return [np.flatnonzero(frame[5]).tolist() for frame in frames]


def test_the_masks_alone() -> None:
    masks = [dot(3), None, dot(7)]
    frames = covered(masks, NONE)
    assert [frame.tolist() for frame in frames] == [dot(3).tolist(), np.zeros(SIZE[::-1]).tolist(), dot(7).tolist()]


def test_an_object_without_a_visible_mask() -> None:
    assert not any(frame.any() for frame in covered([None, np.zeros(SIZE[::-1], np.bool_)], Coverage()))
    thing = CoveredObject([None, None], SIZE, frame_seconds(make_info(2)), Coverage())
    assert thing.longest_side == 0
    assert thing.region(0) is None


def test_dilation_is_a_distance_and_stops_at_the_border() -> None:
    (area,) = covered([dot(1, y=4)], Coverage(dilation=2, hold=0, margin=0, gap=0))
    expected = make_mask([
        "." * 20, "." * 20,
        ".#" + "." * 18,
        "###" + "." * 17,
        "####" + "." * 16,
        "###" + "." * 17,
        ".#" + "." * 18,
        "." * 20, "." * 20, "." * 20,
    ])  # fmt: skip
    np.testing.assert_array_equal(area, expected)


def test_the_default_dilation_depends_on_the_short_side() -> None:
    (area,) = covered([dot(9)], Coverage(hold=0))
    assert columns([area]) == [[9]]  # 10 / 20 rounds to 0
    mask = np.zeros((60, 100), np.bool_)
    mask[30, 50] = True
    region = CoveredObject([encode_mask(mask)], (100, 60), frame_seconds(make_info(1)), Coverage()).region(0)
    assert region is not None
    assert region.mask.shape == (7, 7)  # 60 / 20 = 3 on each side


def test_a_mask_is_held_before_and_after_its_frame() -> None:
    masks = [dot(2), dot(4), dot(6), dot(8), dot(10)]
    frames = covered(masks, Coverage(dilation=0, hold=0.1, margin=0, gap=0))
    assert columns(frames) == [[2, 4], [2, 4, 6], [4, 6, 8], [6, 8, 10], [8, 10]]


def test_hold_counts_seconds_of_a_variable_frame_rate() -> None:
    masks = [dot(2), dot(4), dot(6)]
    frames = covered(masks, Coverage(dilation=0, hold=0.1, margin=0, gap=0), timestamps=(0.0, 0.05, 5.0))
    assert columns(frames) == [[2, 4], [2, 4], [6]]


def test_margins_before_the_first_and_after_the_last_mask() -> None:
    masks = [None, None, None, dot(3), dot(5), None, None, None]
    frames = covered(masks, Coverage(dilation=0, hold=0, margin=0.2, gap=0))
    assert columns(frames) == [[], [3], [3], [3], [5], [5], [5], []]


def test_a_short_gap_covers_each_position_between_its_ends() -> None:
    masks = [dot(2), None, None, dot(8), None]
    frames = covered(masks, Coverage(dilation=0, hold=0, margin=0, gap=0.3))
    path = [2, 3, 4, 5, 6, 7, 8]
    assert columns(frames) == [[2], path, path, [8], []]


def test_the_hull_of_a_gap_is_dilated() -> None:
    masks = [dot(4), None, dot(6)]
    frames = covered(masks, Coverage(dilation=1, hold=0, margin=0, gap=1))
    assert columns(frames)[1] == [3, 4, 5, 6, 7]


def test_a_long_gap_is_covered_at_its_ends_only() -> None:
    masks = [dot(2), None, None, None, dot(8)]
    frames = covered(masks, Coverage(dilation=0, hold=0, margin=0.1, gap=0.3))
    assert columns(frames) == [[2], [2], [], [8], [8]]


def test_each_gap_has_its_own_hull_in_any_order_of_frames() -> None:
    masks = [encode_mask(dot(2)), None, encode_mask(dot(4)), None, encode_mask(dot(8))]
    thing = CoveredObject(masks, SIZE, frame_seconds(make_info(5)), Coverage(dilation=0, hold=0, margin=0, gap=1))
    spans = []
    for index in (3, 1, 3):
        region = thing.region(index)
        assert region is not None
        spans.append((region.x, region.x + region.mask.shape[1] - 1))
    assert spans == [(4, 8), (2, 4), (4, 8)]


def test_the_longest_side_counts_all_masks() -> None:
    wide = np.zeros(SIZE[::-1], np.bool_)
    wide[2:4, 3:15] = True
    thing = CoveredObject([encode_mask(dot(1)), None, encode_mask(wide)], SIZE, frame_seconds(make_info(3)), NONE)
    assert thing.longest_side == 12


@pytest.mark.parametrize("fps", [0.0, 25.0])
def test_a_video_without_timestamps(fps: float) -> None:
    frames = covered([dot(2), dot(4)], Coverage(dilation=0, hold=0.04, margin=0, gap=0), fps=fps)
    assert columns(frames) == ([[2], [4]] if fps == 0 else [[2, 4], [2, 4]])

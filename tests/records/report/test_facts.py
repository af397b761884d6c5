"""The facts of an instance: gaps, profile, thumbnail frame and table row."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tests.records.exports.factory import two_objects
from tests.records.result_factory import make_instance, make_mask, make_result
from vis_cli.records.instance_colors import assign_colors
from vis_cli.records.part import PartRequest, VideoPart
from vis_cli.records.report import facts
from vis_cli.records.report.facts import PROFILE_DIGITS, area_profile, find_gaps, frame_times, gather_facts


@pytest.mark.parametrize(
    ("visible", "expected"),
    [([], ()), ([3], ()), ([3, 4, 5], ()), ([0, 2, 3, 7], ((1, 1), (4, 6)))],
)
def test_gaps_are_between_visible_frames(visible: list[int], expected: tuple[tuple[int, int], ...]) -> None:
    assert find_gaps(np.array(visible, dtype=np.intp)) == expected


def test_profile_is_relative_to_the_largest_area() -> None:
    profile = area_profile(np.array([0, 1, 630, 315]))
    assert [PROFILE_DIGITS.index(digit) for digit in profile] == [0, 1, 63, 32]
    assert area_profile(np.zeros(3, np.int64)) == ""
    assert area_profile(np.zeros(0, np.int64)) == ""


def test_a_long_profile_keeps_the_largest_area_of_each_bin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facts, "PROFILE_BINS", 3)
    profile = area_profile(np.array([0, 0, 63, 0, 21, 0, 0, 0]))
    assert [PROFILE_DIGITS.index(digit) for digit in profile] == [0, 63, 0]
    assert len(set(PROFILE_DIGITS)) == len(PROFILE_DIGITS) == 64


def test_facts_of_an_instance() -> None:
    result = two_objects()
    first, second = gather_facts(result).instances
    assert (first.first, first.last, first.num_visible, first.gaps) == (0, 3, 3, ((1, 1),))
    assert (second.first, second.last, second.num_visible, second.gaps) == (1, 2, 2, ())  # an empty mask is absent
    assert first.pictured_frame == 0
    assert first.mean_area == round(float(first.measures.areas[[0, 2, 3]].mean()))
    assert first.color == assign_colors(result.instances, 48)[1]
    assert first.csv.startswith("clip,1,cat,0.75,1,0,3,")
    assert first.scores == (("cat", 0.75),)


def test_a_score_limit_keeps_the_colors() -> None:
    result = two_objects()
    (kept,) = gather_facts(result, 0.6).instances
    assert (kept.instance.id, kept.color) == (1, gather_facts(result).instances[0].color)


def test_an_instance_that_is_never_visible() -> None:
    result = make_result([make_instance(1, [None, make_mask(["." * 6] * 4)], category_id=None)], num_frames=2)
    (item,) = gather_facts(result).instances
    assert (item.first, item.last, item.mean_area, item.pictured_frame) == (None, None, None, None)
    assert (item.category, item.profile, item.gaps) == ("object", "", ())


def test_times() -> None:
    assert frame_times(gather_facts(make_result(num_frames=2))) == pytest.approx([0, 1 / 23.976])
    assert gather_facts(make_result(num_frames=3)).seconds == pytest.approx(3 / 23.976)


@pytest.mark.parametrize(
    ("every", "times", "seconds"),
    [(1, (0.0, 0.1, 0.7), 0.8), (4, (2.0, 2.4, 2.8), 1.2), (4, None, 1.2), (1, (), 0.0)],
)
def test_the_duration_of_a_part_and_of_a_variable_frame_rate(
    every: int, times: tuple[float, ...] | None, seconds: float
) -> None:
    num_frames = 3 if times is None else len(times)
    part = VideoPart(20, 20 + num_frames * every, PartRequest(every=every), ends_with_video=False)
    result = make_result(num_frames=num_frames, fps=10.0)
    video = dataclasses.replace(result.video, part=part, timestamps=times)
    assert gather_facts(dataclasses.replace(result, video=video)).seconds == pytest.approx(seconds)

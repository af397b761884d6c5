"""Which frames of a video make a clip."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from vis_cli.records.rle import encode_mask
from vis_cli.training.annotations import VideoClip, VideoObject
from vis_cli.training.frame_choice import covering_frames, uniform_frames

SEEN = encode_mask(np.ones((2, 2), bool))


def make_clip(*shown: str) -> VideoClip:
    """Make a video of objects, each given by its frames: "x" where it is seen."""
    objects = tuple(VideoObject("", False, tuple(SEEN if c == "x" else None for c in frames)) for frames in shown)
    return VideoClip(tuple(Path(f"{i}.png") for i in range(len(shown[0]))), 2, 2, objects)


def guides(video: VideoClip, labels: list[int | None], item: int, choose: object = covering_frames) -> set[int]:
    """Return every frame that comes to guide the item in many draws."""
    drawn = [choose(video, labels, item, 2, np.random.default_rng(seed)) for seed in range(60)]  # type: ignore[operator]
    assert {frames[1] for frames in drawn} == {item}
    return {frames[0] for frames in drawn}


def test_any_other_frame_guides_as_often() -> None:
    video = make_clip("xxxxx")
    drawn = [uniform_frames(video, [1], 2, 2, np.random.default_rng(seed)) for seed in range(400)]
    counts = Counter(first for first, last in drawn if last == 2)
    assert set(counts) == {0, 1, 3, 4}
    assert all(70 <= count <= 130 for count in counts.values())


def test_a_longer_clip_leads_from_its_guide_to_the_query() -> None:
    video = make_clip("x" * 30)
    for seed in range(30):
        frames = uniform_frames(video, [1], 15, 4, np.random.default_rng(seed))
        assert frames[-1] == 15
        assert frames in (sorted(frames), sorted(frames, reverse=True))


@pytest.mark.parametrize("choose", [uniform_frames, covering_frames])
def test_a_video_of_one_frame_guides_itself(choose: object) -> None:
    assert guides(make_clip("x"), [1], 0, choose) == {0}
    assert uniform_frames(make_clip("xx"), [1], 1, 1, np.random.default_rng(0)) == [1]


def test_a_covering_guide_shares_an_object() -> None:
    assert guides(make_clip("xx..", "..xx"), [1, 2], 0) == {1}


def test_a_covering_guide_has_all_the_querys_objects_of_a_class_that_it_shows() -> None:
    cats = make_clip("xxxx", "xx.x")
    assert guides(cats, [1, 1], 0) == {1, 3}  # frame 2 shows one of the two cats
    assert guides(cats, [1, 2], 0) == {1, 2, 3}  # of two classes, either is enough
    assert guides(cats, [1, 1], 2) == {0, 1, 3}  # what the query does not show may be there


def test_without_a_covering_guide_the_query_guides_itself() -> None:
    assert guides(make_clip("x..", ".xx"), [1, 2], 0) == {0}


def test_crowds_and_objects_without_a_label_do_not_count() -> None:
    assert guides(make_clip("xxx", "x.x"), [1, None], 0) == {1, 2}

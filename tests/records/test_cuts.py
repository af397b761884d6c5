"""Cuts: a change of the picture is one, a fade and a moving object are none."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vis_cli.records.cuts import CutDetector

Picture = NDArray[np.uint8]


def scene(seed: int, num_frames: int) -> list[Picture]:
    """Return a still scene of coloured blocks, with a square that moves."""
    rng = np.random.default_rng(seed)
    blocks = rng.integers(0, 255, (9, 16, 3)).astype(np.uint8)
    frames = []
    for index in range(num_frames):
        frame = np.kron(blocks, np.ones((20, 20, 1), np.uint8))
        frame[50:90, 2 * index : 2 * index + 40] = (250, 20, 20)
        frames.append(frame)
    return frames


def cuts_of(frames: list[Picture]) -> list[int]:
    detector = CutDetector()
    found = []
    for index, frame in enumerate(frames):
        for cut in detector.update(index, frame):
            assert cut >= index - detector.delay
            found.append(cut)
    return found


def test_each_change_of_the_scene_is_a_cut() -> None:
    assert cuts_of([*scene(1, 12), *scene(2, 9), *scene(3, 12)]) == [12, 21]


def test_a_moving_object_is_no_cut() -> None:
    assert cuts_of(scene(1, 60)) == []


def test_a_fade_is_no_cut() -> None:
    first, second = scene(1, 1)[0].astype(np.float64), scene(2, 1)[0].astype(np.float64)
    fade = [(first + (second - first) * step / 25).astype(np.uint8) for step in range(26)]
    assert cuts_of([*scene(1, 10), *fade, *scene(2, 10)]) == []


def test_a_change_of_the_brightness_is_a_cut_if_it_is_large() -> None:
    """The change of a frame is the mean difference of hue, saturation and brightness: a third of that of a grey."""

    def grey(level: int) -> list[Picture]:
        return [np.full((90, 160, 3), level, np.uint8)] * 6

    assert cuts_of([*grey(100), *grey(154)]) == []
    assert cuts_of([*grey(100), *grey(166)]) == [6]


def test_short_videos_have_no_cut() -> None:
    assert cuts_of(scene(1, 1)) == []
    assert cuts_of([]) == []
    assert cuts_of([*scene(1, 1), *scene(2, 1)]) == []

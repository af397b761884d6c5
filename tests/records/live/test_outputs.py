"""NAME.jsonl and the overlay of a live video."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import pytest

from vis_cli.errors import VisError
from vis_cli.records.live.lines import iter_lines
from vis_cli.records.live.overlay import LiveOverlay
from vis_cli.records.live.video import LiveFrame, LiveVideo
from vis_cli.records.palette import PALETTE
from vis_cli.records.rle import Rle, encode_mask
from vis_cli.records.types import Category

from .fakes import FakeSource, grey_frames

CATEGORIES = (Category(3, "cat"),)


@dataclass(frozen=True)
class Sequence:
    id: int
    category_id: int | None
    score: float
    masks: Mapping[int, Rle]


def box_mask(x0: int, y0: int, x1: int, y1: int) -> Rle:
    mask = np.zeros((24, 32), np.bool_)
    mask[y0:y1, x0:x1] = True
    return encode_mask(mask)


def test_lines() -> None:
    frames = [(4, LiveFrame(9, 0.36, 1000.5, None)), (5, LiveFrame(12, 0.48, 1000.62, None))]
    mask = box_mask(2, 3, 10, 9)
    sequences = [Sequence(7, None, 1.0, {5: mask}), Sequence(2, 3, 0.2, {4: mask})]
    lines = list(iter_lines(frames, sequences, names={3: "cat"}, confident_score=0.25, now=1002.0))
    first, second = map(json.loads, lines)
    assert first == {
        "frame": 9,
        "timestamp": 0.36,
        "captured": 1000.5,
        "delay": 1.5,
        "instances": [
            {
                "id": 2,
                "category_id": 3,
                "category": "cat",
                "score": 0.2,
                "confident": False,
                "box": [2, 3, 10, 9],
                "segmentation": {"size": [24, 32], "counts": mask["counts"]},
            }
        ],
    }
    (other,) = second["instances"]
    assert (second["frame"], other["id"], other["category"], other["confident"]) == (12, 7, None, True)


def make_overlay(path: Path, video: LiveVideo) -> LiveOverlay:
    return LiveOverlay(path, video, categories=CATEGORIES, confident_score=0.25, min_score=None)


def decode(path: Path) -> list[av.VideoFrame]:
    with av.open(str(path)) as container:
        return list(container.decode(video=0))


def test_an_overlay_plays_while_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "camera0.mp4"
    source = FakeSource(grey_frames(30), timestamps=lambda number: 10.0 * number + (number >= 10) * 70.0)
    with LiveVideo(source, capacity=4, keeps_images=True) as video, make_overlay(path, video) as overlay:
        for number, _ in enumerate(video.iter_frames()):
            if number % 10 == 9:
                frames = range(number - 9, number + 1)
                overlay.write(frames, video.take(frames), [Sequence(1, 3, 0.9, {8: box_mask(2, 3, 10, 9)})])
            if number == 19:
                assert len(decode(path)) >= 15
    shown = decode(path)
    assert [round(frame.time / 10) for frame in shown] == [*range(10), *range(17, 37)]  # type: ignore[operator]
    images = [frame.to_ndarray(format="rgb24") for frame in shown]
    assert np.abs(images[29].astype(int) - 29).mean() < 3
    assert images[8][5, 6].max() > 40  # the fill of the mask
    assert images[7][5, 6].max() < 15


def test_colours_stay_from_window_to_window(tmp_path: Path) -> None:
    with (
        LiveVideo(FakeSource(grey_frames(4)), capacity=4, keeps_images=True) as video,
        make_overlay(tmp_path / "a.mp4", video) as overlay,
    ):
        list(video.iter_frames())
        left, right = box_mask(2, 3, 10, 9), box_mask(20, 3, 30, 9)
        overlay.write(range(2), video.take(range(2)), [Sequence(1, 3, 0.5, {0: left}), Sequence(2, 3, 0.9, {1: right})])
        assert overlay._painter is not None
        colors = dict(overlay._painter._colors)
        second = [Sequence(3, 3, 0.9, {2: left}), Sequence(1, 3, 0.3, {2: right}), Sequence(2, 3, 0.2, {3: right})]
        overlay.write(range(2, 4), video.take(range(2, 4)), second)
        after = overlay._painter._colors
    assert {1: after[1], 2: after[2]} == colors
    assert len({*after.values()}) == 3 <= len(PALETTE)


def test_an_overlay_without_a_frame(tmp_path: Path) -> None:
    with LiveVideo(FakeSource([]), capacity=4, keeps_images=True) as video, make_overlay(tmp_path / "a.mp4", video):
        pass
    assert (tmp_path / "a.mp4").is_file()


def test_an_overlay_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").mkdir()
    with (
        LiveVideo(FakeSource([]), capacity=4, keeps_images=True) as video,
        pytest.raises(VisError, match=r"cannot write .*a\.mp4: Is a directory"),
    ):
        make_overlay(tmp_path / "a.mp4", video)

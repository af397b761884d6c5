"""Tests of `vis_cli.records.shown_instances`: which instances are shown, and which an overlay video says it shows."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.records.result_factory import make_instance
from tests.records.video_factory import make_video, picture
from vis_cli.records.shown_instances import describe_selection, shown_instances, shows_selection
from vis_cli.records.video import open_video, write_video

INSTANCES = (
    make_instance(1, [None], score=0.8),
    make_instance(2, [None], score=0.5, confident=False),
    make_instance(3, [None], score=0.3),
    make_instance(4, [None], score=0.1, confident=False),
)


@pytest.mark.parametrize(
    ("min_score", "expected"),
    [(None, [1, 3]), (0.0, [1, 2, 3, 4]), (0.3, [1, 2, 3]), (0.31, [1, 2]), (0.5, [1, 2]), (1.0, [])],
)
def test_confident_instances_or_those_of_a_minimum_score(min_score: float | None, expected: list[int]) -> None:
    assert [instance.id for instance in shown_instances(INSTANCES, min_score)] == expected
    assert shown_instances((), min_score) == []


def write_overlay(path: Path, comment: str | None) -> Path:
    source = open_video(make_video(path.parent, "source.mkv", num_frames=2, codec="ffv1"))
    write_video(path, map(picture, range(2)), source, comment=comment)
    return path


@pytest.mark.parametrize("drawn", [None, 0.0, 0.1, 0.1 + 1e-12, 1.0])
def test_an_overlay_video_knows_what_it_shows(drawn: float | None, tmp_path: Path) -> None:
    overlay = write_overlay(tmp_path / "o.mp4", describe_selection(drawn))
    for wanted in (None, 0.0, 0.1, 0.1 + 1e-12, 1.0):
        assert shows_selection(overlay, wanted) is (drawn == wanted)


@pytest.mark.parametrize("comment", [None, "", "Holiday", "confident instances"])
def test_a_video_that_does_not_describe_its_instances_is_replaced_for_a_minimum_score_only(
    comment: str | None, tmp_path: Path
) -> None:
    overlay = write_overlay(tmp_path / "o.mp4", comment)
    assert shows_selection(overlay, None)
    assert not shows_selection(overlay, 0.0)


@pytest.mark.parametrize("damage", ["empty", "no video", "cut", "no file", "a folder", "a pipe"])
def test_a_damaged_overlay_video_describes_nothing(damage: str, tmp_path: Path) -> None:
    overlay = write_overlay(tmp_path / "o.mp4", describe_selection(0.5))
    data = overlay.read_bytes()
    overlay.unlink()
    if damage == "a folder":
        overlay.mkdir()
    elif damage == "a pipe":
        os.mkfifo(overlay)
    elif damage != "no file":
        overlay.write_bytes({"empty": b"", "no video": b"mine" * 100, "cut": data[:100]}[damage])
    assert shows_selection(overlay, None)
    assert not shows_selection(overlay, 0.5)

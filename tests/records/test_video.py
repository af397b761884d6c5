"""Tests of `vis_cli.records.video`: one door to files, folders and single images."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.records.video_factory import make_images, make_video, numbers_in
from vis_cli.errors import VisError
from vis_cli.records.video import open_video


def test_file(tmp_path: Path) -> None:
    video = open_video(make_video(tmp_path))
    assert numbers_in(video.iter_frames()) == list(range(8))
    assert (video.width, video.height, video.name) == (64, 48, "clip")


def test_folder_at_a_rate(tmp_path: Path) -> None:
    video = open_video(make_images(tmp_path, ["1.png", "2.png"]), folder_fps=6)
    assert (video.fps, video.num_frames) == (6, 2)


def test_one_image(tmp_path: Path) -> None:
    assert open_video(make_images(tmp_path, ["1.JPG"]) / "1.JPG").num_frames == 1


def test_folder_that_is_named_like_a_file(tmp_path: Path) -> None:
    assert open_video(make_images(tmp_path / "frames.mp4", ["1.png"])).num_frames == 1


@pytest.mark.parametrize("name", ["gone.mp4", "gone.jpg", "gone", "x" * 400 + ".mp4"])
def test_missing_is_one_line_that_names_it(tmp_path: Path, name: str) -> None:
    with pytest.raises(VisError) as caught:
        open_video(tmp_path / name)
    assert f"{tmp_path / name}: " in str(caught.value)
    assert "\n" not in str(caught.value)


def test_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(VisError, match="no images"):
        open_video(tmp_path)

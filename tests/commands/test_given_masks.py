"""Given masks: which frame each is for."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from vis_cli.commands.given_masks import read_given_masks
from vis_cli.errors import VisError
from vis_cli.records.davis import write_label_png


def make_masks(folder: Path, *names: str) -> Path:
    """Write a label map a name, whose only value is its position from 1."""
    for value, name in enumerate(names, start=1):
        write_label_png(np.full((4, 6), value, np.uint8), folder / name)
    return folder


def make_frames(folder: Path, *names: str) -> Path:
    folder.mkdir()
    for name in names:
        cv2.imwrite(str(folder / name), np.zeros((4, 6, 3), np.uint8))
    return folder


def frames_and_values(masks: Path, video: Path) -> dict[int, int]:
    return {frame: int(labels[0, 0]) for frame, labels in read_given_masks(masks, video).items()}


def test_one_png_is_for_the_first_frame(tmp_path: Path) -> None:
    folder = make_masks(tmp_path, "00017.png")
    assert frames_and_values(folder / "00017.png", tmp_path / "clip.mp4") == {0: 1}


def test_pngs_are_numbered_by_frame(tmp_path: Path) -> None:
    folder = make_masks(tmp_path / "masks", "00000.png", "7.png", "00012.png")
    assert frames_and_values(folder, tmp_path / "clip.mp4") == {0: 1, 7: 2, 12: 3}


def test_pngs_are_named_as_the_images(tmp_path: Path) -> None:
    video = make_frames(tmp_path / "video", "00005.jpg", "00010.jpg", "00100.jpg")
    folder = make_masks(tmp_path / "masks", "00005.png", "00100.png")
    assert frames_and_values(folder, video) == {0: 1, 2: 2}


def test_frame_numbers_serve_a_folder_of_other_names_too(tmp_path: Path) -> None:
    video = make_frames(tmp_path / "video", "shot_a.jpg", "shot_b.jpg")
    assert frames_and_values(make_masks(tmp_path / "masks", "1.png"), video) == {1: 1}


def test_void_is_background(tmp_path: Path) -> None:
    write_label_png(np.array([[0, 3, 255]], np.uint8), tmp_path / "0.png")
    assert read_given_masks(tmp_path / "0.png", tmp_path)[0].tolist() == [[0, 3, 0]]


def test_black_and_white_masks_hold_only_void(tmp_path: Path) -> None:
    write_label_png(np.array([[0, 255, 255]], np.uint8), tmp_path / "0.png")
    with pytest.raises(VisError, match=r"0.png: holds no object, as 255 means void; give the first object the value 1"):
        read_given_masks(tmp_path / "0.png", tmp_path)


def test_masks_of_nothing_are_masks(tmp_path: Path) -> None:
    write_label_png(np.zeros((1, 3), np.uint8), tmp_path / "0.png")
    assert read_given_masks(tmp_path / "0.png", tmp_path)[0].tolist() == [[0, 0, 0]]


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["first.png"], "first.png: not named by its frame number"),
        (["5.png", "005.png"], "5.png: 005.png is for frame 5, too"),
        ([], "no PNG files"),
    ],
)
def test_masks_of_unclear_frames(names: list[str], said: str, tmp_path: Path) -> None:
    folder = make_masks(tmp_path / "masks", *names)
    folder.mkdir(exist_ok=True)
    with pytest.raises(VisError, match=said):
        read_given_masks(folder, tmp_path / "clip.mp4")


def test_a_mask_of_no_image(tmp_path: Path) -> None:
    video = make_frames(tmp_path / "video", "a.jpg", "b.jpg")
    folder = make_masks(tmp_path / "masks", "a.png", "c.png")
    with pytest.raises(VisError, match=r"c.png: .*video has no image of that name"):
        read_given_masks(folder, video)

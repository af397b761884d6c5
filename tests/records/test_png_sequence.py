"""Sequences of PNG images, and the names of their files."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.records.result_factory import make_result
from vis_cli.errors import VisError
from vis_cli.records.part import PartRequest, VideoPart
from vis_cli.records.png_sequence import png_names, write_png_sequence

IMAGE = np.random.default_rng(0).integers(0, 256, (4, 6, 4)).astype(np.uint8)


@pytest.mark.parametrize(
    ("image", "code"),
    [(IMAGE, cv2.COLOR_BGRA2RGBA), (IMAGE[..., :3], cv2.COLOR_BGR2RGB), (IMAGE[..., 0], None)],
)
def test_images_are_exact(image: np.ndarray, code: int | None, tmp_path: Path) -> None:
    write_png_sequence(tmp_path / "out", [image, image[::-1]], ["a.png", "b.png"])
    for name, expected in (("a.png", image), ("b.png", image[::-1])):
        stored = cv2.imread(str(tmp_path / "out" / name), cv2.IMREAD_UNCHANGED)
        np.testing.assert_array_equal(stored if code is None else cv2.cvtColor(stored, code), expected)


def test_names_of_frames() -> None:
    assert png_names(make_result(num_frames=3).video) == ["000000.png", "000001.png", "000002.png"]
    named = make_result(num_frames=2, frame_names=["a.b.jpg", "c.png"]).video
    assert png_names(named) == ["a.b.png", "c.png"]


def test_a_part_keeps_the_frame_indices_of_the_complete_video() -> None:
    video = make_result(num_frames=3).video
    part = VideoPart(10, 15, PartRequest(None, None, 2), False)
    assert png_names(dataclasses.replace(video, part=part)) == ["000010.png", "000012.png", "000014.png"]


def test_an_unsafe_name_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(VisError, match="out"):
        write_png_sequence(tmp_path / "out", [IMAGE], ["../a.png"])
    assert list(tmp_path.iterdir()) == []

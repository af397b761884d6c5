"""LabelMe's JSON files, filled with Pillow as LabelMe does."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from vis_cli.records.exports.choice import Choice
from vis_cli.records.exports.labelme import write_labelme

from .factory import HARD_NAMES, SIZE, hard_names, iou, ring, two_objects, write


def fill(shapes: list[dict]) -> np.ndarray:
    filled = np.zeros(SIZE, bool)
    for shape in shapes:
        assert shape["shape_type"] == "polygon"
        image = Image.new("1", SIZE[::-1])
        ImageDraw.Draw(image).polygon([tuple(point) for point in shape["points"]], outline=1, fill=1)
        filled |= np.array(image)
    return filled


def test_one_file_per_frame_next_to_its_image(tmp_path: Path) -> None:
    write(write_labelme, tmp_path, two_objects(), choice=Choice(every=2), images=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        f"clip_00000{frame}.{suffix}" for frame in (0, 2) for suffix in ("jpg", "json")
    ]
    data = json.loads((tmp_path / "clip_000002.json").read_text())
    assert data["imagePath"] == "clip_000002.jpg"
    assert (data["imageHeight"], data["imageWidth"], data["imageData"]) == (*SIZE, None)
    assert [(shape["label"], shape["group_id"]) for shape in data["shapes"]] == [("cat", 1), ("giant_panda", 4)]
    assert all(set(shape) >= {"label", "points", "group_id", "shape_type", "flags"} for shape in data["shapes"])


def test_the_image_is_relative_to_its_file(tmp_path: Path) -> None:
    write(write_labelme, tmp_path, two_objects("day/clip"), images=True)
    assert (tmp_path / "day/clip_000001.jpg").is_file()
    assert json.loads((tmp_path / "day/clip_000001.json").read_text())["imagePath"] == "clip_000001.jpg"


def test_the_parts_of_an_object_share_its_id(tmp_path: Path) -> None:
    write(write_labelme, tmp_path, two_objects())
    shapes = json.loads((tmp_path / "clip_000000.json").read_text())["shapes"]
    assert [shape["group_id"] for shape in shapes] == [1, 1]
    assert iou(fill(shapes), ring()) == 1.0


def test_names(tmp_path: Path) -> None:
    write(write_labelme, tmp_path, hard_names())
    shapes = json.loads((tmp_path / "clip_000000.json").read_text())["shapes"]
    assert [shape["label"] for shape in shapes] == list(HARD_NAMES)

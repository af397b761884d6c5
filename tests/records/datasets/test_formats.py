"""What only one format has: boxes, groups, scores, places of images, and its own mistakes."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.records.exports.factory import SIZE, two_objects
from vis_cli.errors import VisError
from vis_cli.records.datasets.formats import recognize_format
from vis_cli.records.datasets.image import require_masks
from vis_cli.records.rle import decode_rle

from .factory import read, write_dataset, write_image

SQUARE = "0 0.25 0.25 0.5 0.25 0.5 0.5"
TASK = "<original_size><width>64</width><height>48</height></original_size>"
LABELS = "<meta><task><labels><label><name>cat</name></label><label><name>dog</name></label></labels></task></meta>"
POLYGON = '<polygon label="cat" points="1,1;9,1;9,9" group_id="%d"/>'


def make_yolo(folder: Path, text: str, yaml: str = "train: images\nnames: [cat]\n") -> Path:
    write_image(folder / "images/a.png")
    (folder / "labels").mkdir(exist_ok=True)
    (folder / "labels/a.txt").write_text(text)
    (folder / "data.yaml").write_text(yaml)
    return folder / "data.yaml"


def make_labelme(folder: Path, *shapes: dict[str, Any], **fields: Any) -> Path:
    write_image(folder / "a.png")
    data = {"imagePath": "a.png", "imageHeight": 48, "imageWidth": 64, "shapes": list(shapes)}
    (folder / "a.json").write_text(json.dumps({**data, **fields}))
    return folder


def make_datumaro(folder: Path, *annotations: dict[str, Any], **image: Any) -> Path:
    write_image(folder / "images/train/a.png")
    data = {
        "categories": {"label": {"labels": [{"name": "cat"}, {"name": "dog"}]}},
        "items": [{"id": "a", "image": {"path": "a.png", **image}, "annotations": list(annotations)}],
    }
    path = folder / "annotations/train.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(data))
    return path


def make_cvat(folder: Path, shapes: str) -> Path:
    write_image(folder / "images/a.png")
    path = folder / "annotations.xml"
    path.write_text(
        f'<annotations>{LABELS}<image id="0" name="a.png" width="64" height="48">{shapes}</image></annotations>'
    )
    return path


def test_yolo_boxes_and_scores(tmp_path: Path) -> None:
    path = make_yolo(tmp_path, "0 0.5 0.5 0.25 0.5\n0 0.5 0.5 0.25 0.5 0.75\n")
    dataset, _ = read(path)
    first, second = dataset.images[0].objects
    assert (first.rle, first.box, first.area, first.score) == (None, (24.0, 12.0, 16.0, 24.0), 384.0, 1.0)
    assert second.score == 0.75
    with pytest.raises(VisError, match=r'a\.png has a box without a mask \(cat\)\. .*kind = "boxes"'):
        require_masks(dataset, path)


def test_yolo_folders(tmp_path: Path) -> None:
    make_yolo(tmp_path, SQUARE)
    write_image(tmp_path / "images/b.png")  # without a text file
    assert recognize_format(tmp_path) == "yolo-seg"
    for yaml in ("train: ../images\nnames: [cat]\n", "names: [cat]\n", "train: [images]\nnames: {0: cat}\n"):
        (tmp_path / "data.yaml").write_text(yaml)
        assert [len(image.objects) for image in read(tmp_path)[0].images] == [1, 0]
    (tmp_path / "data.yaml").write_text("train: list.txt\nnames: [cat]\n")
    (tmp_path / "list.txt").write_text("./images/b.png\nimages/a.png\n")
    assert [image.path.name for image in read(tmp_path)[0].images] == ["b.png", "a.png"]


@pytest.mark.parametrize(
    ("text", "yaml", "said"),
    [
        ("1 0.1 0.1 0.2 0.2", None, "labels/a.txt: line 1: the class 1 has no name"),
        ("0 0.1", None, "line 1: the line has 2 values"),
        ("0 10 10 20 20", None, "the coordinate 20 is not a fraction of the image"),
        ("0 0.1 0.1 0 0.2", None, "the box is empty or outside of the image"),
        (SQUARE, "train: images\n", "'names' is missing"),
        (SQUARE, "train: ../../etc\nnames: [cat]\n", "unsafe name '../etc'"),
        (SQUARE, "train: {a: b}\nnames: [cat]\n", "'train' is {'a': 'b'}"),
        (SQUARE, "train: other\nnames: [cat]\n", "other: No such file or directory"),
        (SQUARE, "train: images\nnames: ['']\n", "has no name"),
    ],
)
def test_damaged_yolo(text: str, yaml: str | None, said: str, tmp_path: Path) -> None:
    path = make_yolo(tmp_path, text, **({} if yaml is None else {"yaml": yaml}))
    with pytest.raises(VisError) as caught:
        read(path)
    assert said in str(caught.value)


def test_yolo_images_with_one_text_file(tmp_path: Path) -> None:
    path = make_yolo(tmp_path, SQUARE)
    write_image(tmp_path / "images/a.jpg")
    with pytest.raises(VisError, match=r"a\.jpg and a\.png share the text file"):
        read(path)


def test_labelme_shapes(tmp_path: Path) -> None:
    png = cv2.imencode(".png", np.full((4, 5), 255, np.uint8))[1].tobytes()
    corners = [[3, 3], [9, 9]]
    folder = make_labelme(
        tmp_path,
        {"label": "cat", "points": corners, "shape_type": "rectangle"},
        {"label": "cat", "points": corners, "shape_type": "mask", "mask": base64.b64encode(png).decode()},
        {"label": "cat", "points": corners, "shape_type": "line"},
        imageHeight=None,
    )
    dataset, notes = read(folder)
    box, mask = dataset.images[0].objects
    assert (box.rle, box.box, mask.box, mask.area) == (None, (3.0, 3.0, 6.0, 6.0), (3.0, 3.0, 5.0, 4.0), 20)
    assert notes == [f"{folder}: omitted 1 shape of the type 'line', which is not a mask or a box"]


def test_labelme_groups_are_one_object_per_label(tmp_path: Path) -> None:
    triangle = {"points": [[1, 1], [5, 1], [5, 5]], "group_id": 7}
    other = {"points": [[11, 1], [15, 1], [15, 5]], "group_id": 7}
    folder = make_labelme(tmp_path, *({"label": name, **s} for s in (triangle, other) for name in ("cat", "dog")))
    objects = read(folder)[0].images[0].objects
    assert [(item.category, item.box) for item in objects] == [(n, (1.0, 1.0, 15.0, 5.0)) for n in ("cat", "dog")]


def test_labelme_images_in_another_folder(tmp_path: Path) -> None:
    folder = make_labelme(tmp_path / "json", imagePath="..\\images\\b.png")
    write_image(tmp_path / "images/b.png")
    assert read(folder, tmp_path / "images")[0].images[0].path == tmp_path / "images/b.png"
    (folder / "c.json").write_text((folder / "a.json").read_text())
    with pytest.raises(VisError, match="occurs twice"):
        read(folder, tmp_path / "images")


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ({"label": " ", "points": [[1, 1]] * 3}, "has no name"),
        ({"label": "cat", "points": [[1, 1]] * 2}, "at least 3 pairs of numbers"),
        ({"label": "cat", "points": [[1, "x"]] * 3}, "at least 3 pairs of numbers"),
        ({"label": "cat", "points": [[1, 1]] * 3, "group_id": "a"}, "'group_id' is not an integer"),
        (
            {"label": "cat", "points": [[1, 1]] * 3, "shape_type": ["polygon"]},
            "'shape_type' is ['polygon']. Use a string",
        ),
        ({"label": "cat", "points": [[1, 1]] * 3, "shape_type": {"a": 1}}, "'shape_type' is {'a': 1}. Use a string"),
        ({"label": "cat", "points": [[1, 1]] * 2, "shape_type": "mask", "mask": "?"}, "'mask' is not Base64"),
        ({"label": "cat", "points": [[1, 1]] * 2, "shape_type": "mask", "mask": "AAAA"}, "'mask' is not an image"),
    ],
)
def test_damaged_labelme(shape: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(VisError) as caught:
        read(make_labelme(tmp_path, shape))
    assert said in str(caught.value)
    assert "a.json: shapes[0]" in str(caught.value)


def test_datumaro_shapes(tmp_path: Path) -> None:
    points = [1, 1, 9, 1, 9, 9]
    path = make_datumaro(
        tmp_path,
        {"type": "bbox", "bbox": [-2, 3, 10, 4], "label_id": 1, "attributes": {"score": 0.5}},
        {"type": "polygon", "points": points, "label_id": 0, "group": 3},
        {"type": "polygon", "points": [n + 20 for n in points], "label_id": 0, "group": 3},
        {"type": "caption", "caption": "a"},
    )
    dataset, notes = read(path)
    box, merged = dataset.images[0].objects
    assert (box.category, box.box, box.score, box.rle) == ("dog", (0.0, 3.0, 8.0, 4.0), 0.5, None)
    assert merged.area == 2 * 28
    assert dataset.categories == ("cat", "dog")
    assert notes == [f"{path}: omitted 1 annotation of the type 'caption', which is not a mask or a box"]


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"type": "bbox", "bbox": [1, 2, 3], "label_id": 0}, "'bbox' is not a list of 4 numbers"),
        ({"type": "bbox", "bbox": [1, 2, 3, 4], "label_id": 2}, "'label_id' is 2, but there are 2 labels"),
        ({"type": "mask", "rle": {"size": [5, 5], "counts": "0"}, "label_id": 0}, "the size of the mask"),
        ({"type": "mask", "rle": None, "label_id": 0, "attributes": {"score": 2}}, "'score' is 2"),
        ({"type": "polygon", "points": [1, 1, 9, 1, 9, 9], "label_id": 0, "group": [1]}, "'group' is a list"),
    ],
)
def test_damaged_datumaro(entry: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(VisError) as caught:
        read(make_datumaro(tmp_path, entry))
    assert said in str(caught.value)


def test_cvat_images(tmp_path: Path) -> None:
    box = '<box label="dog" xtl="1" ytl="2" xbr="5" ybr="9"/>'
    mask = '<mask label="dog" rle="1, 3" left="4" top="5" width="2" height="2"/>'
    path = make_cvat(tmp_path, POLYGON % 4 + box + mask + POLYGON % 4 + '<points label="cat" points="1,1"/>')
    dataset, notes = read(path)
    objects = dataset.images[0].objects
    assert [(item.category, item.area) for item in objects] == [("cat", 28), ("dog", 28.0), ("dog", 3)]
    assert dataset.categories == ("cat", "dog")
    assert notes == [f"{path}: omitted 1 points, which is not a mask or a box"]


@pytest.mark.parametrize(
    ("shapes", "said"),
    [
        ('<polygon points="1,1;2,2;3,1"/>', "an element has no 'label'"),
        ('<polygon label="" points="1,1;2,2;3,1"/>', "has no name"),
        ('<box label="a" xtl="x" ytl="2" xbr="5" ybr="9"/>', "a corner of a box is not a number"),
        ('<box label="a" xtl="70" ytl="2" xbr="75" ybr="9"/>', "the box is empty or outside"),
        ('<mask label="a" rle="1" left="63" top="0" width="2" height="1"/>', "do not fill its box"),
    ],
)
def test_damaged_cvat(shapes: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(VisError) as caught:
        read(make_cvat(tmp_path, shapes))
    assert said in str(caught.value)


def test_frames_of_cvat(tmp_path: Path) -> None:
    path = write_dataset("cvat", tmp_path, two_objects())
    write_image(tmp_path / "images/other_3.jpg")
    with pytest.raises(VisError, match=r"frame_000003\.png and other_3\.jpg are both frame 3"):
        read(path)
    path.write_text(path.read_text().replace("original_size", "size_of_files"))
    with pytest.raises(VisError, match="the size of the frames is missing"):
        read(path)


@pytest.mark.parametrize(
    ("size", "said"),
    [((0, 48), "the size of the frames is 0x48"), ((10**9, 10**9), "the size is 1000000000x1000000000, the limit is")],
)
def test_sizes_of_frames_of_cvat(size: tuple[int, int], said: str, tmp_path: Path) -> None:
    path = write_dataset("cvat", tmp_path, two_objects())
    width, height = size
    path.write_text(
        path.read_text().replace(
            TASK, f"<original_size><width>{width}</width><height>{height}</height></original_size>"
        )
    )
    with pytest.raises(VisError, match=said):
        read(path)


def test_exact_pixels_of_yolo(tmp_path: Path) -> None:
    corners = [(1, 1), (3, 1), (3, 2), (1, 2)]
    path = make_yolo(tmp_path, "0 " + " ".join(f"{(x + 0.5) / 64} {(y + 0.5) / 48}" for x, y in corners))
    expected = np.zeros(SIZE, bool)
    expected[1:3, 1:4] = True
    np.testing.assert_array_equal(decode_rle(read(path)[0].images[0].objects[0].rle), expected)  # type: ignore[arg-type]


def test_a_list_of_class_names_next_to_a_foreign_yaml(tmp_path: Path) -> None:
    make_yolo(tmp_path / "data", SQUARE)
    (tmp_path / "data/data.yaml").rename(tmp_path / "data.yaml")
    with pytest.raises(VisError, match=r"the folder has no data\.yaml"):
        read(tmp_path / "data")
    (tmp_path / "data/classes.txt").write_text("dog\n")
    assert read(tmp_path / "data")[0].categories == ("dog",)

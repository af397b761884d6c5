"""Images with instances for the COCO API, which gives the masks again."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from pycocotools.coco import COCO

from tests.records.result_factory import make_instance, make_result
from vis_cli.errors import VisError
from vis_cli.records.exports.choice import Choice
from vis_cli.records.exports.coco import write_coco
from vis_cli.records.types import Category

from .factory import HARD_NAMES, SIZE, hard_names, ring, two_objects, write


def test_the_api_decodes_exact_masks(tmp_path: Path) -> None:
    write(write_coco, tmp_path / "c.json", two_objects(), two_objects("other"))
    api = COCO(str(tmp_path / "c.json"))
    assert [image["file_name"] for image in api.loadImgs(api.getImgIds())][3:5] == [
        "clip_000003.jpg",
        "other_000000.jpg",
    ]
    assert len(api.anns) == 10
    np.testing.assert_array_equal(api.annToMask(api.anns[1]).astype(bool), ring())
    assert api.anns[1]["area"] == ring().sum()
    for annotation in api.anns.values():
        y, x = np.nonzero(api.annToMask(annotation))
        assert annotation["bbox"] == [x.min(), y.min(), np.ptp(x) + 1, np.ptp(y) + 1]
    assert [api.anns[i]["image_id"] for i in (1, 2, 4, 6)] == [1, 3, 2, 5]
    assert {api.cats[a["category_id"]]["name"] for a in api.anns.values() if a["track_id"] == 4} == {"giant_panda"}


def test_images_of_every_second_frame(tmp_path: Path) -> None:
    write(write_coco, tmp_path / "out", two_objects(), choice=Choice(every=2), images=True)
    data = json.loads((tmp_path / "out/annotations/instances_default.json").read_text())
    assert [(image["frame_index"], image["file_name"]) for image in data["images"]] == [
        (0, "clip_000000.jpg"),
        (2, "clip_000002.jpg"),
    ]
    image = cv2.imread(str(tmp_path / "out/images/clip_000002.jpg"))
    assert image.shape == (*SIZE, 3)
    assert abs(int(image.mean()) - 40) <= 1


def test_names_and_no_instances(tmp_path: Path) -> None:
    write(write_coco, tmp_path / "c.json", hard_names())
    data = json.loads((tmp_path / "c.json").read_text())
    assert [category["name"] for category in data["categories"]] == list(HARD_NAMES)
    write(write_coco, tmp_path / "c.json", make_result())
    data = json.loads((tmp_path / "c.json").read_text())
    assert (len(data["images"]), data["annotations"]) == (1, [])


def test_one_id_for_two_names_is_rejected(tmp_path: Path) -> None:
    other = make_result([make_instance(1, [None])], name="other", categories=(Category(7, "dog"),))
    with pytest.raises(VisError, match="other: category 7 is 'dog' here, but 'cat' in a previous result"):
        write(write_coco, tmp_path / "out", make_result(), other)
    assert list(tmp_path.iterdir()) == []

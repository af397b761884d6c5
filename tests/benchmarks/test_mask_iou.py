"""The IoU of the masks of the mask head in labelled boxes."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from types import ModuleType, SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from vis_cli.records.rle import encode_mask


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "benchmarks")
    return importlib.import_module("mask_iou")


class FilledBoxes:
    """A model whose masks fill the boxes."""

    config = SimpleNamespace(short_side=32, long_side=64)

    def encode_frames(self, images: Tensor) -> tuple[int, int]:
        """Return the size of the images."""
        return images.shape[-2], images.shape[-1]

    def box_masks(self, features: tuple[int, int], boxes: Tensor) -> Tensor:
        """Return (N, h, w) with ones in the boxes (N, 4)."""
        masks = torch.zeros(len(boxes), *features)
        for mask, (left, top, right, bottom) in zip(masks, boxes.round().int().tolist(), strict=True):
            mask[top:bottom, left:right] = 1.0
        return masks


def write_split(folder: Path) -> None:
    """Write an image of 80x160 pixels with a square, a triangle and a crowd, and an image of another source."""
    square, triangle = np.zeros((80, 160), bool), np.zeros((80, 160), bool)
    square[20:40, 20:40] = True
    triangle[20:60, 80:120] = np.tril(np.ones((40, 40), bool))
    labels = [
        {"id": i, "image_id": 1, "category_id": 1, "iscrowd": crowd, "area": 1.0, "segmentation": encode_mask(mask)}
        | {"bbox": [float(x), 20.0, float(side), float(side)]}
        for i, (mask, x, side, crowd) in enumerate([(square, 20, 20, 0), (triangle, 80, 40, 0), (square, 20, 20, 1)], 1)
    ]
    images = [
        {"id": i, "file_name": f"{i}.png", "width": 160, "height": 80, "source": source}
        for i, source in enumerate(["coco_small", "other"], 1)
    ]
    content = {"images": images, "annotations": labels, "categories": [{"id": 1, "name": "cat"}]}
    (folder / "images").mkdir()
    (folder / "val.json").write_text(json.dumps(content))
    for image in images:
        cv2.imwrite(str(folder / "images" / str(image["file_name"])), np.zeros((80, 160, 3), np.uint8))


def test_iou_and_side_of_each_labelled_object(script: ModuleType, tmp_path: Path) -> None:
    write_split(tmp_path)
    ((name, boxes, masks),) = script.labelled_images(tmp_path / "val.json", "coco_small")
    for scale in (1.0, 2.0):
        rows = script.measure_image(FilledBoxes(), tmp_path / "images", name, boxes, masks, scale=scale)
        sides, ious = np.array(rows).T
        assert sides == pytest.approx([20.0, np.sqrt(820)])
        assert ious == pytest.approx([1.0, 820 / 1600], abs=0.02)


def test_a_source_without_labels_is_an_error(script: ModuleType, tmp_path: Path) -> None:
    write_split(tmp_path)
    with pytest.raises(SystemExit, match="no labelled image with the source other"):
        script.labelled_images(tmp_path / "val.json", "other")

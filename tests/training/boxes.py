"""Plainly coloured boxes and the data sets made of them; used by the tests of the training's data."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from vis_cli.records.datasets.image import AnnotatedImage, ImageObject
from vis_cli.records.rle import encode_mask
from vis_cli.training.cutouts import CutoutBank, LabelledImage

GREY = 30  # of every background
RED, GREEN, BLUE, WHITE = (230, 20, 20), (20, 230, 20), (20, 20, 230), (230, 230, 230)


@dataclass(frozen=True)
class Box:
    """One object to draw: a box of one colour."""

    category: str
    corners: tuple[int, int, int, int]  # x0, y0, x1, y1
    colour: tuple[int, int, int] = RED
    crowd: bool = False

    def mask(self, size: tuple[int, int]) -> np.ndarray:
        """Return the (H, W) bool mask."""
        mask = np.zeros(size, bool)
        x0, y0, x1, y1 = self.corners
        mask[y0:y1, x0:x1] = True
        return mask


@dataclass(frozen=True)
class Stored:
    """Where a data set lies."""

    annotations: Path
    images: Path

    def edit(self, change: Callable[[dict[str, Any]], object]) -> Stored:
        """Change the JSON in place."""
        data = json.loads(self.annotations.read_text())
        change(data)
        self.annotations.write_text(json.dumps(data))
        return self


def draw(boxes: Sequence[Box | None], size: tuple[int, int]) -> np.ndarray:
    """Draw boxes, later ones in front, on grey: (H, W, 3) RGB."""
    image = np.full((*size, 3), GREY, np.uint8)
    for box in boxes:
        if box:
            image[box.mask(size)] = box.colour
    return image


def make_picture(boxes: list[Box], size: tuple[int, int]) -> LabelledImage:
    """Return the drawn boxes with the ids 1, 2, ..."""
    id_map = np.zeros(size, np.uint16)
    for i, box in enumerate(boxes, 1):
        id_map[box.mask(size)] = i
    return LabelledImage(draw(boxes, size), id_map)


def make_bank(folder: Path, colours: dict[int, tuple[int, int, int]]) -> CutoutBank:
    """Return a bank of one box a label."""
    candidates = {}
    for label, colour in colours.items():
        box = Box("", (30, 30, 70, 60), colour)
        path = folder / f"cutout-{label}.png"
        cv2.imwrite(str(path), draw([box], (100, 100))[..., ::-1])
        item = ImageObject("", False, encode_mask(box.mask((100, 100))), 1200, (30, 30, 40, 30))
        candidates[label] = [(AnnotatedImage(path, 100, 100, "", (item,)), item)]
    return CutoutBank(candidates)


def write_stills(
    folder: Path, pictures: Sequence[Sequence[Box]], *, size: tuple[int, int] = (96, 128), source: str = "all"
) -> Stored:
    """Write pictures in COCO layout."""
    categories = number_categories([box for boxes in pictures for box in boxes])
    images, annotations = [], []
    for key, boxes in enumerate(pictures, 1):
        name = f"{key}.png"
        cv2.imwrite(str(folder / name), draw(boxes, size)[..., ::-1])
        images.append({"id": key, "file_name": name, "height": size[0], "width": size[1], "source": source})
        annotations += [
            {
                "image_id": key,
                "category_id": categories[box.category],
                "iscrowd": int(box.crowd),
                "segmentation": encode_mask(box.mask(size)),
            }
            for box in boxes
        ]
    return _store(folder / "stills.json", categories, {"images": images, "annotations": annotations})


def write_boxes(
    path: Path, rows: Sequence[tuple[int, str, Sequence[float], float | None]], images: Sequence[dict[str, Any]]
) -> Path:
    """Write annotations without masks: image id, category, box (x, y, width, height) and score of each."""
    categories = {name: i for i, name in enumerate(sorted({row[1] for row in rows}), 70)}
    annotations = [
        {"image_id": key, "category_id": categories[name], "bbox": list(box)}
        | ({} if score is None else {"score": score})
        for key, name, box, score in rows
    ]
    _store(path, categories, {"images": list(images), "annotations": annotations})
    return path


def write_video(folder: Path, objects: Sequence[Sequence[Box | None]], *, size: tuple[int, int] = (96, 128)) -> Stored:
    """Write one video in YouTube-VIS layout: for each object its box, or None, in each frame."""
    categories = number_categories([box for boxes in objects for box in boxes if box])
    (folder / "clip").mkdir()
    names = [f"clip/{frame:05d}.png" for frame in range(len(objects[0]))]
    for frame, name in enumerate(names):
        cv2.imwrite(str(folder / name), draw([boxes[frame] for boxes in objects], size)[..., ::-1])
    annotations = [
        {
            "id": key,
            "video_id": 1,
            "category_id": next(categories[box.category] for box in boxes if box),
            "iscrowd": int(any(box.crowd for box in boxes if box)),
            "segmentations": [encode_mask(box.mask(size)) if box else None for box in boxes],
        }
        for key, boxes in enumerate(objects, 1)
    ]
    video = {"id": 1, "height": size[0], "width": size[1], "length": len(names), "file_names": names}
    return _store(folder / "video.json", categories, {"videos": [video], "annotations": annotations})


def number_categories(boxes: Sequence[Box]) -> dict[str, int]:
    """Return name -> category_id, from 10 on so that nothing mistakes it for a label."""
    return {name: i for i, name in enumerate(sorted({box.category for box in boxes}), 10)}


def _store(path: Path, categories: dict[str, int], data: dict[str, Any]) -> Stored:
    named = [{"id": i, "name": name} for name, i in categories.items()]
    path.write_text(json.dumps({**data, "categories": named}))
    return Stored(path, path.parent)

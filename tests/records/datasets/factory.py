"""Datasets that `vis export` writes, and their readers; used by the tests of the readers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from tests.records.exports.factory import SIZE, write
from vis_cli.records.datasets.formats import READERS, recognize_format
from vis_cli.records.datasets.image import ImageDataset
from vis_cli.records.exports.cvat import write_cvat
from vis_cli.records.exports.datumaro import write_datumaro
from vis_cli.records.exports.labelme import write_labelme
from vis_cli.records.exports.yolo_seg import write_yolo_seg
from vis_cli.records.types import VideoResult

WRITERS: dict[str, Callable[..., int]] = {
    "yolo-seg": write_yolo_seg,
    "labelme": write_labelme,
    "datumaro": write_datumaro,
    "cvat": write_cvat,
}


def write_dataset(name: str, folder: Path, result: VideoResult, **options: Any) -> Path:
    """Write a dataset with images, and return the path of its annotations."""
    if name == "cvat":
        folder.mkdir(exist_ok=True)
        write(write_cvat, folder / "a.xml", result, **options)
        for frame in range(result.video.num_frames):
            write_image(folder / f"images/frame_{frame:06d}.png")
        return folder / "a.xml"
    write(WRITERS[name], folder, result, images=True, **options)
    return {"yolo-seg": folder / "data.yaml", "datumaro": folder / "annotations/default.json"}.get(name, folder)


def write_image(path: Path, size: tuple[int, int] = SIZE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), np.zeros((*size, 3), np.uint8))
    return path


def read(path: Path, images: Path | None = None) -> tuple[ImageDataset, list[str]]:
    """Read a dataset whose format is recognized. Return it with the notes."""
    notes: list[str] = []
    return READERS[recognize_format(path)](path, images, notes.append), notes

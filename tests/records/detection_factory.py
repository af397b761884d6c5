"""Detection files of other programs, and helpers that read them, for the tests of `records`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vis_cli.errors import VisError
from vis_cli.records.detection_file import read_detection_file
from vis_cli.records.detections import VideoDetections
from vis_cli.records.rle import Rle, decode_rle, encode_mask

WIDTH, HEIGHT, NUM_FRAMES = 64, 48, 5
BOX = [8, 6, 16, 12]  # x, y, width, height
CORNERS = [8, 6, 24, 18]  # x1, y1, x2, y2


class Heard:
    """Messages in the order in which they were sent."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.warnings: list[str] = []

    def note(self, message: str) -> None:
        self.notes.append(message)

    def warn(self, message: str) -> None:
        self.warnings.append(message)


def locate(
    path: Path,
    *,
    images: Path | None = None,
    heard: Heard | None = None,
    num_frames: int = NUM_FRAMES,
    frame_names: tuple[str, ...] | None = None,
    first: int | None = None,
) -> VideoDetections:
    """Read a file, and locate it in a video of 64x48 pixels."""
    file = read_detection_file(path, images=images, messages=heard)
    return file.locate(
        width=WIDTH, height=HEIGHT, num_frames=num_frames, frame_names=frame_names, first=first, messages=heard
    )


def error_of(path: Path, **options: Any) -> str:
    """Return the line of the error that a file causes, and check that it is one line that contains the path."""
    with pytest.raises(VisError) as caught:
        locate(path, **options)
    line = str(caught.value)
    assert "\n" not in line
    assert str(path) in line or path.name in line
    assert caught.value.hint
    return line


def boxes_by_frame(found: VideoDetections) -> dict[int, list[list[float]]]:
    return {frame: detections.boxes.tolist() for frame, detections in found.frames.items()}


def names_by_frame(found: VideoDetections) -> dict[int, list[str]]:
    """Return the names of the categories in each frame."""
    return {
        frame: [found.categories[label - 1].name for label in detections.labels]
        for frame, detections in found.frames.items()
    }


def write_json(path: Path, data: object) -> Path:
    path.write_text(json.dumps(data))
    return path


def entry(image_id: object = 0, **fields: object) -> dict[str, object]:
    """Return an entry of COCO results."""
    return {"image_id": image_id, "category_id": 1, "bbox": BOX, "score": 0.5, **fields}


def write_text(path: Path, *lines: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def mask_of(corners: Sequence[int] = CORNERS, size: tuple[int, int] = (HEIGHT, WIDTH)) -> Rle:
    """Return the mask of a rectangle."""
    mask = np.zeros(size, np.bool_)
    x1, y1, x2, y2 = corners
    mask[y1:y2, x1:x2] = True
    return encode_mask(mask)


def area(rle: Rle | None) -> int:
    assert rle is not None
    return int(decode_rle(rle).sum())

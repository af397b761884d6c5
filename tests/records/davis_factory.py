"""Data sets in DAVIS's layouts, of black frames and plain label maps; used by the tests of layouts and checks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from vis_cli.records.davis import write_label_png

SIZE = (6, 4)  # width, height
VAL = "ImageSets/2017/val.txt"
NAMES = ("00000", "00005")
SEQUENCES = {"dog": NAMES, "cat": NAMES[:1]}


def write_picture(path: Path, size: tuple[int, int] = SIZE, mode: str = "RGB") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size).save(path)
    return path


def write_mask(path: Path, value: int = 1, size: tuple[int, int] = SIZE) -> Path:
    write_label_png(np.full(size[::-1], value, np.uint8), path)
    return path


def write_davis(
    root: Path,
    *,
    frames: str | None = "JPEGImages/480p",
    masks: str | None = "Annotations_unsupervised/480p",
    sequences: Mapping[str, Sequence[str]] = SEQUENCES,
) -> Path:
    """Write a data set, its frames and masks into these folders, and its list as ImageSets/2017/val.txt."""
    for sequence, names in sequences.items():
        for name in names:
            if frames is not None:
                write_picture(root / frames / sequence / f"{name}.jpg")
            if masks is not None:
                write_mask(root / masks / sequence / f"{name}.png")
    path = root / VAL
    path.parent.mkdir(parents=True)
    path.write_text("".join(f"{sequence}\n" for sequence in sequences))
    return root

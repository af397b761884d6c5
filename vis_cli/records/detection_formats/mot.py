"""Reader of det.txt of MOTChallenge: one line `frame,id,left,top,width,height,conf,...` per box.

The specification (https://motchallenge.net/instructions) counts frames and pixels from 1, so that the upper left pixel
is (1, 1). The format of det.txt has no class.
"""

from __future__ import annotations

from array import array
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vis_cli.errors import VisError
from vis_cli.files.names import printable
from vis_cli.messages import Messages, counted
from vis_cli.records.categories import UNNAMED
from vis_cli.records.detection_formats.rows import (
    NAMES_OPTION,
    DetectionRows,
    Numbering,
    ParsedDetections,
    Places,
    reject_first,
    require_capacity,
)
from vis_cli.records.detection_formats.text import (
    is_number_text,
    iter_lines,
    parse_numbers,
    require_few_lines,
    split_line,
)
from vis_cli.records.types import Category

FIRST_PIXEL = 1  # coordinate of the upper left pixel
NO_CONFIDENCE = -1.0
MIN_COLUMNS, MAX_COLUMNS = 6, 10
CLASS_COLUMN, GROUND_TRUTH_COLUMNS = 7, 9  # gt.txt of MOT16 and later
COLUMNS = ("frame", "id", "left", "top", "width", "height", "conf", "x", "y", "z")
BOX_FORMAT = "columns 3 to 6 are left, top, width, height"
FORMAT = "frame,id,left,top,width,height,conf"
MAX_EXACT = 2.0**53  # larger integers are not exact as float64
NUMBERING = Numbering(first=1, reason="MOTChallenge files count frames from 1")


def read_mot(path: Path, categories: tuple[Category, ...] | None, messages: Messages) -> ParsedDetections:
    """Read text of MOTChallenge.

    Args:
        path: The file.
        categories: Names of the classes in column 8 of gt.txt. None gives all boxes the category `object`.
        messages: Receives notes about assumptions.

    Raises:
        VisError: The file is damaged or has another format.
    """
    table, lines = _read_table(path)
    places = Places([str(path)], np.zeros(len(lines), np.int64), lines, "line")
    _require_frames(table[:, 0], places)
    numbers, frames = np.unique(table[:, 0].astype(np.int64), return_inverse=True)
    class_ids = _class_ids(path, table, places, categories, messages)
    boxes = table[:, 2:6].copy()
    boxes[:, 2:] += boxes[:, :2]
    rows = DetectionRows(
        keys=tuple(numbers.tolist()),
        frames=frames.reshape(-1).astype(np.int64),
        boxes=boxes - FIRST_PIXEL,
        scores=_scores(path, table, messages),
        category_ids=class_ids,
        masks=[None] * len(table),
        places=places,
        box_format=BOX_FORMAT,
    )
    known = categories if categories is not None and (class_ids > 0).all() else (Category(0, UNNAMED),)
    return ParsedDetections(rows, known, NUMBERING)


def _read_table(path: Path) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the numbers (N, columns) and the line of each row."""
    require_few_lines([path], path)
    values, lines, num_columns = array("d"), array("q"), 0
    for number, line in iter_lines(path):
        if not num_columns and _is_header(line, f"{path}: line {number}"):
            num_columns = len(split_line(line))
            continue
        numbers = parse_numbers(line, path, number)
        num_columns = num_columns or _require_columns(numbers, f"{path}: line {number}")
        if len(numbers) != num_columns:
            problem = f"{counted(len(numbers), 'value')}, the first line has {num_columns}"
            raise VisError(problem, where=f"{path}: line {number}", hint="Use the same columns in all lines.")
        values.extend(numbers)
        lines.append(number)
        require_capacity(len(lines), str(path))
    table = np.array(values, dtype=np.float64).reshape(len(lines), num_columns)
    return table if len(lines) else np.zeros((0, MAX_COLUMNS)), np.array(lines, dtype=np.int64)


def _is_header(line: str, where: str) -> bool:
    """Return whether a line has the names of the columns, and reject names in another order."""
    texts = split_line(line)
    if any(map(is_number_text, texts)) or not texts[0].lower().startswith("frame"):
        return False
    hint = f"Use the columns {FORMAT}."
    if not MIN_COLUMNS <= len(texts) <= MAX_COLUMNS:
        raise VisError(f"the header has {counted(len(texts), 'column')}", where=where, hint=hint)
    for column, (text, name) in enumerate(zip(texts[:7], COLUMNS, strict=False), start=1):
        if not any(part in text.lower() for part in _parts_of(name)):
            raise VisError(f"column {column} is {printable(text)!r} instead of {name!r}", where=where, hint=hint)
    return True


def _parts_of(name: str) -> tuple[str, ...]:
    """Return strings. A valid name of a column contains at least one of them."""
    return {"left": ("left", "x"), "top": ("top", "y"), "width": ("w",), "height": ("h",)}.get(
        name, ("conf", "score") if name == "conf" else (name,)
    )


def _require_columns(numbers: list[float], where: str) -> int:
    num_columns = len(numbers)
    if not MIN_COLUMNS <= num_columns <= MAX_COLUMNS:
        hint = f"Use the columns {FORMAT}."
        if num_columns == MIN_COLUMNS - 1:
            hint += " For YOLO text, pass the folder of the files."
        raise VisError(f"the line has {counted(num_columns, 'value')}", where=where, hint=hint)
    return num_columns


def _require_frames(frames: NDArray[np.float64], places: Places) -> None:
    hint = "Use an integer of at least 0."
    bad = (frames % 1 != 0) | (frames < 0) | (frames > MAX_EXACT)
    reject_first(bad, places, lambda row: f"the frame number is {frames[row]:g}", hint)


def _scores(path: Path, table: NDArray[np.float64], messages: Messages) -> NDArray[np.float64]:
    has_scores = table.shape[1] > MIN_COLUMNS and not (len(table) and (table[:, 6] == NO_CONFIDENCE).all())
    if has_scores:
        return table[:, 6].copy()
    messages.note(f"{path}: the file has no confidences, so each box gets the score 1")
    return np.ones(len(table))


def _class_ids(
    path: Path,
    table: NDArray[np.float64],
    places: Places,
    categories: tuple[Category, ...] | None,
    messages: Messages,
) -> NDArray[np.int64]:
    """Return the class of each row, or 0 without classes."""
    none = np.zeros(len(table), np.int64)
    if table.shape[1] != GROUND_TRUTH_COLUMNS or (table[:, CLASS_COLUMN] == NO_CONFIDENCE).all():
        messages.note(f"{path}: the format has no classes, so each box has the category {UNNAMED!r}")
        return none
    if categories is None:
        messages.note(
            f"{path}: the classes in column {CLASS_COLUMN + 1} have no names, so each box has the category "
            f"{UNNAMED!r}. To name them, use {NAMES_OPTION} with a COCO file"
        )
        return none
    classes = table[:, CLASS_COLUMN]
    bad = (classes % 1 != 0) | (classes < 1) | (classes > MAX_EXACT)
    reject_first(bad, places, lambda row: f"the class is {classes[row]:g}", "Use the id of a category.")
    return classes.astype(np.int64)

"""Rows of a detection file before their frames are assigned, and the checks that all formats share.

Used by the modules of the formats, and by `records.detection_file`.
"""

from __future__ import annotations

import hashlib
import json
from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from vis_cli.errors import VisError
from vis_cli.files.limits import MAX_DETECTIONS
from vis_cli.files.names import is_unprintable, printable
from vis_cli.records.types import Category

FrameKey: TypeAlias = int | str  # number of a frame, or name of its image without file extension
Box: TypeAlias = Sequence[float]  # x1, y1, x2, y2

NAMES_OPTION = "--detection-names"  # file with category names, and with image names for COCO
NO_BOX: Box = (np.nan,) * 4  # of a row with a mask
NUM_NAMED = 10  # maximum number of ids in a message
PERCENT = 100


@dataclass(frozen=True, slots=True)
class Places:
    """File and position of each row, for error messages."""

    files: Sequence[str]
    file_indices: NDArray[np.int64]  # (N,)
    positions: NDArray[np.int64]  # (N,) number of the line or the entry
    unit: str  # "line" or "entry"

    def __call__(self, row: int) -> str:
        """Return the place of a row."""
        return f"{self.files[self.file_indices[row]]}: {self.unit} {self.positions[row]}"


@dataclass(frozen=True, slots=True)
class DetectionRows:
    """N rows in the order of the file."""

    keys: tuple[FrameKey, ...]  # each frame of the file once
    frames: NDArray[np.int64]  # (N,) index into `keys`
    boxes: NDArray[np.float64]  # (N, 4) xyxy; NaN for a row with a mask
    scores: NDArray[np.float64]  # (N,)
    category_ids: NDArray[np.int64]  # (N,)
    masks: Sequence[object]  # N masks as in JSON files of COCO, polygons of fractions, or None
    places: Places
    are_fractions: bool = False  # whether coordinates are fractions of the width and the height of the image
    box_format: str = ""  # clause that describes the numbers of a box, for messages


@dataclass(frozen=True, slots=True)
class Numbering:
    """Number of the first frame if neither the images nor the numbers in the file decide."""

    first: int
    reason: str  # a sentence without period
    is_certain: bool = False  # whether the format defines the number


@dataclass(frozen=True, slots=True)
class ParsedDetections:
    """Content of a detection file, and the properties of its video that the file states."""

    rows: DetectionRows
    categories: tuple[Category, ...]
    numbering: Numbering
    sizes: Mapping[FrameKey, tuple[int, int]] = field(default_factory=dict)  # width and height of frames
    num_frames: int | None = None
    listed: tuple[str, ...] = ()  # names of frames that the source lists, with or without detections


class RowTable:
    """Rows while a file is being read. It rejects more than MAX_DETECTIONS rows."""

    def __init__(self, files: Sequence[str], unit: str) -> None:
        """Create an empty table. `unit` is "line" or "entry"."""
        self._files, self._unit = files, unit
        self._keys: dict[FrameKey, int] = {}
        self._masks: list[object] = []
        self._frames, self._categories = array("q"), array("q")
        self._file_indices, self._positions = array("q"), array("q")
        self._boxes, self._scores = array("d"), array("d")

    def add(
        self,
        key: FrameKey,
        *,
        box: Box,
        score: float,
        category_id: int,
        mask: object = None,
        file_index: int = 0,
        position: int,
    ) -> None:
        """Append a row.

        Raises:
            VisError: The table is full.
        """
        require_capacity(len(self._scores) + 1, self._files[0] if len(self._files) == 1 else "the folder")
        self._frames.append(self._keys.setdefault(key, len(self._keys)))
        self._boxes.extend(box)
        self._scores.append(score)
        self._categories.append(category_id)
        self._masks.append(mask)
        self._file_indices.append(file_index)
        self._positions.append(position)

    def rows(self, *, are_fractions: bool = False, box_format: str = "") -> DetectionRows:
        """Return the rows."""
        positions = np.array(self._positions, dtype=np.int64)
        return DetectionRows(
            keys=tuple(self._keys),
            frames=np.array(self._frames, dtype=np.int64),
            boxes=np.array(self._boxes, dtype=np.float64).reshape(-1, 4),
            scores=np.array(self._scores, dtype=np.float64),
            category_ids=np.array(self._categories, dtype=np.int64),
            masks=self._masks,
            places=Places(self._files, np.array(self._file_indices, dtype=np.int64), positions, self._unit),
            are_fractions=are_fractions,
            box_format=box_format,
        )


def require_capacity(num_rows: int, where: str) -> None:
    """Reject a file with too many rows.

    Raises:
        VisError: There are more than MAX_DETECTIONS rows.
    """
    if num_rows > MAX_DETECTIONS:
        hint = "Remove detections with low scores, or split the video."
        raise VisError(f"more than {MAX_DETECTIONS:,} rows", where=where, hint=hint)


def require_valid(rows: DetectionRows, where: str) -> None:
    """Check all values that do not depend on the size of the video.

    Raises:
        VisError: There are no rows. Or a score is not from 0 to 1, or a box is not finite, inverted or without area,
            or all boxes are fractions instead of pixels.
    """
    if len(rows.scores) == 0:
        raise VisError("there are no detections", where=where, hint="Use a file with at least one detection.")
    _require_scores(rows)
    has_box = np.array([mask is None for mask in rows.masks])
    boxes, sides = rows.boxes[has_box], rows.boxes[:, 2:] - rows.boxes[:, :2]
    hint = "Use finite numbers."
    reject_first(has_box & ~np.isfinite(sides).all(axis=1), rows.places, lambda row: _box(rows, row), hint)
    hint = "Use left, top, width and height, with a width and a height above 0."
    reject_first(has_box & (sides <= 0).any(axis=1), rows.places, lambda row: _box(rows, row), hint)
    if len(boxes) and not rows.are_fractions and boxes.max() <= 1 and (boxes % 1 != 0).any():
        hint = "Multiply them by the width and the height of the video."
        raise VisError("all boxes are smaller than a pixel: the coordinates are fractions", where=where, hint=hint)


def reject_first(bad: NDArray[np.bool_], places: Places, describe: Callable[[int], str], hint: str) -> None:
    """Reject the first row for which `bad` (N,) is true.

    Raises:
        VisError: A row is rejected. `describe` returns the problem.
    """
    if bad.any():
        row = int(bad.argmax())
        raise VisError(describe(row), where=places(row), hint=hint)


def labels_of(rows: DetectionRows, categories: Sequence[Category]) -> NDArray[np.int64]:
    """Return the label of each row, from 1 to the number of categories.

    Raises:
        VisError: A category id is unknown, or the name of a category is empty or not printable.
    """
    for category in categories:
        if not category.name.strip() or any(map(is_unprintable, category.name)):
            problem = f"the name {printable(category.name)!r} of category {category.id} is empty or not printable"
            raise VisError(problem, where=rows.places.files[0], hint="Use another name.")
    ids = np.array([category.id for category in categories], dtype=np.int64)
    order = np.argsort(ids)
    found = np.searchsorted(ids[order], rows.category_ids).clip(max=max(len(ids) - 1, 0))
    labels: NDArray[np.int64] = order[found] + 1 if len(ids) else np.zeros(len(rows.scores), np.int64)
    unknown = ids[labels - 1] != rows.category_ids if len(ids) else np.ones(len(rows.scores), np.bool_)
    hint = f"Use a known id: {listed_ids(ids.tolist())}."
    reject_first(unknown, rows.places, lambda row: f"the category {rows.category_ids[row]} is unknown", hint)
    return labels


def listed_ids(ids: Sequence[int]) -> str:
    """Return at most NUM_NAMED ids for a message."""
    text = ", ".join(map(str, ids[:NUM_NAMED]))
    return text if len(ids) <= NUM_NAMED else f"{text}, … ({len(ids)} in total)"


def listed_names(ids: Sequence[int], names: Mapping[int, str]) -> str:
    """Return at most NUM_NAMED ids with their names for a message, such as '1 = person, 16 = bird'."""
    text = ", ".join(f"{number} = {names[number]}" for number in ids[:NUM_NAMED])
    return text if len(ids) <= NUM_NAMED else f"{text}, … ({len(ids)} in total)"


def digest_of(parsed: ParsedDetections) -> str:
    """Return the SHA-256 of the content. It does not depend on the path of the file."""
    rows, digest = parsed.rows, hashlib.sha256()
    head = {
        "keys": rows.keys,
        "categories": [(category.id, category.name) for category in parsed.categories],
        "first": parsed.numbering.first,
        "are_fractions": rows.are_fractions,
        "listed": sorted(parsed.listed),
    }
    digest.update(json.dumps(head).encode())
    for column in (rows.frames, rows.boxes, rows.scores, rows.category_ids):
        digest.update(column.tobytes())
    for row, mask in enumerate(rows.masks):
        if mask is not None:
            content = mask.tobytes() if isinstance(mask, array) else json.dumps(mask, sort_keys=True).encode()
            digest.update(b"%d %d\n" % (row, len(content)) + content)
    return digest.hexdigest()


def _require_scores(rows: DetectionRows) -> None:
    hint = "Use a value from 0 to 1."
    finite = rows.scores[np.isfinite(rows.scores)]
    if len(finite) and finite.min() >= 0 and 1 < finite.max() <= PERCENT:
        hint = f"Use a value from 0 to 1. If the scores are percentages, divide them by {PERCENT}."
    bad = ~((rows.scores >= 0) & (rows.scores <= 1))
    reject_first(bad, rows.places, lambda row: f"the score is {rows.scores[row]:g}", hint)


def _box(rows: DetectionRows, row: int) -> str:
    x1, y1, x2, y2 = rows.boxes[row]
    return f"the box is {x2 - x1:g} wide and {y2 - y1:g} high"

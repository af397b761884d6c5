"""Reader of a folder of YOLO text files: one file per frame, one line per object, fractions of the image as numbers.

A line is `class cx cy w h`, or `class x1 y1 ... xn yn` with the corners of a polygon. A confidence and a track id
of Ultralytics are allowed at the end. Ultralytics names the files of a video CLIP_1.txt, CLIP_2.txt and so on.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vis_cli.errors import VisError
from vis_cli.files.limits import MAX_CATEGORIES, MAX_DETECTION_BYTES, MIB
from vis_cli.files.names import natural_key
from vis_cli.files.reading import read_error
from vis_cli.messages import Messages, counted
from vis_cli.records.coco_categories import coco_categories
from vis_cli.records.detection_formats.rows import (
    NAMES_OPTION,
    NO_BOX,
    Box,
    Numbering,
    ParsedDetections,
    RowTable,
    listed_names,
    require_capacity,
)
from vis_cli.records.detection_formats.text import ends_with_integer, iter_lines, parse_numbers, require_few_lines
from vis_cli.records.detection_formats.yolo_names import NAME_FILES, find_class_names, read_class_names
from vis_cli.records.types import Category

SUFFIX = ".txt"
LABELS_FOLDER = "labels"  # Ultralytics writes the text files into this folder of a run
NUM_BOX_VALUES = 5  # class, center, width and height
NUM_CONF_VALUES = 6  # with a confidence
NUM_TRACK_VALUES = 7  # with a confidence and a track id
MAX_FRACTION = 2.0  # a box may exceed the image; larger numbers are pixels
BOX_FORMAT = "values 2 to 5 are center x, center y, width, height"
NUMBERING = Numbering(first=1, reason="Ultralytics counts the frames of a video from 1")


def label_files(folder: Path) -> list[Path]:
    """Return the text files of frames in a folder, or in its subfolder `labels`, in natural order.

    Raises:
        VisError: The folder cannot be read.
    """
    try:
        for place in (folder, folder / LABELS_FOLDER):
            entries = list(place.iterdir()) if place.is_dir() else []
            files = [path for path in entries if path.suffix.lower() == SUFFIX and not path.name.startswith(".")]
            files = [path for path in files if path.name.lower() not in NAME_FILES]
            if files:
                return sorted(files, key=lambda path: natural_key(path.name))
    except OSError as error:
        raise read_error(folder, error) from error
    return []


def read_yolo(folder: Path, names_file: Path | None, messages: Messages) -> ParsedDetections:
    """Read a folder of YOLO text files.

    Args:
        folder: The folder, or the folder of an Ultralytics run that contains `labels`.
        names_file: data.yaml or a list of names. None searches inside and next to the folder.
        messages: Receives notes about assumptions.

    Raises:
        VisError: There are no text files, a file is damaged, or a class has no name.
    """
    files = label_files(folder)
    if not files:
        hint = "Pass a folder with one YOLO text file per frame, or a file."
        raise VisError(f"cannot read {folder}: no text files in this folder", hint=hint)
    require_few_lines(files, folder)
    lines = _Lines(files)
    names_file = names_file or find_class_names(files[0].parent, folder)
    if lines.have_track_ids():
        lines.drop_last_values()
        messages.note(f"{folder}: the last value of each line is read as a track id, which is not used")
    table, have_confidences = RowTable([str(path) for path in files], "line"), lines.have_confidences()
    for row in range(len(lines)):
        _add(table, lines, row, have_confidences=have_confidences)
    if len(lines) and not have_confidences:
        messages.note(f"{folder}: the files have no confidences, so each detection gets the score 1")
    categories = _categories(folder, lines, names_file, messages)
    listed = tuple(path.stem for path in files)  # a frame without objects has an empty file
    return ParsedDetections(table.rows(are_fractions=True, box_format=BOX_FORMAT), categories, NUMBERING, listed=listed)


class _Lines:
    """The numbers of all lines."""

    def __init__(self, files: Sequence[Path]) -> None:
        """Read the files.

        Raises:
            VisError: A file cannot be read, a line has no numbers, or there is too much data.
        """
        self.files = files
        self._values, self._file_indices, self._numbers = array("d"), array("q"), array("q")
        counts, ends = array("q"), bytearray()
        for index, path in enumerate(files):
            for number, line in iter_lines(path):
                values = parse_numbers(line, path, number)
                self._values.extend(values)
                counts.append(len(values))
                ends.append(ends_with_integer(line))
                self._file_indices.append(index)
                self._numbers.append(number)
                require_capacity(len(counts), str(path.parent))
                if self._values.itemsize * len(self._values) > MAX_DETECTION_BYTES:
                    problem = f"the numbers need more than {MAX_DETECTION_BYTES // MIB:,} MiB of memory"
                    raise VisError(problem, where=path.parent, hint="Use fewer files.")
        self._counts = np.array(counts, dtype=np.int64)
        self._ends_with_integer = all(ends)
        self._starts = np.append(0, np.cumsum(self._counts))[:-1]

    def __len__(self) -> int:
        """Return the number of lines."""
        return len(self._counts)

    def values(self, row: int) -> array[float]:
        """Return the numbers of a line."""
        return self._values[self._starts[row] : self._starts[row] + self._counts[row]]

    def position(self, row: int) -> tuple[int, int]:
        """Return the index of the file and the number of the line."""
        return self._file_indices[row], self._numbers[row]

    def where(self, row: int) -> str:
        """Return the place of a line for an error message."""
        return f"{self.files[self._file_indices[row]]}: line {self._numbers[row]}"

    def classes(self) -> NDArray[np.float64]:
        """Return the first number of each line."""
        first: NDArray[np.float64] = np.array(self._values, dtype=np.float64)[self._starts]
        return first

    def have_track_ids(self) -> bool:
        """Return whether a track id follows in all lines: an integer of at least 1, and above 1 in a line.

        A number with a decimal point, such as a percentage, is not a track id.

        A box with a confidence and a track id has as many values as a triangle. A triangle whose last coordinate is 1
        in all lines is not expected.
        """
        if not len(self) or not self._ends_with_integer or self._counts.min() < NUM_CONF_VALUES:
            return False
        last = np.array(self._values, dtype=np.float64)[self._starts + self._counts - 1]
        are_boxes = bool((self._counts == NUM_TRACK_VALUES).all())
        return bool(last.min() >= 1 and (last.max() > 1 or are_boxes))

    def drop_last_values(self) -> None:
        """Remove the last number of each line."""
        self._counts -= 1

    def have_confidences(self) -> bool:
        """Return whether a line has a confidence after its class and an even number of coordinates."""
        return bool(((self._counts % 2 == 0) & (self._counts >= NUM_CONF_VALUES)).any())


def _add(table: RowTable, lines: _Lines, row: int, *, have_confidences: bool) -> None:
    values, (file_index, position) = lines.values(row), lines.position(row)
    if problem := line_problem(values, have_confidences=have_confidences):
        raise VisError(problem[0], where=lines.where(row), hint=problem[1])
    has_confidence = len(values) % 2 == 0
    coordinates = values[1:-1] if has_confidence else values[1:]
    is_box = len(coordinates) == NUM_BOX_VALUES - 1
    table.add(
        lines.files[file_index].stem,
        box=_corners(*coordinates) if is_box else NO_BOX,
        score=values[-1] if has_confidence else 1.0,
        category_id=int(values[0]),
        mask=None if is_box else coordinates,
        file_index=file_index,
        position=position,
    )


def _corners(center_x: float, center_y: float, width: float, height: float) -> Box:
    return center_x - width / 2, center_y - height / 2, center_x + width / 2, center_y + height / 2


def line_problem(values: Sequence[float], *, have_confidences: bool) -> tuple[str, str] | None:
    """Return the problem of an invalid line and its remedy, or None."""
    if len(values) < NUM_BOX_VALUES:
        hint = "Use 'class cx cy w h', or 'class x1 y1 x2 y2 x3 y3 ...', then an optional confidence."
        return f"the line has {counted(len(values), 'value')}", hint
    if values[0] % 1 or not 0 <= values[0] < MAX_CATEGORIES:
        return f"the class is {values[0]:g}", f"Use an integer from 0 to {MAX_CATEGORIES - 1:,}."
    has_confidence = len(values) % 2 == 0
    if have_confidences and not has_confidence:
        problem = f"the line has {len(values)} values, without a confidence, but other lines have a confidence"
        return problem, "Write the confidence in all lines or in no line."
    coordinates = values[1:-1] if has_confidence else values[1:]
    for value in (max(coordinates), min(coordinates)):
        if not 1 - MAX_FRACTION <= value <= MAX_FRACTION:
            hint = "Divide pixels by the width and the height of the image. YOLO text has fractions from 0 to 1."
            if len(values) > NUM_BOX_VALUES:
                hint += " For MOTChallenge text, pass the file."
            return f"the coordinate {value:g} is not a fraction of the image", hint
    return None


def _categories(folder: Path, lines: _Lines, names_file: Path | None, messages: Messages) -> tuple[Category, ...]:
    """Return the categories, whose ids are the class numbers of the files."""
    if names_file is not None:
        messages.note(f"{folder}: class names from {names_file}")
        return tuple(Category(number, name) for number, name in sorted(read_class_names(names_file).items()))
    names = {number: category.name for number, category in enumerate(coco_categories())}
    classes = lines.classes() if len(lines) else np.zeros(0)
    if len(classes) and classes.max() >= len(names):
        row = int((classes >= len(names)).argmax())
        hint = f"Add data.yaml with 'names' to the folder, or use {NAMES_OPTION}."
        raise VisError(f"the class {int(classes[row])} has no name", where=lines.where(row), hint=hint)
    used = sorted({int(number) for number in classes})
    what = f"class {listed_names(used, names)} is" if len(used) == 1 else f"classes {listed_names(used, names)} are"
    messages.note(
        f"{folder}: there is no data.yaml with class names. The {what} read as COCO's, as in pretrained YOLO models. "
        f"For other names, use {NAMES_OPTION} with data.yaml"
    )
    return tuple(Category(number, name) for number, name in names.items())

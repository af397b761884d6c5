"""XML files of CVAT: bounded parsing, and the shapes that are masks or boxes.

Used by `imports.cvat` and `datasets.cvat`. Source: https://docs.cvat.ai/docs/other/xml_format.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn, Protocol
from xml.parsers import expat

import numpy as np

from vis_cli.errors import VisError
from vis_cli.files.archives import member_names, open_zip, read_member
from vis_cli.files.limits import MAX_JSON_BYTES
from vis_cli.files.names import printable
from vis_cli.files.reading import read_bytes
from vis_cli.messages import counted
from vis_cli.records.json_fields import RESTORE
from vis_cli.records.rle import Rle, encode_mask
from vis_cli.records.segmentation_json import parse_segmentation

ZIP_SUFFIX, XML_SUFFIX = ".zip", ".xml"
MAX_DIGITS = 12  # of a number
HINT = "Export the task from CVAT again."


class Handler(Protocol):
    """Receiver of the elements of a file."""

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """Handle the start of an element."""

    def end(self, name: str) -> None:
        """Handle the end of an element."""

    def text(self, text: str) -> None:
        """Handle text between elements."""


def parse_cvat(path: Path, handler: Handler) -> None:
    """Parse an XML file, or a zip with one XML file.

    Raises:
        VisError: The file cannot be read, is not XML, or declares a document type.
    """
    parser = expat.ParserCreate()
    parser.StartElementHandler = handler.start
    parser.EndElementHandler = handler.end
    parser.CharacterDataHandler = handler.text
    parser.buffer_text = True

    def reject_declaration(*_: object) -> NoReturn:  # entities can expand to gigabytes; CVAT never writes any
        raise VisError("the file declares a document type", where=path, hint=HINT)

    parser.StartDoctypeDeclHandler = reject_declaration
    try:
        parser.Parse(_read(path), True)
    except expat.ExpatError as error:
        raise VisError(f"not an XML file, or damaged ({error})", where=path, hint=RESTORE) from error


def take_attribute(attributes: Mapping[str, str], key: str, where: str) -> str:
    """Return an attribute of an element.

    Raises:
        VisError: The attribute is missing.
    """
    if key not in attributes:
        raise VisError(f"an element has no '{key}'", where=where, hint=HINT)
    return attributes[key]


def take_integer(attributes: Mapping[str, str], key: str, where: str) -> int:
    """Return an attribute that is an integer of at least 0.

    Raises:
        VisError: The attribute is missing or has another value.
    """
    text = take_attribute(attributes, key, where)
    if not text.isdecimal() or len(text) > MAX_DIGITS:
        raise VisError(f"'{key}' is {printable(text)!r}", where=where, hint="Use an integer of at least 0.")
    return int(text)


def polygon_mask(attributes: Mapping[str, str], size: tuple[int, int], where: str) -> Rle | None:
    """Return the mask of a polygon in an image of a width and a height.

    Raises:
        VisError: The points are not a polygon.
    """
    try:
        points = [float(n) for pair in take_attribute(attributes, "points", where).split(";") for n in pair.split(",")]
    except ValueError as error:
        raise VisError("'points' is not a list of numbers", where=where, hint=HINT) from error
    return parse_segmentation([points], size[1], size[0], where)


def runs_mask(attributes: Mapping[str, str], size: tuple[int, int], where: str) -> Rle:
    """Return the mask of runs in rows inside of a box, in an image of a width and a height.

    Raises:
        VisError: The runs do not fill the box, or the box is outside of the image.
    """
    left, top, width, height = (take_integer(attributes, key, where) for key in ("left", "top", "width", "height"))
    inside = left + width <= size[0] and top + height <= size[1]
    texts = [text.strip() for text in take_attribute(attributes, "rle", where).split(",")]
    is_valid = inside and all(text.isdecimal() and len(text) <= MAX_DIGITS for text in texts)
    runs = np.array(list(map(int, texts)), dtype=np.int64) if is_valid else np.zeros(0, np.int64)
    if not is_valid or runs.sum() != width * height:
        problem = "the runs of the mask do not fill its box, or it is outside of the video"
        raise VisError(problem, where=where, hint=HINT)
    mask = np.zeros((size[1], size[0]), np.bool_)
    crop = np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(height, width)
    mask[top : top + height, left : left + width] = crop
    return encode_mask(mask)


def _read(path: Path) -> bytes:
    if path.suffix.lower() != ZIP_SUFFIX:
        return read_bytes(path, limit=MAX_JSON_BYTES)
    with open_zip(path) as archive:
        names = [name for name in member_names(archive) if name.lower().endswith(XML_SUFFIX)]
        if len(names) != 1:
            raise VisError(f"the zip contains {counted(len(names), 'XML file')}", where=path, hint=HINT)
        return read_member(archive, names[0], limit=MAX_JSON_BYTES)

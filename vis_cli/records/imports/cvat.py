"""`cvat`: XML or zip in the format "CVAT for video 1.1", as CVAT exports it.

Source: https://docs.cvat.ai/docs/other/xml_format. CVAT writes the shape of every frame, also between key frames, so
nothing is interpolated. A track becomes an object. A mask without a track becomes an object of one frame.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import NoReturn
from xml.parsers import expat

import numpy as np

from vis_cli.errors import VisError
from vis_cli.files.archives import member_names, open_zip, read_member
from vis_cli.files.limits import MAX_JSON_BYTES
from vis_cli.files.names import printable
from vis_cli.files.reading import read_bytes
from vis_cli.messages import Messages, counted
from vis_cli.records.imports.annotation import AnnotatedObject, require_frame
from vis_cli.records.json_fields import RESTORE
from vis_cli.records.rle import Rle, encode_mask
from vis_cli.records.segmentation_json import parse_segmentation
from vis_cli.records.types import VideoInfo

ZIP_SUFFIX, XML_SUFFIX = ".zip", ".xml"
WITHOUT_MASK = ("box", "polyline", "points", "ellipse", "cuboid", "skeleton")
MAX_DIGITS = 12  # of a number
HINT = "Export the task from CVAT again, in the format CVAT for video 1.1."


def read_cvat(path: Path, video: VideoInfo, messages: Messages) -> Sequence[AnnotatedObject]:
    """Return the tracks of a file, numbered from 1."""
    reader = _Reader(str(path), video)
    parser = expat.ParserCreate()
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    parser.StartDoctypeDeclHandler = reader.reject_declaration  # entities can expand to gigabytes
    parser.buffer_text = True
    try:
        parser.Parse(_read(path), True)
    except expat.ExpatError as error:
        raise VisError(f"not an XML file, or damaged ({error})", where=path, hint=RESTORE) from error
    return reader.finish(messages)


def _read(path: Path) -> bytes:
    if path.suffix.lower() != ZIP_SUFFIX:
        return read_bytes(path, limit=MAX_JSON_BYTES)
    with open_zip(path) as archive:
        names = [name for name in member_names(archive) if name.lower().endswith(XML_SUFFIX)]
        if len(names) != 1:
            raise VisError(f"the zip contains {counted(len(names), 'XML file')}", where=path, hint=HINT)
        return read_member(archive, names[0], limit=MAX_JSON_BYTES)


class _Reader:
    """State of the parser. It collects the masks of the tracks."""

    def __init__(self, where: str, video: VideoInfo) -> None:
        self._where, self._video = where, video
        self._open: list[str] = []  # names of the open elements
        self._text = ""
        self._objects: list[AnnotatedObject] = []
        self._label = ""
        self._masks: dict[int, Rle] = {}
        self._states: dict[int, str] = {}  # kind of shape, or `outside`, by frame
        self._omitted: Counter[str] = Counter()
        self._num_missing = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """Handle the start of an element."""
        if not self._open and name != "annotations":
            raise VisError(f"the file contains <{printable(name)}>", where=self._where, hint=HINT)
        self._open.append(name)
        self._text = ""
        if name == "image":
            raise VisError("the format is CVAT for images", where=self._where, hint=HINT)
        if name == "track":
            self._label, self._masks, self._states = self._take(attributes, "label"), {}, {}
        elif "track" in self._open[:-1] and name in ("polygon", "mask"):
            self._add_shape(name, attributes)
        elif "track" in self._open[:-1] and name in WITHOUT_MASK:
            self._omitted[name] += 1

    def end(self, name: str) -> None:
        """Handle the end of an element."""
        if self._open[-2:-1] == ["original_size"]:
            self._check_size(name)
        self._open.pop()
        if name == "track" and self._masks:
            self._objects.append(AnnotatedObject(len(self._objects) + 1, self._label, self._masks))
            self._num_missing += self._count_missing()

    def text(self, text: str) -> None:
        """Handle text between elements."""
        self._text += text

    def reject_declaration(self, *_: object) -> NoReturn:
        """Reject a document type, which CVAT never writes."""
        raise VisError("the file declares a document type", where=self._where, hint=HINT)

    def finish(self, messages: Messages) -> list[AnnotatedObject]:
        """Report what is omitted, and return the objects."""
        for name, number in sorted(self._omitted.items()):
            messages.warn(f"{self._where}: omitted {counted(number, name)}: a result consists of masks")
        if self._num_missing:
            messages.warn(
                f"{self._where}: {counted(self._num_missing, 'frame')} inside of tracks without a shape, so the object "
                "is absent there. vis does not interpolate. CVAT writes every frame when it exports a task"
            )
        return self._objects

    def _add_shape(self, name: str, attributes: dict[str, str]) -> None:
        frame = require_frame(self._integer(attributes, "frame"), self._video, self._where)
        where = f"{self._where}: track {len(self._objects) + 1}, frame {frame}"
        if frame in self._states:
            raise VisError("the frame has two shapes", where=where, hint=HINT)
        is_outside = attributes.get("outside", "0") == "1"
        self._states[frame] = "outside" if is_outside else name
        if is_outside:
            return
        rle = self._polygon(attributes, where) if name == "polygon" else self._mask(attributes, where)
        if rle is not None:
            self._masks[frame] = rle

    def _count_missing(self) -> int:
        """Return the number of frames between a polygon and the next shape of the track, or the end of the video."""
        frames = sorted(self._states)
        gaps = ((a, b - a - 1) for a, b in pairwise([*frames, self._video.num_frames]))
        return sum(gap for frame, gap in gaps if self._states[frame] == "polygon")

    def _polygon(self, attributes: dict[str, str], where: str) -> Rle | None:
        try:
            points = [float(n) for pair in self._take(attributes, "points").split(";") for n in pair.split(",")]
        except ValueError as error:
            raise VisError("'points' is not a list of numbers", where=where, hint=HINT) from error
        return parse_segmentation([points], self._video.height, self._video.width, where)

    def _mask(self, attributes: dict[str, str], where: str) -> Rle:
        left, top, width, height = (self._integer(attributes, key) for key in ("left", "top", "width", "height"))
        inside = left + width <= self._video.width and top + height <= self._video.height
        texts = [text.strip() for text in self._take(attributes, "rle").split(",")]
        is_valid = inside and all(text.isdecimal() and len(text) <= MAX_DIGITS for text in texts)
        runs = np.array(list(map(int, texts)), dtype=np.int64) if is_valid else np.zeros(0, np.int64)
        if not is_valid or runs.sum() != width * height:
            raise VisError(
                "the runs of the mask do not fill its box, or it is outside of the video", where=where, hint=HINT
            )
        mask = np.zeros((self._video.height, self._video.width), np.bool_)
        mask[top : top + height, left : left + width] = np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(
            height, width
        )
        return encode_mask(mask)

    def _check_size(self, name: str) -> None:
        expected = {"width": self._video.width, "height": self._video.height}
        if name in expected and self._text.strip() != str(expected[name]):
            problem = f"the {name} of the task is {printable(self._text.strip())}, of the video {expected[name]}"
            raise VisError(problem, where=self._where, hint="Pass the annotated video with --video.")

    def _take(self, attributes: dict[str, str], key: str) -> str:
        if key not in attributes:
            raise VisError(f"an element has no '{key}'", where=self._where, hint=HINT)
        return attributes[key]

    def _integer(self, attributes: dict[str, str], key: str) -> int:
        text = self._take(attributes, key)
        if not text.isdecimal() or len(text) > MAX_DIGITS:
            raise VisError(f"'{key}' is {printable(text)!r}", where=self._where, hint="Use an integer of at least 0.")
        return int(text)

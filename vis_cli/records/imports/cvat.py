"""`cvat`: XML or zip in the format "CVAT for video 1.1", as CVAT exports it.

Source: https://docs.cvat.ai/docs/other/xml_format. CVAT writes the shape of every frame, also between key frames, so
nothing is interpolated. A track becomes an object. A mask without a track becomes an object of one frame.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from vis_cli.errors import VisError
from vis_cli.files.names import printable
from vis_cli.messages import Messages, counted
from vis_cli.records.cvat_xml import parse_cvat, polygon_mask, runs_mask, take_attribute, take_integer
from vis_cli.records.imports.annotation import AnnotatedObject, require_frame
from vis_cli.records.rle import Rle
from vis_cli.records.types import VideoInfo

WITHOUT_MASK = ("box", "polyline", "points", "ellipse", "cuboid", "skeleton")
HINT = "Export the task from CVAT again, in the format CVAT for video 1.1."


def read_cvat(path: Path, video: VideoInfo, messages: Messages) -> Sequence[AnnotatedObject]:
    """Return the tracks of a file, numbered from 1."""
    reader = _Reader(str(path), video)
    parse_cvat(path, reader)
    return reader.finish(messages)


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
            self._label, self._masks, self._states = take_attribute(attributes, "label", self._where), {}, {}
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
        frame = require_frame(take_integer(attributes, "frame", self._where), self._video, self._where)
        where = f"{self._where}: track {len(self._objects) + 1}, frame {frame}"
        if frame in self._states:
            raise VisError("the frame has two shapes", where=where, hint=HINT)
        is_outside = attributes.get("outside", "0") == "1"
        self._states[frame] = "outside" if is_outside else name
        if is_outside:
            return
        size = self._video.width, self._video.height
        rle = polygon_mask(attributes, size, where) if name == "polygon" else runs_mask(attributes, size, where)
        if rle is not None:
            self._masks[frame] = rle

    def _count_missing(self) -> int:
        """Return the number of frames between a polygon and the next shape of the track, or the end of the video."""
        frames = sorted(self._states)
        gaps = ((a, b - a - 1) for a, b in pairwise([*frames, self._video.num_frames]))
        return sum(gap for frame, gap in gaps if self._states[frame] == "polygon")

    def _check_size(self, name: str) -> None:
        expected = {"width": self._video.width, "height": self._video.height}
        if name in expected and self._text.strip() != str(expected[name]):
            problem = f"the {name} of the task is {printable(self._text.strip())}, of the video {expected[name]}"
            raise VisError(problem, where=self._where, hint="Pass the annotated video with --video.")

"""`cvat`: XML or zip in the formats "CVAT for images 1.1" and "CVAT for video 1.1".

Polygons and masks are objects with a mask, and boxes are objects with only a box. Shapes of one image with the same
label and the same group are one object, as in the COCO files of CVAT. Each frame of a video is one image: its file is
the one in the folder whose name ends with the number of the frame.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

from vis_cli.errors import VisError
from vis_cli.files.names import natural_key, printable, safe_relative_path
from vis_cli.files.reading import read_error
from vis_cli.messages import counted
from vis_cli.records.cvat_xml import HINT, parse_cvat, polygon_mask, runs_mask, take_attribute, take_integer
from vis_cli.records.datasets.image import (
    AnnotatedImage,
    ImageDataset,
    Note,
    Part,
    existing_image,
    merge_parts,
    object_of_box,
    object_of_mask,
    require_category,
    require_dataset,
)
from vis_cli.records.json_fields import require, require_size
from vis_cli.records.media_folder import IMAGE_SUFFIXES

IMAGES = "images"  # folder of the images in an export of CVAT
MASKS, BOX = ("polygon", "mask"), "box"
OTHER_SHAPES = ("polyline", "points", "ellipse", "cuboid", "skeleton")
CORNERS = ("xtl", "ytl", "xbr", "ybr")
_NUMBER = re.compile("[0-9]+$")


def read_cvat_images(path: Path, images: Path | None, note: Note) -> ImageDataset:
    """Read the images of a task, or the frames of a video."""
    folder = images or (path.parent / IMAGES if (path.parent / IMAGES).is_dir() else path.parent)
    reader = _Reader(path, folder)
    parse_cvat(path, reader)
    return reader.finish(note)


class _Reader:
    """State of the parser. It collects the shapes of each image."""

    def __init__(self, path: Path, folder: Path) -> None:
        self._path, self._where, self._folder = path, str(path), folder
        self._open: list[str] = []  # names of the open elements
        self._text = ""
        self._labels: list[str] = []
        self._size: dict[str, int] = {}  # width and height of the frames of a video
        self._image: tuple[Path, int, int] | None = None
        self._images: list[AnnotatedImage] = []
        self._parts: list[Part] = []  # of the open image
        self._is_video = False
        self._label = ""  # of the open track
        self._frames: defaultdict[int, list[Part]] = defaultdict(list)
        self._omitted: Counter[str] = Counter()

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """Handle the start of an element."""
        if not self._open and name != "annotations":
            raise VisError(f"the file contains <{printable(name)}>", where=self._where, hint=HINT)
        self._open.append(name)
        self._text = ""
        if name == "image":
            self._start_image(attributes)
        elif name == "track":
            self._is_video = True
            self._label = require_category(take_attribute(attributes, "label", self._where), self._where)
        elif self._image is not None:
            self._add_shape(name, attributes)
        elif "track" in self._open[:-1]:
            self._add_tracked(name, attributes)

    def end(self, name: str) -> None:
        """Handle the end of an element."""
        if self._open[-3:] == ["labels", "label", "name"]:
            self._labels.append(self._text)
        elif self._open[-2:-1] == ["original_size"]:
            self._size[name] = take_integer({name: self._text.strip()}, name, self._where)
        elif name == "image" and self._image is not None:
            path, width, height = self._image
            self._images.append(AnnotatedImage(path, width, height, "", merge_parts(self._parts)))
            self._image = None
        self._open.pop()

    def text(self, text: str) -> None:
        """Handle text between elements."""
        self._text += text

    def finish(self, note: Note) -> ImageDataset:
        """Report what is omitted, and return the dataset."""
        for name, number in sorted(self._omitted.items()):
            note(f"{self._where}: omitted {counted(number, name)}, which is not a mask or a box")
        if self._is_video or (not self._images and self._size):
            self._images += self._video_frames()
        images = require_dataset(self._images, self._path)
        used = (item.category for image in images for item in image.objects)
        return ImageDataset(images, tuple(dict.fromkeys([*self._labels, *used])))

    def _start_image(self, attributes: dict[str, str]) -> None:
        where = f"{self._where}: image {len(self._images) + 1}"
        width, height = (take_integer(attributes, key, where) for key in ("width", "height"))
        require(width > 0 and height > 0, where, f"the size is {width}x{height}", hint=HINT)
        require_size(width, height, where)
        name = safe_relative_path(take_attribute(attributes, "name", where), where)
        self._image, self._parts = (existing_image(self._folder, name, where), width, height), []

    def _add_shape(self, name: str, attributes: dict[str, str]) -> None:
        if self._image is None or self._count_other(name):
            return
        where = f"{self._where}: {self._image[0].name}"
        label = require_category(take_attribute(attributes, "label", where), where)
        group = attributes.get("group_id", "0").strip()
        self._parts += _parts(
            name, attributes, label, group if group not in ("", "0") else None, self._image[1:], where
        )

    def _add_tracked(self, name: str, attributes: dict[str, str]) -> None:
        if self._count_other(name) or attributes.get("outside", "0") == "1":
            return
        frame = take_integer(attributes, "frame", self._where)
        where = f"{self._where}: frame {frame}"
        self._frames[frame] += _parts(name, attributes, self._label, None, self._frame_size(), where)

    def _count_other(self, name: str) -> bool:
        """Return whether an element is no mask and no box. Count it if it is a shape."""
        if name in OTHER_SHAPES:
            self._omitted[name] += 1
        return name not in (*MASKS, BOX)

    def _frame_size(self) -> tuple[int, int]:
        if set(self._size) != {"width", "height"}:
            raise VisError("the size of the frames is missing ('original_size')", where=self._where, hint=HINT)
        width, height = self._size["width"], self._size["height"]
        require(width > 0 and height > 0, self._where, f"the size of the frames is {width}x{height}", hint=HINT)
        require_size(width, height, self._where)
        return width, height

    def _video_frames(self) -> list[AnnotatedImage]:
        """Return one image per frame in the folder, also without objects."""
        files = _numbered_files(self._folder)
        for frame in self._frames:
            hint = "Set images to the folder of the frames, whose names end with their numbers."
            require(frame in files, self._where, f"frame {frame} is missing in {self._folder}", hint=hint)
        width, height = self._frame_size()
        return [
            AnnotatedImage(file, width, height, "", merge_parts(self._frames.get(frame, ())))
            for frame, file in sorted(files.items())
        ]


def _parts(
    name: str, attributes: dict[str, str], label: str, group: str | None, size: tuple[int, int], where: str
) -> list[Part]:
    """Return the object of a shape, or nothing if its mask is empty."""
    if name == BOX:
        return [(label, None, object_of_box(label, _corners(attributes, where), size, where))]
    rle = polygon_mask(attributes, size, where) if name == "polygon" else runs_mask(attributes, size, where)
    return [] if rle is None else [(label, group, object_of_mask(label, rle))]


def _corners(attributes: dict[str, str], where: str) -> Sequence[float]:
    texts = [take_attribute(attributes, key, where) for key in CORNERS]
    try:
        return [float(text) for text in texts]
    except ValueError as error:
        raise VisError("a corner of a box is not a number", where=where, hint=HINT) from error


def _numbered_files(folder: Path) -> dict[int, Path]:
    """Return the images of a folder by the number at the end of their names.

    Raises:
        VisError: The folder cannot be read, or two images have the same number.
    """
    try:
        files = sorted(folder.iterdir(), key=lambda path: natural_key(path.name))
    except OSError as error:
        raise read_error(folder, error) from error
    numbered: dict[int, Path] = {}
    for file in files:
        match = _NUMBER.search(file.stem)
        if match is None or file.suffix.lower() not in IMAGE_SUFFIXES:
            continue
        other = numbered.setdefault(int(match[0]), file)
        problem = f"{other.name} and {file.name} are both frame {int(match[0])}"
        require(other == file, str(folder), problem, hint="Use a folder with the frames of one video.")
    return numbered

"""`labelme`: a folder with one JSON file of LabelMe per image.

Polygons and masks are objects with a mask, and rectangles are objects with only a box. Shapes with the same label and
the same `group_id` are one object. An image without a JSON file is not annotated, and is not used. Source: `LabelFile`
in labelme/_label_file.py, and `shape_to_mask` in labelme/utils/shape.py.
"""

from __future__ import annotations

import base64
import binascii
from collections import Counter
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vis_cli.errors import VisError
from vis_cli.files.library_output import silenced_libraries
from vis_cli.files.names import natural_key, printable, safe_relative_path
from vis_cli.files.reading import read_error
from vis_cli.messages import counted
from vis_cli.records.datasets.image import (
    AnnotatedImage,
    ImageDataset,
    Note,
    Part,
    existing_image,
    fill_pixels,
    merge_parts,
    object_of_box,
    object_of_mask,
    require_category,
    require_dataset,
)
from vis_cli.records.image_file import read_image_size
from vis_cli.records.json_fields import (
    RESTORE,
    is_finite_number,
    read_json_object,
    require,
    require_size,
    shown,
    take_field,
    take_objects,
)
from vis_cli.records.rle import Rle, encode_mask

SUFFIX = ".json"
MASKS = {"polygon": 3, "rectangle": 2, "mask": 2}  # number of points that a shape needs


def read_labelme(path: Path, images: Path | None, note: Note) -> ImageDataset:
    """Read the JSON files of a folder. `images` replaces the folders in their image paths."""
    omitted: Counter[str] = Counter()
    files = labelme_files(path)
    require(bool(files), str(path), "the folder has no JSON files", hint="Pass the folder of LabelMe's JSON files.")
    found = require_dataset([_read_image(file, images, omitted) for file in files], path)
    for name, number in sorted(omitted.items()):
        note(
            f"{path}: omitted {counted(number, 'shape')} of the type {printable(name)!r}, which is not a mask or a box"
        )
    used = (item.category for image in found for item in image.objects)
    return ImageDataset(found, tuple(dict.fromkeys(used)))


def labelme_files(folder: Path) -> list[Path]:
    """Return the JSON files of a folder in natural order.

    Raises:
        VisError: The folder cannot be read.
    """
    try:
        files = [path for path in folder.iterdir() if path.suffix.lower() == SUFFIX and not path.name.startswith(".")]
    except OSError as error:
        raise read_error(folder, error) from error
    return sorted(files, key=lambda path: natural_key(path.name))


def _read_image(file: Path, images: Path | None, omitted: Counter[str]) -> AnnotatedImage:
    where = str(file)
    data = read_json_object(file)
    shapes = take_objects(data, "shapes", where)
    name = take_field(data, "imagePath", str, where)
    if images is not None:
        name = PurePosixPath(name.replace("\\", "/")).name
    image = existing_image(images or file.parent, safe_relative_path(name, where), where)
    size = _size(data, image, where)
    parts: list[Part] = []
    for shape, place in shapes:
        kind = shape.get("shape_type") or "polygon"
        require(isinstance(kind, str), place, f"'shape_type' is {shown(kind)}", hint="Use a string such as 'polygon'.")
        if kind in MASKS:
            parts.append(_part(kind, shape, size, place))
        else:
            omitted[str(kind)] += 1
    return AnnotatedImage(image, *size, "", merge_parts(parts))


def _size(data: Mapping[str, Any], image: Path, where: str) -> tuple[int, int]:
    """Return width and height, from the image if the file has none."""
    if data.get("imageWidth") is None or data.get("imageHeight") is None:
        return read_image_size(image)
    width, height = (take_field(data, key, int, where) for key in ("imageWidth", "imageHeight"))
    require(width > 0 and height > 0, where, f"the size is {width}x{height}", hint="Use a positive width and height.")
    require_size(width, height, where)
    return width, height


def _part(kind: str, shape: Mapping[str, Any], size: tuple[int, int], where: str) -> Part:
    category = require_category(take_field(shape, "label", str, where), where)
    group = shape.get("group_id")
    require(group is None or isinstance(group, int), where, "'group_id' is not an integer", hint="Use an integer.")
    points = _points(shape, MASKS[kind], where)
    if kind == "rectangle":
        xs, ys = points[0:4:2], points[1:4:2]
        return category, group, object_of_box(category, (min(xs), min(ys), max(xs), max(ys)), size, where)
    rle = fill_pixels([points], size) if kind == "polygon" else _stored_mask(shape, points, size, where)
    return category, group, object_of_mask(category, rle)


def _points(shape: Mapping[str, Any], fewest: int, where: str) -> list[float]:
    """Return the coordinates x1, y1, x2, y2, ... of a shape."""
    points = take_field(shape, "points", list, where)
    are_pairs = all(isinstance(p, list) and len(p) == 2 and all(map(is_finite_number, p)) for p in points)
    problem = f"'points' is not a list of at least {fewest} pairs of numbers"
    require(are_pairs and len(points) >= fewest, where, problem, hint="Draw the shape again.")
    return [float(number) for pair in points for number in pair]


def _stored_mask(shape: Mapping[str, Any], points: list[float], size: tuple[int, int], where: str) -> Rle:
    """Return the mask of a PNG image in Base64, whose top left corner is the first point."""
    try:
        data = base64.b64decode(take_field(shape, "mask", str, where), validate=True)
    except (binascii.Error, ValueError) as error:
        raise VisError("'mask' is not Base64", where=where, hint=RESTORE) from error
    crop = _decoded(data)
    left, top = int(points[0]), int(points[1])
    if crop is None or left < 0 or top < 0 or left + crop.shape[1] > size[0] or top + crop.shape[0] > size[1]:
        raise VisError("'mask' is not an image inside of the annotated image", where=where, hint=RESTORE)
    mask = np.zeros((size[1], size[0]), np.bool_)
    mask[top : top + crop.shape[0], left : left + crop.shape[1]] = crop > 0
    return encode_mask(mask)


def _decoded(data: bytes) -> NDArray[np.uint8] | None:
    """Return a grey image (h, w), None if it is damaged or too large."""
    try:
        with silenced_libraries():
            image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE) if data else None
    except cv2.error:
        return None
    return None if image is None else np.asarray(image, np.uint8)

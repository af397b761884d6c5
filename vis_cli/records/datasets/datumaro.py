"""`datumaro`: the JSON format of Datumaro, one subset per file.

Masks and polygons are objects with a mask, and boxes are objects with only a box. Annotations with the same label and
the same `group` are one object. Source: `JsonReader` in datumaro/plugins/data_formats/datumaro/base.py.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vis_cli.files.names import printable, safe_relative_path
from vis_cli.messages import counted
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
from vis_cli.records.image_file import read_image_size
from vis_cli.records.json_fields import (
    is_finite_number,
    read_json_object,
    require,
    require_size,
    shown,
    take_field,
    take_objects,
)
from vis_cli.records.segmentation_json import parse_segmentation

SUFFIX = ".jpg"  # of an item that stores no path, as in Datumaro


def read_datumaro(path: Path, images: Path | None, note: Note) -> ImageDataset:
    """Read one subset. Without `images`, the images are in images/SUBSET next to the folder annotations."""
    where = str(path)
    data = read_json_object(path)
    labels = take_field(take_field(data, "categories", dict, where), "label", dict, where)
    names = tuple(
        require_category(take_field(entry, "name", str, place), place)
        for entry, place in take_objects(labels, "labels", f"{where}: categories.label")
    )
    folder = images or path.parent.parent / "images" / path.stem
    omitted: Counter[str] = Counter()
    items = take_objects(data, "items", where)
    found = require_dataset([_read_item(item, names, folder, omitted, place) for item, place in items], path)
    for name, number in sorted(omitted.items()):
        what = f"{counted(number, 'annotation')} of the type {printable(name)!r}"
        note(f"{path}: omitted {what}, which is not a mask or a box")
    return ImageDataset(found, names)


def _read_item(
    item: Mapping[str, Any], names: tuple[str, ...], folder: Path, omitted: Counter[str], where: str
) -> AnnotatedImage:
    stored = item.get("image") or item.get("media") or {}
    require(isinstance(stored, dict), where, "'image' is not an object", hint="Export the dataset again.")
    name = stored.get("path") or f"{take_field(item, 'id', str, where)}{SUFFIX}"
    require(isinstance(name, str), where, "'path' is not a string", hint="Export the dataset again.")
    image = existing_image(folder, safe_relative_path(name, where), where)
    size = _size(stored.get("size"), image, where)
    parts: list[Part] = []
    for entry, place in take_objects(item, "annotations", where):
        kind = take_field(entry, "type", str, place)
        part = _part(kind, entry, names, size, place) if kind in ("mask", "polygon", "bbox") else None
        if part is not None:
            parts.append(part)
        elif kind not in ("mask", "polygon", "bbox"):
            omitted[kind] += 1
    return AnnotatedImage(image, *size, "", merge_parts(parts))


def _size(stored: object, image: Path, where: str) -> tuple[int, int]:
    """Return width and height, from the image if the file has none. The file has the height first."""
    if stored is None:
        return read_image_size(image)
    sides: list[Any] = stored if isinstance(stored, list) else []
    is_pair = len(sides) == 2 and all(type(side) is int and side > 0 for side in sides)
    require(is_pair, where, f"'size' is {shown(stored)}", hint="Use a positive height and width.")
    height, width = sides
    require_size(width, height, where)
    return width, height


def _part(
    kind: str, entry: Mapping[str, Any], names: tuple[str, ...], size: tuple[int, int], where: str
) -> Part | None:
    """Return the object of an annotation, or None if it has no pixel."""
    label = take_field(entry, "label_id", int, where)
    require(0 <= label < len(names), where, f"'label_id' is {label}, but there are {len(names)} labels")
    attributes = entry.get("attributes")
    known = attributes if isinstance(attributes, dict) else {}
    score = known.get("score", 1.0)
    require(is_finite_number(score) and 0 <= score <= 1, where, f"'score' is {shown(score)}. Use 0 to 1.")
    if kind == "bbox":
        x, y, width, height = _numbers(entry, "bbox", 4, where)
        box = object_of_box(names[label], (x, y, x + width, y + height), size, where, score=score)
        return names[label], None, box
    mask = entry.get("rle") if kind == "mask" else [take_field(entry, "points", list, where)]
    rle = parse_segmentation(mask, size[1], size[0], where)
    if rle is None:
        return None
    is_crowd = known.get("is_crowd") is True
    group = take_field(entry, "group", int, where) if entry.get("group") else None
    return names[label], None if is_crowd else group, object_of_mask(names[label], rle, is_crowd=is_crowd, score=score)


def _numbers(entry: Mapping[str, Any], key: str, count: int, where: str) -> list[float]:
    values = take_field(entry, key, list, where)
    is_valid = len(values) == count and all(map(is_finite_number, values))
    require(is_valid, where, f"'{key}' is not a list of {count} numbers", hint="Export the dataset again.")
    return [float(value) for value in values]

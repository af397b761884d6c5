"""COCO file with `images` and `categories` next to a detection file: names and sizes of frames, names of categories.

Used by `records.detection_file` and `coco`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from vis_cli.errors import VisError
from vis_cli.records.json_fields import (
    describe,
    is_finite_number,
    read_json_object,
    require,
    shown,
    take_categories,
    take_field,
    take_objects,
    take_size,
)
from vis_cli.records.media_folder import IMAGE_SUFFIXES
from vis_cli.records.types import Category


@dataclass(frozen=True, slots=True)
class Companion:
    """Content of the COCO file. None: the file does not contain it."""

    images: Mapping[int | str, tuple[str, str]] | None  # image id -> name without file extension, place in the file
    sizes: Mapping[int | str, tuple[int, int]]  # image id -> width and height
    categories: tuple[Category, ...] | None


def read_companion(path: Path) -> Companion:
    """Read a COCO file with `images`, `categories` or both.

    Raises:
        VisError: The file cannot be read, is damaged or contains neither.
    """
    companion = companion_from_json(read_json_object(path), str(path))
    if companion.images is None and companion.categories is None:
        hint = "Use a COCO file with 'images' and 'categories'."
        raise VisError("the file contains neither images nor categories", where=path, hint=hint)
    return companion


def companion_from_json(data: Mapping[str, Any], where: str) -> Companion:
    """Convert `images` and `categories` of a COCO file.

    Raises:
        VisError: A field has another type, or an id is used twice.
    """
    images: dict[int | str, tuple[str, str]] = {}
    sizes: dict[int | str, tuple[int, int]] = {}
    for entry, place in take_objects(data, "images", where) if "images" in data else []:
        image_id = image_id_from_json(entry, "id", place)
        require(
            image_id not in images, place, f"the image id {shown(image_id)} is used twice", hint="Use each id once."
        )
        images[image_id] = (image_name(take_field(entry, "file_name", str, place), place), place)
        if "width" in entry or "height" in entry:
            sizes[image_id] = take_size(entry, place)
    categories = take_categories(data, where) if "categories" in data else None
    return Companion(images if "images" in data else None, sizes, categories)


def image_id_from_json(entry: Mapping[str, Any], field: str, where: str) -> int | str:
    """Return an image id: an integer of at least 0, or a string that is not empty.

    Raises:
        VisError: The field is missing or has another value.
    """
    value = entry.get(field)
    if is_finite_number(value) and value >= 0 and value == int(value):
        return int(value)
    if isinstance(value, str) and value.strip():
        return value
    hint = "Use a frame index, a frame number or the name of an image."
    if field not in entry:
        raise VisError(f"'{field}' is missing", where=where, hint=hint)
    described = shown(value) if isinstance(value, (int, float, str)) else describe(value)
    raise VisError(f"'{field}' is {described}", where=where, hint=hint)


def image_name(file_name: str, where: str) -> str:
    """Return the name of an image without its folders and its file extension.

    Raises:
        VisError: The name is empty.
    """
    name = PurePosixPath(file_name.replace("\\", "/")).name
    stem = PurePosixPath(name).stem if PurePosixPath(name).suffix.lower() in IMAGE_SUFFIXES else name
    require(bool(stem.strip()), where, f"the image name is {shown(file_name)}", hint="Use the file name of an image.")
    return stem

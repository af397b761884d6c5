"""Annotated images, the protocol of a reader of a dataset, and the steps that the readers share.

Used by the readers of this package and by `training`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Protocol, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from vis_cli.errors import VisError
from vis_cli.files.names import printable
from vis_cli.records.json_fields import require
from vis_cli.records.rle import Rle, decode_rle, encode_mask, rle_area, rle_box

Note: TypeAlias = Callable[[str], None]
Part: TypeAlias = tuple[str, object, "ImageObject"]  # category, group (None: no group), object


@dataclass(frozen=True, slots=True)
class ImageObject:
    """One annotated object of an image."""

    category: str
    is_crowd: bool
    rle: Rle | None  # None: the object has only a box
    area: float  # pixels
    box: tuple[float, float, float, float]  # x, y, width, height
    score: float = 1.0  # of a box from a detector, 0 to 1


@dataclass(frozen=True, slots=True)
class AnnotatedImage:
    """One annotated image. `source` is the image collection, or "" if the file does not contain it."""

    path: Path
    width: int
    height: int
    source: str
    objects: tuple[ImageObject, ...]


@dataclass(frozen=True, slots=True)
class ImageDataset:
    """The images of a dataset, and its categories in their order, also those without an object."""

    images: tuple[AnnotatedImage, ...]
    categories: tuple[str, ...]


class ImageReader(Protocol):
    """Reader of one format."""

    def __call__(self, path: Path, images: Path | None, note: Note) -> ImageDataset:
        """Return the dataset.

        Args:
            path: File or folder of the annotations.
            images: Folder of the images. None: the folder that is usual for the format.
            note: Is called with one line per assumption.

        Raises:
            VisError: A file is damaged or has another format, or an image is missing.
        """


def object_of_mask(category: str, rle: Rle, *, is_crowd: bool = False, score: float = 1.0) -> ImageObject:
    """Return an object with a mask."""
    return ImageObject(category, is_crowd, rle, rle_area(rle), rle_box(rle), score)


def object_of_box(
    category: str, corners: Sequence[float], size: tuple[int, int], where: str, *, score: float = 1.0
) -> ImageObject:
    """Return an object that has only a box.

    Args:
        category: Its category.
        corners: x0, y0, x1, y1 in pixels. They are clipped to the image.
        size: Width and height of the image.
        where: File and entry, for the error message.
        score: Score of the box.

    Raises:
        VisError: The box is empty or outside of the image.
    """
    (x0, y0, x1, y1), (width, height) = corners, size
    x0, y0, x1, y1 = max(x0, 0.0), max(y0, 0.0), min(x1, float(width)), min(y1, float(height))
    require(x1 > x0 and y1 > y0, where, "the box is empty or outside of the image", hint="Correct or remove the box.")
    return ImageObject(category, False, None, (x1 - x0) * (y1 - y0), (x0, y0, x1 - x0, y1 - y0), score)


def fill_pixels(polygons: Iterable[Sequence[float]], size: tuple[int, int]) -> Rle:
    """Fill polygons of pixels, as Ultralytics and LabelMe do: the pixels on the outline belong to the mask.

    Args:
        polygons: Coordinates x1, y1, x2, y2, ... in pixels. They are cut to integers.
        size: Width and height of the image.
    """
    width, height = size
    filled = np.zeros((height, width), np.uint8)
    for polygon in polygons:
        bounded = np.clip(np.asarray(polygon, np.float64), -2.0 * max(size), 3.0 * max(size))
        cv2.fillPoly(filled, [np.floor(bounded).astype(np.int32).reshape(-1, 2)], 1)
    return encode_mask(filled.astype(bool))


def merge_parts(parts: Iterable[Part]) -> tuple[ImageObject, ...]:
    """Merge the parts of one image with the same category and the same group. Parts without a group stay separate."""
    merged: dict[object, ImageObject] = {}
    for number, (category, group, item) in enumerate(parts):
        key: object = number if group is None or item.rle is None else (category, group)
        merged[key] = _union(merged[key], item) if key in merged else item
    return tuple(merged.values())


def _union(first: ImageObject, second: ImageObject) -> ImageObject:
    if first.rle is None or second.rle is None:
        raise ValueError("an object that has only a box has no parts")
    mask: NDArray[np.bool_] = decode_rle(first.rle) | decode_rle(second.rle)
    return object_of_mask(first.category, encode_mask(mask), is_crowd=first.is_crowd, score=first.score)


def existing_image(folder: Path, name: PurePath | str, where: str) -> Path:
    """Return the path of an image. The error reports a name that already starts with the folder of the images.

    Raises:
        VisError: The image is missing.
    """
    path = folder / name
    is_repeated = not path.is_file() and PurePath(name).parts[0] == folder.name and (folder.parent / name).is_file()
    problem = f"{path} is missing: the names of the file already start with {folder.name!r}"
    require(not is_repeated, where, problem, hint=f"Set images to the folder {folder.parent}.")
    require(path.is_file(), where, f"{path} is missing", hint="Restore it, or remove the entry.")
    return path


def require_dataset(images: Sequence[AnnotatedImage], path: Path) -> tuple[AnnotatedImage, ...]:
    """Return the images of a dataset, which are distinct files.

    Raises:
        VisError: There is no image, or an image occurs twice.
    """
    require(bool(images), str(path), "the dataset has no images", hint="Add at least one image.")
    seen: set[Path] = set()
    for image in images:
        require(image.path not in seen, str(path), f"{image.path} occurs twice", hint="Use each image once.")
        seen.add(image.path)
    return tuple(images)


def require_category(name: str, where: str) -> str:
    """Return the name of a category.

    Raises:
        VisError: The name is empty.
    """
    require(bool(name.strip()), where, f"the category {printable(name)!r} has no name", hint="Name it.")
    return name


def require_masks(dataset: ImageDataset, path: Path) -> None:
    """Check that each object has a mask.

    Raises:
        VisError: An object has only a box.
    """
    for image in dataset.images:
        for item in image.objects:
            if item.rle is None:
                problem = f"{image.path.name} has a box without a mask ({printable(item.category)})"
                raise VisError(problem, where=path, hint='Draw polygons or masks, or use kind = "boxes".')


def used_counts(dataset: ImageDataset) -> Mapping[str, tuple[int, int]]:
    """Return the number of objects, and of images with an object, of each category that has objects.

    The order is the order of the dataset's categories.
    """
    objects, images = dict.fromkeys(dataset.categories, 0), dict.fromkeys(dataset.categories, 0)
    for image in dataset.images:
        shown = [item.category for item in image.objects if not item.is_crowd]
        for name in shown:
            objects[name] = objects.get(name, 0) + 1
        for name in set(shown):
            images[name] = images.get(name, 0) + 1
    return {name: (number, images[name]) for name, number in objects.items() if number}

"""Pictures and videos with instance masks as they lie on disk, checked once when read.

Used by `datasets` and `cutouts`; classes are names here, labels are the model's business.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vis_cli.errors import VisError
from vis_cli.files.names import safe_relative_path
from vis_cli.records.davis import VOID, list_label_pngs, read_ground_truth
from vis_cli.records.davis_layout import SequenceFrames, find_davis_folders, find_davis_root, read_davis
from vis_cli.records.image_file import read_image
from vis_cli.records.json_fields import (
    read_json_object,
    require,
    require_unique,
    take_categories,
    take_crowd,
    take_field,
    take_objects,
    take_size,
)
from vis_cli.records.rle import Rle, encode_mask, rle_area, rle_box
from vis_cli.records.segmentation_json import parse_segmentation
from vis_cli.records.youtube_vis import read_youtube_vis
from vis_cli.training.crowds import AUTO, OBJECTS, settle_crowds

Note = Callable[[str], None]

DAVIS_CATEGORY = "object"  # DAVIS names no classes
UNTURNED = (
    "the annotations have the size without the EXIF rotation, so the rotation is not applied, "
    "to this image and to others like it"
)


@dataclass(frozen=True, slots=True)
class StillObject:
    """One annotated object of a still."""

    category: str
    is_crowd: bool
    rle: Rle | None  # None: only the box is known
    area: float  # pixels
    box: tuple[float, float, float, float]  # x, y, width, height
    score: float = 1.0  # of a box that a detector found


@dataclass(frozen=True, slots=True)
class Still:
    """One annotated picture; `source` says which collection it is from, "" where the file does not."""

    path: Path
    width: int
    height: int
    source: str
    objects: tuple[StillObject, ...]


@dataclass(frozen=True, slots=True)
class VideoObject:
    """One annotated object of a video; `rles` has None where it is absent."""

    category: str
    is_crowd: bool
    rles: tuple[Rle | None, ...]


@dataclass(frozen=True, slots=True)
class VideoClip:
    """One annotated video as a list of frame files."""

    frames: tuple[Path, ...]
    width: int
    height: int
    objects: tuple[VideoObject, ...]


def read_stills(annotations: Path, images: Path, *, crowds: str = AUTO, note: Note | None = None) -> list[Still]:
    """Read a COCO instances file; images without an object are kept.

    Args:
        annotations: the JSON file.
        images: the folder of the images.
        crowds: what `iscrowd` 1 means, see `crowds.settle_crowds`.
        note: gets each assumption as a line.

    Raises:
        VisError: the file is damaged or empty, an annotation has no mask or an image is missing; the entry is named.
    """
    stills, data = _read_images(annotations, images)
    assumption = settle_crowds(data, annotations, crowds)
    if assumption is not None and note is not None:
        note(assumption)
    return _with_objects(stills, _parse_objects(data, stills, annotations, masks_needed=True))


def read_boxes(annotations: Path, images: Path, *, more: Path | None = None) -> list[Still]:
    """Read a COCO instances file whose annotations have a mask or only a box.

    Args:
        annotations: the JSON file. An annotation without a `segmentation` has a `bbox` and may have a `score`.
        images: the folder of the images.
        more: a second such file. Its annotations are added to the images of the same id. It has its own category ids.

    Raises:
        VisError: as `read_stills`, or the second file names an image that the first file does not have.
    """
    stills, data = _read_images(annotations, images)
    objects = _parse_objects(data, stills, annotations, masks_needed=False)
    if more is not None:
        added = read_json_object(more)
        _require_same_images(added, stills, more, annotations)
        for key, items in _parse_objects(added, stills, more, masks_needed=False).items():
            objects[key] += items
    return _with_objects(stills, objects)


def read_video_clips(annotations: Path, images: Path, *, crowds: str = AUTO) -> list[VideoClip]:
    """Read a YouTube-VIS instances file; videos without an object are kept.

    Raises:
        VisError: the file is damaged or has no masks, or a frame is missing; the entry is named.
    """
    split = read_youtube_vis(annotations)
    if split.annotations is None:
        raise VisError(f"{annotations}: has no annotations to train on; give the training split's JSON")
    names = {category.id: category.name for category in split.categories}
    objects: dict[int, list[VideoObject]] = {video.id: [] for video in split.videos}
    for entry in split.annotations:
        is_crowd = entry.is_crowd and crowds != OBJECTS
        objects[entry.video_id].append(VideoObject(names[entry.category_id], is_crowd, entry.segmentations))
    return [
        VideoClip(
            tuple(_existing(images, name, f"{annotations}: video {video.id}") for name in video.file_names),
            video.width,
            video.height,
            tuple(objects[video.id]),
        )
        for video in split.videos
    ]


def read_davis_clips(path: Path) -> list[VideoClip]:
    """Read sequences of DAVIS with their palette PNGs; void pixels become a crowd.

    Args:
        path: a list of sequences such as ImageSets/2017/train.txt, or the DAVIS folder for all of them.

    Raises:
        VisError: a folder, a frame or a mask is missing or damaged, or of another size than the others.
    """
    folders = find_davis_folders(find_davis_root(path))
    if folders.frames is None or folders.masks is None:
        raise VisError(f"{path}: training needs both JPEGImages and Annotations beside it")
    return [_read_sequence(sequence, folders.frames, folders.masks) for sequence in read_davis(path)]


def read_picture(path: Path, width: int, height: int, *, note: Note | None = None) -> NDArray[np.uint8]:
    """Return the image as (height, width, 3) RGB, turned as its annotations are.

    An EXIF rotation is applied, as viewers and annotation tools do. If only the stored image has the annotated size,
    the rotation is not applied. Where both have that size (square images, rotation by 180 degrees), it is applied.

    Args:
        path: the image.
        width: in its annotations.
        height: in its annotations.
        note: is told that a rotation is not applied, by a line that names the image.

    Raises:
        VisError: the file is missing, truncated, no image, or of another size than its annotations say.
    """
    image = read_image(path)
    if image.shape[:2] == (width, height) and width != height:
        stored = read_image(path, upright=False)
        if stored.shape[:2] == (height, width):
            image = stored
            if note is not None:
                note(f"{path}: {UNTURNED}")
    if image.shape[:2] != (height, width):
        found = f"{image.shape[1]}x{image.shape[0]}"
        raise VisError(f"{path}: the picture is {found}, but its annotations say {width}x{height}; mend either")
    return image.astype(np.uint8) if image.dtype == np.uint8 else (image >> 8).astype(np.uint8)


def _read_sequence(sequence: SequenceFrames, frames: Path, masks: Path) -> VideoClip:
    by_name = {png.stem: png for png in list_label_pngs(masks / sequence.name)}  # .png or .PNG
    missing = next((name for name in sequence.frame_names if name not in by_name), None)
    if missing is not None:
        where = masks / sequence.name / f"{missing}.png"
        raise VisError(f"cannot read {where}: no such file. Restore the mask, or take the sequence off the list.")
    pngs = [by_name[name] for name in sequence.frame_names]
    with ThreadPoolExecutor() as pool:  # reading and encoding release the interpreter
        found = list(pool.map(_encode_labels, pngs))
    values = sorted({value for frame in found for value in frame})
    if not values:
        raise VisError(f"{masks / sequence.name}: no mask shows an object; restore them or take it off the list")
    objects = tuple(
        VideoObject(DAVIS_CATEGORY, value == VOID, tuple(frame.get(value) for frame in found)) for value in values
    )
    files = tuple(frames / name for name in sequence.file_names)
    return VideoClip(files, sequence.width, sequence.height, objects)


def _encode_labels(path: Path) -> dict[int, Rle]:
    labels = read_ground_truth(path)
    return {value: encode_mask(labels == value) for value in np.unique(labels).tolist() if value != 0}


def _existing(images: Path, name: PurePath | str, where: str) -> Path:
    """Return the path of an image; the error tells whether the name already starts with the folder of the images."""
    path = images / name
    is_repeated = not path.is_file() and PurePath(name).parts[0] == images.name and (images.parent / name).is_file()
    problem = f"{path} is missing: the names of the file already start with {images.name!r}"
    require(not is_repeated, where, problem, hint=f"Set images to the folder {images.parent}.")
    require(path.is_file(), where, f"{path} is missing; restore it or remove its entry")
    return path


def _parse_still(entry: Mapping[str, Any], images: Path, where: str) -> Still:
    name = safe_relative_path(take_field(entry, "file_name", str, where), where)
    path = _existing(images, name, where)
    width, height = take_size(entry, where)
    return Still(path, width, height, str(entry.get("source", "")), ())


def _read_images(annotations: Path, images: Path) -> tuple[dict[int, Still], dict[str, Any]]:
    data = read_json_object(annotations)
    entries = take_objects(data, "images", str(annotations))
    require(bool(entries), str(annotations), "the list 'images' is empty; there is nothing to train on")
    stills = {take_field(entry, "id", int, where): _parse_still(entry, images, where) for entry, where in entries}
    require_unique((entry["id"] for entry, _ in entries), f"{annotations}: images")
    first: dict[Path, int] = {}
    for (key, still), (_, where) in zip(stills.items(), entries, strict=True):
        other = first.setdefault(still.path, key)
        problem = f"image {key} and image {other} are the same file {still.path.name}"
        require(other == key, where, problem, hint="Merge them into one image.")
    return stills, data


def _require_same_images(data: Mapping[str, Any], stills: Mapping[int, Still], more: Path, annotations: Path) -> None:
    """Require that each image of a second file is the image of that id in the first file."""
    for entry, where in take_objects(data, "images", str(more)):
        key, name = take_field(entry, "id", int, where), take_field(entry, "file_name", str, where)
        path = safe_relative_path(name, where)
        require(key in stills, where, f"image {key} is not among the images of {annotations}")
        still = stills[key]
        require(
            still.path.parts[-len(path.parts) :] == path.parts,
            where,
            f"image {key} is {name!r}, but in {annotations} it is {still.path.name!r}",
        )
        size = (take_field(entry, "width", int, where), take_field(entry, "height", int, where))
        require(
            size == (still.width, still.height),
            where,
            f"the size of image {key} is {size[0]}x{size[1]}, but in {annotations} it is {still.width}x{still.height}",
        )


def _parse_objects(
    data: Mapping[str, Any], stills: Mapping[int, Still], annotations: Path, *, masks_needed: bool
) -> dict[int, list[StillObject]]:
    names = {category.id: category.name for category in take_categories(data, str(annotations))}
    objects: dict[int, list[StillObject]] = {key: [] for key in stills}
    for entry, where in take_objects(data, "annotations", str(annotations)):
        key = take_field(entry, "image_id", int, where)
        require(key in stills, where, f"image_id {key} is not among the images")
        objects[key].append(_parse_object(entry, stills[key], names, where, mask_needed=masks_needed))
    return objects


def _with_objects(stills: Mapping[int, Still], objects: Mapping[int, list[StillObject]]) -> list[Still]:
    return [replace(still, objects=tuple(objects[key])) for key, still in stills.items()]


def _parse_object(
    entry: Mapping[str, Any], still: Still, names: Mapping[int, str], where: str, *, mask_needed: bool
) -> StillObject:
    category = take_field(entry, "category_id", int, where)
    require(category in names, where, f"category_id {category} is not among the categories")
    rle = parse_segmentation(entry.get("segmentation"), still.height, still.width, where)
    if rle is not None:
        return StillObject(
            names[category], take_crowd(entry, where), rle, rle_area(rle), rle_box(rle), _take_score(entry, where)
        )
    if mask_needed:
        raise VisError(f"{where}: has no mask; every annotation needs a 'segmentation' (polygons or RLE)")
    box = _take_box(entry, still, where)
    return StillObject(names[category], take_crowd(entry, where), None, box[2] * box[3], box, _take_score(entry, where))


def _take_box(entry: Mapping[str, Any], still: Still, where: str) -> tuple[float, float, float, float]:
    """Return the box (x, y, width, height), cut at the edges of the image."""
    values = take_field(entry, "bbox", list, where)
    numbers = len(values) == 4 and all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in values)
    require(
        numbers and all(math.isfinite(v) for v in values),
        where,
        "'bbox' must be a list of 4 numbers: x, y, width and height",
    )
    x, y, width, height = (float(v) for v in values)
    x0, y0, x1, y1 = max(x, 0.0), max(y, 0.0), min(x + width, still.width), min(y + height, still.height)
    require(x1 > x0 and y1 > y0, where, f"the box {values} is empty or outside of the image")
    return x0, y0, x1 - x0, y1 - y0


def _take_score(entry: Mapping[str, Any], where: str) -> float:
    if "score" not in entry:
        return 1.0
    score = take_field(entry, "score", float, where)
    require(0.0 <= score <= 1.0, where, f"'score' is {score}, but must be from 0 to 1")
    return float(score)

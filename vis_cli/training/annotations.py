"""Annotated images and videos of a dataset. The readers check the content of each file.

Used by `datasets` and `cutouts`. Objects have the category names of the dataset; `labels` maps them to labels.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vis_cli.errors import VisError
from vis_cli.files.names import safe_relative_path
from vis_cli.records.datasets import formats
from vis_cli.records.datasets.image import AnnotatedImage, ImageObject, Note, existing_image, require_masks
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

DAVIS_CATEGORY = "object"  # DAVIS has no categories
UNTURNED = (
    "the annotations have the size of the stored image, so its EXIF rotation is not applied; "
    "the same is true of similar images"
)


@dataclass(frozen=True, slots=True)
class VideoObject:
    """One annotated object of a video. `rles` has one entry per frame, None where the object is absent."""

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


def read_images(
    annotations: Path,
    images: Path | None,
    *,
    file_format: str = formats.AUTO,
    crowds: str = AUTO,
    masks_needed: bool = True,
    note: Note | None = None,
) -> list[AnnotatedImage]:
    """Read a dataset of images in one of the formats that `formats` lists.

    Args:
        annotations: File or folder of the annotations.
        images: Folder of the images. None: the usual folder of the format.
        file_format: The format. "auto": recognize it.
        crowds: Meaning of `iscrowd` 1 in COCO files. See `read_annotated_images`.
        masks_needed: Whether each object needs a mask.
        note: Is called with one line per assumption.

    Raises:
        VisError: The format is unknown, a file is damaged, an image is missing, or an object has no mask.
    """
    chosen = formats.recognize_format(annotations) if file_format == formats.AUTO else file_format
    if chosen == formats.COCO:
        if images is None:
            raise VisError("COCO needs the folder of the images", where=annotations, hint="Add `images` to [[data]].")
        return (
            read_annotated_images(annotations, images, crowds=crowds, note=note)
            if masks_needed
            else read_boxes(annotations, images)
        )
    if crowds != AUTO:
        raise VisError(f"crowds applies to COCO, but the format is {chosen}", where=annotations, hint="Remove crowds.")
    dataset = formats.READERS[chosen](annotations, images, note or _ignore)
    if masks_needed:
        require_masks(dataset, annotations)
    return list(dataset.images)


def read_annotated_images(
    annotations: Path, images: Path, *, crowds: str = AUTO, note: Note | None = None
) -> list[AnnotatedImage]:
    """Read a COCO instances file. Images without an object are kept.

    Args:
        annotations: The JSON file.
        images: Folder of the images.
        crowds: Meaning of `iscrowd` 1: "auto", "objects" or "ignore" (`crowds.settle_crowds`).
        note: Is called with one line per assumption.

    Raises:
        VisError: The file is damaged or empty, an annotation has no mask, or an image is missing.
    """
    annotated_images, data = _read_images(annotations, images)
    assumption = settle_crowds(data, annotations, crowds)
    if assumption is not None and note is not None:
        note(assumption)
    return _with_objects(annotated_images, _parse_objects(data, annotated_images, annotations, masks_needed=True))


def read_boxes(annotations: Path, images: Path, *, more: Path | None = None) -> list[AnnotatedImage]:
    """Read a COCO instances file whose annotations have a mask or only a box.

    Args:
        annotations: The JSON file. An annotation without a `segmentation` has a `bbox` and can have a `score`.
        images: Folder of the images.
        more: A second file of the same kind, with separate category ids. Its annotations are added to the images of
            the same id.

    Raises:
        VisError: A file is damaged or empty, an image is missing, or the second file has an image that the first file
            does not have.
    """
    annotated_images, data = _read_images(annotations, images)
    objects = _parse_objects(data, annotated_images, annotations, masks_needed=False)
    if more is not None:
        added = read_json_object(more)
        _require_same_images(added, annotated_images, more, annotations)
        for key, items in _parse_objects(added, annotated_images, more, masks_needed=False).items():
            objects[key] += items
    return _with_objects(annotated_images, objects)


def read_video_clips(annotations: Path, images: Path, *, crowds: str = AUTO) -> list[VideoClip]:
    """Read a YouTube-VIS instances file. Videos without an object are kept.

    Args:
        annotations: The JSON file.
        images: Folder of the frames.
        crowds: "objects" reads annotations with `iscrowd` 1 as objects. Other values read them as crowds.

    Raises:
        VisError: The file is damaged or has no annotations, or a frame is missing.
    """
    split = read_youtube_vis(annotations)
    if split.annotations is None:
        raise VisError(f"cannot train on {annotations}: no annotations. Pass the JSON file of the training split.")
    names = {category.id: category.name for category in split.categories}
    objects: dict[int, list[VideoObject]] = {video.id: [] for video in split.videos}
    for entry in split.annotations:
        is_crowd = entry.is_crowd and crowds != OBJECTS
        objects[entry.video_id].append(VideoObject(names[entry.category_id], is_crowd, entry.segmentations))
    return [
        VideoClip(
            tuple(existing_image(images, name, f"{annotations}: video {video.id}") for name in video.file_names),
            video.width,
            video.height,
            tuple(objects[video.id]),
        )
        for video in split.videos
    ]


def read_davis_clips(path: Path) -> list[VideoClip]:
    """Read DAVIS sequences with their palette PNGs. Void pixels become a crowd.

    Args:
        path: Text file with sequence names, such as ImageSets/2017/train.txt, or the DAVIS folder for all sequences.

    Raises:
        VisError: A folder, a frame or a mask is missing or damaged, or frames and masks differ in size.
    """
    folders = find_davis_folders(find_davis_root(path))
    if folders.frames is None or folders.masks is None:
        raise VisError(f"cannot train on {path}: JPEGImages or Annotations is missing. Restore the missing folder.")
    return [_read_sequence(sequence, folders.frames, folders.masks) for sequence in read_davis(path)]


def read_training_image(path: Path, width: int, height: int, *, note: Note | None = None) -> NDArray[np.uint8]:
    """Return an image as (height, width, 3) RGB, rotated in the same way as its annotations.

    The EXIF rotation is applied, because annotation tools apply it. If only the stored image has the annotated size,
    the rotation is not applied. If both have this size (square images, rotation by 180 degrees), it is applied.

    Args:
        path: The image file.
        width: Width in the annotations, in pixels.
        height: Height in the annotations, in pixels.
        note: Is called with one line about the image if its rotation is not applied.

    Raises:
        VisError: The file is missing, truncated or not an image, or has another size than its annotations.
    """
    image = read_image(path)
    if image.shape[:2] == (width, height) and width != height:
        stored = read_image(path, upright=False)
        if stored.shape[:2] == (height, width):
            image = stored
            if note is not None:
                note(f"{path}: {UNTURNED}")
    if image.shape[:2] != (height, width):
        size = f"{image.shape[1]}x{image.shape[0]}"
        raise VisError(
            f"cannot train on {path}: the image has {size} pixels, but {width}x{height} in its annotations. "
            "Correct one of them."
        )
    return image.astype(np.uint8) if image.dtype == np.uint8 else (image >> 8).astype(np.uint8)


def _ignore(_line: str) -> None:
    """Drop a line that no one asked for."""


def _read_sequence(sequence: SequenceFrames, frames: Path, masks: Path) -> VideoClip:
    by_name = {png.stem: png for png in list_label_pngs(masks / sequence.name)}  # .png or .PNG
    missing = next((name for name in sequence.frame_names if name not in by_name), None)
    if missing is not None:
        where = masks / sequence.name / f"{missing}.png"
        raise VisError(f"cannot read {where}: no such file. Restore the mask, or remove the sequence from the split.")
    pngs = [by_name[name] for name in sequence.frame_names]
    with ThreadPoolExecutor() as pool:  # reading and encoding release the GIL
        found = list(pool.map(_encode_labels, pngs))
    values = sorted({value for frame in found for value in frame})
    if not values:
        raise VisError(
            f"cannot train on {masks / sequence.name}: no mask contains an object. Restore the masks, or remove the "
            "sequence from the split."
        )
    objects = tuple(
        VideoObject(DAVIS_CATEGORY, value == VOID, tuple(frame.get(value) for frame in found)) for value in values
    )
    files = tuple(frames / name for name in sequence.file_names)
    return VideoClip(files, sequence.width, sequence.height, objects)


def _encode_labels(path: Path) -> dict[int, Rle]:
    labels = read_ground_truth(path)
    return {value: encode_mask(labels == value) for value in np.unique(labels).tolist() if value != 0}


def _parse_image(entry: Mapping[str, Any], images: Path, where: str) -> AnnotatedImage:
    name = safe_relative_path(take_field(entry, "file_name", str, where), where)
    path = existing_image(images, name, where)
    width, height = take_size(entry, where)
    return AnnotatedImage(path, width, height, str(entry.get("source", "")), ())


def _read_images(annotations: Path, images: Path) -> tuple[dict[int, AnnotatedImage], dict[str, Any]]:
    data = read_json_object(annotations)
    entries = take_objects(data, "images", str(annotations))
    require(bool(entries), str(annotations), "the list 'images' is empty. Add at least one image.")
    annotated_images = {
        take_field(entry, "id", int, where): _parse_image(entry, images, where) for entry, where in entries
    }
    require_unique((entry["id"] for entry, _ in entries), f"{annotations}: images")
    first: dict[Path, int] = {}
    for (key, annotated), (_, where) in zip(annotated_images.items(), entries, strict=True):
        other = first.setdefault(annotated.path, key)
        problem = f"image {key} and image {other} are the same file {annotated.path.name}"
        require(other == key, where, problem, hint="Merge them into one image.")
    return annotated_images, data


def _require_same_images(
    data: Mapping[str, Any], annotated_images: Mapping[int, AnnotatedImage], more: Path, annotations: Path
) -> None:
    """Check that each image of a second file is the image of the same id in the first file."""
    for entry, where in take_objects(data, "images", str(more)):
        key, name = take_field(entry, "id", int, where), take_field(entry, "file_name", str, where)
        path = safe_relative_path(name, where)
        require(key in annotated_images, where, f"image {key} is not among the images of {annotations}")
        annotated = annotated_images[key]
        require(
            annotated.path.parts[-len(path.parts) :] == path.parts,
            where,
            f"image {key} is {name!r}, but in {annotations} it is {annotated.path.name!r}",
        )
        size = (take_field(entry, "width", int, where), take_field(entry, "height", int, where))
        require(
            size == (annotated.width, annotated.height),
            where,
            f"image {key} has the size {size[0]}x{size[1]}, but {annotated.width}x{annotated.height} in {annotations}",
        )


def _parse_objects(
    data: Mapping[str, Any], annotated_images: Mapping[int, AnnotatedImage], annotations: Path, *, masks_needed: bool
) -> dict[int, list[ImageObject]]:
    names = {category.id: category.name for category in take_categories(data, str(annotations))}
    objects: dict[int, list[ImageObject]] = {key: [] for key in annotated_images}
    for entry, where in take_objects(data, "annotations", str(annotations)):
        key = take_field(entry, "image_id", int, where)
        require(key in annotated_images, where, f"image_id {key} is not among the images")
        objects[key].append(_parse_object(entry, annotated_images[key], names, where, mask_needed=masks_needed))
    return objects


def _with_objects(
    annotated_images: Mapping[int, AnnotatedImage], objects: Mapping[int, list[ImageObject]]
) -> list[AnnotatedImage]:
    return [replace(annotated, objects=tuple(objects[key])) for key, annotated in annotated_images.items()]


def _parse_object(
    entry: Mapping[str, Any], annotated: AnnotatedImage, names: Mapping[int, str], where: str, *, mask_needed: bool
) -> ImageObject:
    category = take_field(entry, "category_id", int, where)
    require(category in names, where, f"category_id {category} is not among the categories")
    rle = parse_segmentation(entry.get("segmentation"), annotated.height, annotated.width, where)
    if rle is not None:
        return ImageObject(
            names[category], take_crowd(entry, where), rle, rle_area(rle), rle_box(rle), _take_score(entry, where)
        )
    if mask_needed:
        raise VisError(f"{where}: no mask. Add a 'segmentation' (polygons or RLE), or use kind = \"boxes\".")
    box = _take_box(entry, annotated, where)
    return ImageObject(names[category], take_crowd(entry, where), None, box[2] * box[3], box, _take_score(entry, where))


def _take_box(entry: Mapping[str, Any], annotated: AnnotatedImage, where: str) -> tuple[float, float, float, float]:
    """Return the box (x, y, width, height) in pixels, clipped to the image."""
    values = take_field(entry, "bbox", list, where)
    numbers = len(values) == 4 and all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in values)
    require(
        numbers and all(math.isfinite(v) for v in values),
        where,
        "'bbox' must be a list of 4 numbers: x, y, width and height",
    )
    x, y, width, height = (float(v) for v in values)
    x0, y0, x1, y1 = max(x, 0.0), max(y, 0.0), min(x + width, annotated.width), min(y + height, annotated.height)
    require(x1 > x0 and y1 > y0, where, f"the box {values} is empty or outside of the image")
    return x0, y0, x1 - x0, y1 - y0


def _take_score(entry: Mapping[str, Any], where: str) -> float:
    if "score" not in entry:
        return 1.0
    score = take_field(entry, "score", float, where)
    require(0.0 <= score <= 1.0, where, f"'score' is {score}. Use a value from 0 to 1.")
    return float(score)

"""Pictures and videos with instance masks as they lie on disk, checked once when read.

Used by `datasets` and `copy_paste`; classes are names here, labels are the model's business.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from vis_cli.errors import VisError
from vis_cli.records.types import Rle

_JPEG_END, _PNG_END = b"\xff\xd9", b"IEND"
_TAIL_BYTES = 4096  # some cameras append data of their own after a picture's end


@dataclass(frozen=True, slots=True)
class StillObject:
    """One annotated object of a still."""

    category: str
    crowd: bool
    rle: Rle
    area: int  # pixels
    box: tuple[float, float, float, float]  # x, y, width, height


@dataclass(frozen=True, slots=True)
class Still:
    """One annotated picture; `source` says which collection it is from ("" if the file does not say)."""

    path: Path
    width: int
    height: int
    source: str
    objects: tuple[StillObject, ...]


@dataclass(frozen=True, slots=True)
class VideoObject:
    """One annotated object of a video; `rles` has None where the object is absent."""

    category: str
    crowd: bool
    rles: tuple[Rle | None, ...]


@dataclass(frozen=True, slots=True)
class VideoClip:
    """One annotated video as a list of frame files."""

    frames: tuple[Path, ...]
    width: int
    height: int
    source: str
    objects: tuple[VideoObject, ...]


def read_stills(annotations: Path, images: Path) -> list[Still]:
    """Read a COCO instances file; pictures without an object are kept.

    Raises:
        VisError: the file is no such file, an annotation has no mask, a picture is missing, or there is none.
    """
    data = _read_json(annotations)
    names = _category_names(data, annotations)
    objects: dict[int, list[StillObject]] = {}
    sizes = {image["id"]: (image["height"], image["width"]) for image in _entries(data, "images", annotations)}
    for entry in _entries(data, "annotations", annotations):
        where = f"{annotations}: annotation {entry.get('id')}"
        size = _look_up(sizes, entry.get("image_id"), f"{where}: image_id")
        rle = _to_rle(entry.get("segmentation"), size, where)
        category = _look_up(names, entry.get("category_id"), f"{where}: category_id")
        objects.setdefault(entry["image_id"], []).append(_still_object(category, bool(entry.get("iscrowd")), rle))
    return [
        Still(
            _existing(images / image["file_name"], f"{annotations}: image {image['id']}"),
            image["width"],
            image["height"],
            image.get("source", ""),
            tuple(objects.get(image["id"], ())),
        )
        for image in _entries(data, "images", annotations)
    ]


def read_video_clips(annotations: Path, images: Path) -> list[VideoClip]:
    """Read a YouTube-VIS instances file (protocols.md Sec. 1); videos without an object are kept.

    Raises:
        VisError: the file is no such file, an annotation has no masks, a frame is missing, or there is no video.
    """
    data = _read_json(annotations)
    names = _category_names(data, annotations)
    videos = {video["id"]: video for video in _entries(data, "videos", annotations)}
    objects: dict[int, list[VideoObject]] = {}
    for entry in _entries(data, "annotations", annotations):
        where = f"{annotations}: annotation {entry.get('id')}"
        video = _look_up(videos, entry.get("video_id"), f"{where}: video_id")
        category = _look_up(names, entry.get("category_id"), f"{where}: category_id")
        rles = _frame_rles(entry, video, where)
        objects.setdefault(entry["video_id"], []).append(VideoObject(category, bool(entry.get("iscrowd")), rles))
    return [
        VideoClip(
            tuple(_existing(images / name, f"{annotations}: video {key}") for name in video["file_names"]),
            video["width"],
            video["height"],
            video.get("source", ""),
            tuple(objects.get(key, ())),
        )
        for key, video in videos.items()
    ]


def read_picture(path: Path, width: int, height: int) -> NDArray[np.uint8]:
    """Return the picture as (height, width, 3) RGB.

    Raises:
        VisError: the file is missing, truncated, no picture, or of another size than its annotations say.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise VisError(f"{path}: cannot be read ({error.strerror}); restore it or remove its entry") from error
    tail = data[-_TAIL_BYTES:]
    if (data[:2] == b"\xff\xd8" and _JPEG_END not in tail) or (data[1:4] == b"PNG" and _PNG_END not in tail):
        raise VisError(f"{path}: the picture is truncated; restore it or remove its entry")
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if data else None
    if image is None:
        raise VisError(f"{path}: not a picture that can be decoded; restore it or remove its entry")
    if image.shape[:2] != (height, width):
        found = f"{image.shape[1]}x{image.shape[0]}"
        raise VisError(f"{path}: the picture is {found}, its annotations say {width}x{height}; mend either")
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)


def decode_mask(rle: Rle) -> NDArray[np.uint8]:
    """Return the (H, W) mask of 0 and 1."""
    return np.asarray(coco_mask.decode(rle), np.uint8)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise VisError(f"{path}: cannot be read ({error.strerror}); give an annotation file that exists") from error
    except ValueError as error:
        raise VisError(f"{path}: not a JSON file ({error}); give a COCO or YouTube-VIS annotation file") from error
    if not isinstance(data, dict):
        raise VisError(f"{path}: no JSON object at the top; give a COCO or YouTube-VIS annotation file")
    return data


def _entries(data: dict[str, Any], key: str, path: Path) -> Iterator[dict[str, Any]]:
    entries = data.get(key)
    if not isinstance(entries, list):
        raise VisError(f"{path}: no list '{key}'; give a COCO or YouTube-VIS annotation file")
    if not entries and key in ("images", "videos"):
        raise VisError(f"{path}: the list '{key}' is empty; there is nothing to train on")
    needed = _NEEDED[key]
    for position, entry in enumerate(entries):
        missing = [name for name in needed if not isinstance(entry, dict) or name not in entry]
        if missing:
            raise VisError(f"{path}: {key}[{position}] has no '{missing[0]}'; mend the entry")
        yield entry


_NEEDED: dict[str, tuple[str, ...]] = {
    "images": ("id", "file_name", "width", "height"),
    "videos": ("id", "file_names", "width", "height"),
    "annotations": (),
    "categories": ("id", "name"),
}


def _category_names(data: dict[str, Any], path: Path) -> dict[int, str]:
    return {category["id"]: category["name"] for category in _entries(data, "categories", path)}


def _look_up(table: dict[int, Any], key: Any, where: str) -> Any:
    if key not in table:
        raise VisError(f"{where} {key} is not in the file; mend the entry")
    return table[key]


def _existing(path: Path, where: str) -> Path:
    if not path.is_file():
        raise VisError(f"{where}: {path} is missing; restore it or remove its entry")
    return path


def _still_object(category: str, crowd: bool, rle: Rle) -> StillObject:
    x, y, width, height = (float(side) for side in coco_mask.toBbox(rle))
    return StillObject(category, crowd, rle, int(coco_mask.area(rle)), (x, y, width, height))


def _frame_rles(entry: dict[str, Any], video: dict[str, Any], where: str) -> tuple[Rle | None, ...]:
    segmentations = entry.get("segmentations")
    num_frames = len(video["file_names"])
    if not isinstance(segmentations, list) or len(segmentations) != num_frames:
        raise VisError(f"{where}: no list of {num_frames} segmentations, one a frame; mend the entry")
    size = (video["height"], video["width"])
    return tuple(
        None if segmentation is None else _to_rle(segmentation, size, f"{where}: frame {frame}")
        for frame, segmentation in enumerate(segmentations)
    )


def _to_rle(segmentation: Any, size: tuple[int, int], where: str) -> Rle:
    """Bring polygons, plain RLE and compressed RLE to compressed RLE."""
    if not segmentation:
        raise VisError(f"{where} has no mask; every annotation needs a segmentation (polygons or RLE)")
    try:
        if isinstance(segmentation, list):
            rle = coco_mask.merge(coco_mask.frPyObjects(segmentation, *size))
        elif isinstance(segmentation["counts"], list):
            rle = coco_mask.frPyObjects(segmentation, *segmentation["size"])
        else:
            rle = segmentation
        damaged = tuple(rle["size"]) != size
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise VisError(f"{where}: its segmentation is neither polygons nor RLE; mend the entry") from error
    if damaged:
        raise VisError(f"{where}: its mask is {rle['size']}, its picture {list(size)} (height, width); mend the entry")
    return Rle(size=list(size), counts=rle["counts"])

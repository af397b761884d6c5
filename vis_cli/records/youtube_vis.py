"""Reader of a split of YouTube-VIS 2019, YouTube-VIS 2021 or OVIS (JSON).

Used by `vis export-json`, `vis eval` and the datasets of `training`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from vis_cli.errors import VisError
from vis_cli.files.names import safe_relative_path
from vis_cli.records.json_fields import (
    is_finite_number,
    read_json_object,
    require,
    require_unique,
    shown,
    take_categories,
    take_crowd,
    take_field,
    take_objects,
    take_size,
)
from vis_cli.records.rle import Rle, rle_area
from vis_cli.records.segmentation_json import parse_segmentations
from vis_cli.records.types import Category


@dataclass(frozen=True, slots=True)
class YouTubeVisVideo:
    """One video of a split."""

    id: int
    name: str  # name of the folder that contains the frames
    width: int
    height: int
    file_names: tuple[str, ...]  # of the frames, relative to the image folder of the split


@dataclass(frozen=True, slots=True)
class YouTubeVisAnnotation:
    """Ground truth of one object."""

    id: int
    video_id: int
    category_id: int
    is_crowd: bool
    segmentations: tuple[Rle | None, ...]  # one per frame; None if the object is absent
    areas: tuple[float | None, ...]  # in pixels, one per frame; from the file, or the area of the mask


@dataclass(frozen=True, slots=True)
class YouTubeVis:
    """One split."""

    path: Path
    videos: tuple[YouTubeVisVideo, ...]
    categories: tuple[Category, ...]
    annotations: tuple[YouTubeVisAnnotation, ...] | None  # None for the published val and test splits


def read_youtube_vis(path: Path) -> YouTubeVis:
    """Read the JSON file of a split. Masks can be RLE (counts as a string or a list) or polygons.

    Two videos can have folders of the same name, such as a/frames and b/frames. If you look up videos by name, call
    `require_distinct_names` first.

    Raises:
        VisError: The file is missing or damaged, or an entry is invalid or contradicts another entry.
    """
    data = read_json_object(path)
    categories = take_categories(data, str(path))
    videos = tuple(_parse_video(entry, where) for entry, where in take_objects(data, "videos", str(path)))
    require_unique((video.id for video in videos), f"{path}: videos")
    if data.get("annotations") is None:
        return YouTubeVis(path, videos, categories, annotations=None)
    by_id, known = {video.id: video for video in videos}, {category.id for category in categories}
    annotations = tuple(
        _parse_annotation(entry, by_id, known, where) for entry, where in take_objects(data, "annotations", str(path))
    )
    require_unique((annotation.id for annotation in annotations), f"{path}: annotations")
    return YouTubeVis(path, videos, categories, annotations)


def require_distinct_names(split: YouTubeVis) -> None:
    """Check that the names of the videos are unique.

    Raises:
        VisError: Two videos have folders of the same name.
    """
    first: dict[str, YouTubeVisVideo] = {}
    for video in split.videos:
        other = first.setdefault(video.name, video)
        if other is not video:
            folders = [shown(str(PurePosixPath(item.file_names[0]).parent)) for item in (other, video)]
            problem = f"videos {other.id} and {video.id} have folders of the same name, {folders[0]} and {folders[1]}"
            raise VisError(problem, where=split.path, hint="Rename one of the folders.")


def _parse_video(entry: dict[str, Any], where: str) -> YouTubeVisVideo:
    listed = take_field(entry, "file_names", list, where)
    is_valid = bool(listed) and all(isinstance(file, str) for file in listed)
    if not is_valid:
        hint = "Use a list of at least one string."
        raise VisError(f"is {shown(listed)}", where=where, field="'file_names'", hint=hint)
    files = [safe_relative_path(file, where).as_posix() for file in listed]
    length = entry.get("length", len(files))
    problem = f"'length' is {shown(length)}, 'file_names' has {len(files)} entries"
    require(length == len(files), where, problem, hint="Use the number of frames.")
    name = PurePosixPath(files[0]).parent.name
    problem = f"{shown(files[0])} has no folder, whose name is the name of the video"
    require(name != "", where, problem, hint="Use <video>/<frame>.jpg.")
    _check_files(files, where)
    width, height = take_size(entry, where)
    return YouTubeVisVideo(take_field(entry, "id", int, where), name, width, height, tuple(files))


def _check_files(files: list[str], where: str) -> None:
    """Check that all frames of a video are in one folder, and that each frame is listed once."""
    require_unique(files, f"{where}: file_names")
    folder = PurePosixPath(files[0]).parent
    for file in files:
        if PurePosixPath(file).parent != folder:
            problem = f"{shown(file)} and {shown(files[0])} are in different folders"
            raise VisError(problem, where=where, hint="Use one folder per video.")


def _parse_annotation(
    entry: dict[str, Any], videos: dict[int, YouTubeVisVideo], categories: set[int], where: str
) -> YouTubeVisAnnotation:
    video_id, category_id = take_field(entry, "video_id", int, where), take_field(entry, "category_id", int, where)
    require(video_id in videos, where, f"'video_id' is {video_id}", hint="Use the id of a listed video.")
    problem = f"'category_id' is {category_id}"
    require(category_id in categories, where, problem, hint="Use the id of a listed category.")
    video = videos[video_id]
    _check_lengths(entry, video, where)
    masks = take_field(entry, "segmentations", list, where)
    segmentations = parse_segmentations(masks, video.height, video.width, where)
    return YouTubeVisAnnotation(
        id=take_field(entry, "id", int, where),
        video_id=video_id,
        category_id=category_id,
        is_crowd=take_crowd(entry, where),
        segmentations=segmentations,
        areas=_parse_areas(entry, segmentations, where),
    )


def _check_lengths(entry: dict[str, Any], video: YouTubeVisVideo, where: str) -> None:
    """Check the lengths of the lists, and the copies of the video's fields, which the official evaluator ignores."""
    for key in ("segmentations", "areas", "bboxes"):
        if key == "segmentations" or entry.get(key) is not None:
            length, frames = len(take_field(entry, key, list, where)), len(video.file_names)
            problem = f"{key!r} has {length} entries, video {video.id} has {frames} frames"
            require(length == frames, where, problem, hint="Use one entry per frame.")
    for key, value in (("width", video.width), ("height", video.height), ("length", len(video.file_names))):
        has = entry.get(key, value)
        problem = f"{key!r} is {shown(has)}, the entry of video {video.id} has {value}"
        require(has == value, where, problem, hint="Use equal values.")


def _parse_areas(entry: dict[str, Any], segmentations: Sequence[Rle | None], where: str) -> tuple[float | None, ...]:
    """Return the areas in the file, which the benchmark uses for its area ranges, or the areas of the masks."""
    if entry.get("areas") is None:
        return tuple(None if rle is None else float(rle_area(rle)) for rle in segmentations)
    areas = entry["areas"]
    is_valid = all(area is None or is_finite_number(area) for area in areas)
    if not is_valid:
        raise VisError(f"is {shown(areas)}", where=where, field="'areas'", hint="Use numbers or null.")
    return tuple(None if area is None else float(area) for area in areas)

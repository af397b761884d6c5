"""The JSON of YouTube-VIS 2019 / 2021 and OVIS: reads a split.

Used by `export-json`, `eval` and the training's datasets. `youtube_vis_submission` writes for it.
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
    """Name the frames of one video; `name` is the folder that they lie in."""

    id: int
    name: str
    width: int
    height: int
    file_names: tuple[str, ...]  # relative to the split's folder of pictures


@dataclass(frozen=True, slots=True)
class YouTubeVisAnnotation:
    """Hold one object's true masks; `areas` are the file's own, else counted, None where the object is absent."""

    id: int
    video_id: int
    category_id: int
    is_crowd: bool
    segmentations: tuple[Rle | None, ...]  # one a frame
    areas: tuple[float | None, ...]  # one a frame, in pixels


@dataclass(frozen=True, slots=True)
class YouTubeVis:
    """Hold one split; `annotations` is None where the file has none, as in the released val and test splits."""

    path: Path
    videos: tuple[YouTubeVisVideo, ...]
    categories: tuple[Category, ...]
    annotations: tuple[YouTubeVisAnnotation, ...] | None


def read_youtube_vis(path: Path) -> YouTubeVis:
    """Read a split's JSON; masks may be RLE (counts as text or list) or polygons.

    Two videos may lie in folders of one name, such as a/frames and b/frames. What finds a video by its name calls
    `require_distinct_names`.

    Raises:
        VisError: the file is missing or damaged, or an entry lacks a key or contradicts another; the entry is named.
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
    """Require that each video of a split can be found by its name.

    Raises:
        VisError: two videos lie in folders of one name.
    """
    first: dict[str, YouTubeVisVideo] = {}
    for video in split.videos:
        other = first.setdefault(video.name, video)
        if other is not video:
            folders = [shown(str(PurePosixPath(item.file_names[0]).parent)) for item in (other, video)]
            cause = f"videos {other.id} and {video.id} lie in folders of one name, {folders[0]} and {folders[1]}"
            raise VisError(f"{split.path}: {cause}, by which a result is found. Rename one of the folders.")


def _parse_video(entry: dict[str, Any], where: str) -> YouTubeVisVideo:
    listed = take_field(entry, "file_names", list, where)
    plain = bool(listed) and all(isinstance(file, str) for file in listed)
    require(plain, where, "'file_names' must be a list of texts")
    files = [safe_relative_path(file, where).as_posix() for file in listed]
    require(entry.get("length", len(files)) == len(files), where, f"'length' is not that of 'file_names', {len(files)}")
    name = PurePosixPath(files[0]).parent.name
    require(name != "", where, f"{files[0]!r} lies in no folder, which would name the video")
    _check_files(files, where)
    width, height = take_size(entry, where)
    return YouTubeVisVideo(take_field(entry, "id", int, where), name, width, height, tuple(files))


def _check_files(files: list[str], where: str) -> None:
    """Check that the frames of one video lie in one folder, each listed once."""
    require_unique(files, f"{where}: file_names")
    folder = PurePosixPath(files[0]).parent
    for file in files:
        require(PurePosixPath(file).parent == folder, where, f"{file!r} lies in another folder than {files[0]!r}")


def _parse_annotation(
    entry: dict[str, Any], videos: dict[int, YouTubeVisVideo], categories: set[int], where: str
) -> YouTubeVisAnnotation:
    video_id, category_id = take_field(entry, "video_id", int, where), take_field(entry, "category_id", int, where)
    require(video_id in videos, where, f"'video_id' is {video_id}, which is not among the videos")
    require(category_id in categories, where, f"'category_id' is {category_id}, which is not among the categories")
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
    """Check the lists and the copies of the video's own numbers, which the benchmark's evaluator never compares."""
    for key in ("segmentations", "areas", "bboxes"):
        if key == "segmentations" or entry.get(key) is not None:
            length, frames = len(take_field(entry, key, list, where)), len(video.file_names)
            require(length == frames, where, f"{key!r} has {length} entries, but video {video.id} has {frames} frames")
    for key, value in (("width", video.width), ("height", video.height), ("length", len(video.file_names))):
        has = entry.get(key, value)
        require(has == value, where, f"{key!r} is {shown(has)}, but {value} in video {video.id}")


def _parse_areas(entry: dict[str, Any], segmentations: Sequence[Rle | None], where: str) -> tuple[float | None, ...]:
    """Return the file's own areas, which the benchmark bins by, or count the pixels where it has none."""
    if entry.get("areas") is None:
        return tuple(None if rle is None else float(rle_area(rle)) for rle in segmentations)
    areas = entry["areas"]
    plain = all(area is None or is_finite_number(area) for area in areas)
    require(plain, where, "'areas' must be numbers or null")
    return tuple(None if area is None else float(area) for area in areas)

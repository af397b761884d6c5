"""The JSON of YouTube-VIS 2019 / 2021 and OVIS: reads a split, writes a submission for it.

Used by `export-json`, `eval` and the training's datasets. The rules are in protocols.md, sections 2 and 3.
"""

from __future__ import annotations

import json
import math
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from vis_cli.records.atomic import atomic_path
from vis_cli.records.json_fields import (
    read_json_object,
    require,
    require_unique,
    take_categories,
    take_field,
    take_objects,
)
from vis_cli.records.rle import parse_segmentations, rle_area
from vis_cli.records.types import Category, InstanceSequence, Rle, VideoResult

SUBMISSION_NAME = "results.json"  # the only name that the evaluation servers look for


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


@dataclass(frozen=True, slots=True)
class SubmissionReport:
    """Say what a submission holds and what it had to leave out."""

    num_videos: int  # with a result, be it empty
    num_annotations: int
    videos_without_result: tuple[str, ...]  # they count as found nothing
    unmapped_categories: tuple[str, ...]  # of the results, unknown to the split; their entries are left out


def read_youtube_vis(path: Path) -> YouTubeVis:
    """Read a split's JSON; masks may be RLE (counts as text or list) or polygons.

    Raises:
        VisError: the file is missing or damaged, or an entry lacks a key or contradicts another; the entry is named.
    """
    data = read_json_object(path)
    categories = take_categories(data, str(path))
    videos = tuple(_parse_video(entry, where) for entry, where in take_objects(data, "videos", str(path)))
    require_unique((video.id for video in videos), f"{path}: videos")
    require_unique((video.name for video in videos), f"{path}: videos")
    if data.get("annotations") is None:
        return YouTubeVis(path, videos, categories, annotations=None)
    by_id, known = {video.id: video for video in videos}, {category.id for category in categories}
    annotations = tuple(
        _parse_annotation(entry, by_id, known, where) for entry, where in take_objects(data, "annotations", str(path))
    )
    require_unique((annotation.id for annotation in annotations), f"{path}: annotations")
    return YouTubeVis(path, videos, categories, annotations)


def write_youtube_vis_submission(
    results: Iterable[VideoResult],
    split: YouTubeVis,
    path: Path,
    *,
    score_threshold: float = 0.0,
    max_categories: int | None = None,
) -> SubmissionReport:
    """Write results.json inside a zip, ready for the evaluation server.

    Args:
        results: one a video, matched with the split's videos by name; they are taken one at a time.
        split: gives the ids of videos and categories; a category matches by name, whatever its case, spaces or
            underscores.
        path: of the zip.
        score_threshold: an instance is listed once for each of its categories that scores above this.
        max_categories: the best so many categories of an instance only; None: all of them.

    Raises:
        VisError: a result is of no video of the split, of one seen before, or of another size or length; or the file
            cannot be written.
    """
    submission = _Submission(split, score_threshold, max_categories)
    entry = zipfile.ZipInfo(SUBMISSION_NAME)  # its time stays 1980, so that the same results make the same file
    entry.compress_type = zipfile.ZIP_DEFLATED
    with (
        atomic_path(path) as temporary,
        zipfile.ZipFile(temporary, "w") as archive,
        archive.open(entry, "w", force_zip64=True) as stream,
    ):
        stream.write(b"[")
        for result in results:
            for annotation in submission.add(result):
                separator = ",\n" if submission.num_annotations > 1 else ""
                stream.write((separator + json.dumps(annotation, separators=(",", ":"), allow_nan=False)).encode())
        stream.write(b"]\n")
    return submission.report()


class _Submission:
    """Turn results into entries of results.json and remember what was left out."""

    def __init__(self, split: YouTubeVis, score_threshold: float, max_categories: int | None) -> None:
        self.split = split
        self.score_threshold = score_threshold
        self.max_categories = max_categories
        self.videos = {video.name: video for video in split.videos}
        self.category_ids = {_plain_name(category.name): category.id for category in split.categories}
        self.seen: set[str] = set()
        self.unmapped: set[str] = set()
        self.num_annotations = 0

    def add(self, result: VideoResult) -> Iterator[dict[str, Any]]:
        """Yield the entries of one result."""
        video = self._match_video(result)
        names = {category.id: category.name for category in result.categories}
        for instance in result.instances:
            for category_id, score in self._rank_categories(instance, names):
                self.num_annotations += 1
                yield {
                    "video_id": video.id,
                    "score": score,
                    "category_id": category_id,
                    "segmentations": list(instance.segmentations),
                }

    def report(self) -> SubmissionReport:
        """Sum up what was added."""
        return SubmissionReport(
            num_videos=len(self.seen),
            num_annotations=self.num_annotations,
            videos_without_result=tuple(name for name in self.videos if name not in self.seen),
            unmapped_categories=tuple(sorted(self.unmapped)),
        )

    def _match_video(self, result: VideoResult) -> YouTubeVisVideo:
        name, split = result.video.name, self.split.path
        require(name in self.videos, name, f"is no video of {split}; give the JSON of the split that it belongs to")
        require(name not in self.seen, name, "has two results; keep one of them")
        self.seen.add(name)
        video = self.videos[name]
        has = f"{result.video.width}x{result.video.height}, {result.video.num_frames} frames"
        needs = f"{video.width}x{video.height}, {len(video.file_names)} frames"
        require(has == needs, name, f"the result is {has}, but {split} lists {needs}; segment its own frames")
        return video

    def _rank_categories(self, instance: InstanceSequence, names: dict[int, str]) -> list[tuple[int, float]]:
        """Return the split's category ids and their scores, best first, remembering the names it does not know."""
        scores = {instance.category_id: instance.score} | instance.category_scores
        ranked = []
        for category, score in sorted(scores.items(), key=lambda item: (-item[1], item[0])):
            if score <= self.score_threshold:
                break
            category_id = self.category_ids.get(_plain_name(names[category]))
            if category_id is None:
                self.unmapped.add(names[category])
            else:
                ranked.append((category_id, score))
        return ranked[: self.max_categories]


def _plain_name(name: str) -> str:
    """Return what counts of a category's name when two data sets are compared."""
    return name.casefold().replace("_", " ").strip()


def _parse_video(entry: dict[str, Any], where: str) -> YouTubeVisVideo:
    files = take_field(entry, "file_names", list, where)
    require(bool(files) and all(isinstance(file, str) for file in files), where, "'file_names' must be a list of texts")
    require(entry.get("length", len(files)) == len(files), where, f"'length' is not that of 'file_names', {len(files)}")
    name = PurePosixPath(files[0]).parent.name
    require(name != "", where, f"{files[0]!r} lies in no folder, which would name the video")
    width, height = take_field(entry, "width", int, where), take_field(entry, "height", int, where)
    require(width > 0 and height > 0, where, f"its size is {width}x{height}, but both must be positive")
    return YouTubeVisVideo(take_field(entry, "id", int, where), name, width, height, tuple(files))


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
        is_crowd=bool(entry.get("iscrowd", 0)),
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
        require(has == value, where, f"{key!r} is {has}, but {value} in video {video.id}")


def _parse_areas(entry: dict[str, Any], segmentations: Sequence[Rle | None], where: str) -> tuple[float | None, ...]:
    """Return the file's own areas, which the benchmark bins by, or count the pixels where it has none."""
    if entry.get("areas") is None:
        return tuple(None if rle is None else float(rle_area(rle)) for rle in segmentations)
    areas = entry["areas"]
    plain = all(area is None or (isinstance(area, (int, float)) and math.isfinite(area)) for area in areas)
    require(plain, where, "'areas' must be numbers or null")
    return tuple(None if area is None else float(area) for area in areas)

"""Check of a submission to the YouTube-VIS and OVIS servers. It finds what a server rejects, or silently miscounts.

Used by `vis export-json --check`, for submissions of any tool.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, TypeGuard

from vis_cli.errors import VisError
from vis_cli.files.archives import member_names, open_member, open_zip
from vis_cli.files.limits import MAX_INTEGER, MAX_RESULTS_BYTES
from vis_cli.files.names import printable
from vis_cli.files.reading import open_limited
from vis_cli.records.json_fields import describe, shown
from vis_cli.records.json_stream import iter_json_list, open_json_text
from vis_cli.records.segmentation_json import parse_segmentation
from vis_cli.records.submission_problems import Problem
from vis_cli.records.youtube_vis import YouTubeVis, YouTubeVisVideo
from vis_cli.records.youtube_vis_submission import SUBMISSION_NAME

FIELDS = ("video_id", "category_id", "score", "segmentations")


def iter_youtube_vis_problems(path: Path, split: YouTubeVis) -> Iterator[Problem]:
    """Yield all problems of a submission.

    Args:
        path: The zip, or results.json before it is zipped.
        split: The split, with the valid ids and the number of frames of each video.

    Raises:
        VisError: The file cannot be read.
    """
    if path.suffix.lower() == ".json":
        yield Problem("no zip", str(path), f"not a zip file. Zip it as {SUBMISSION_NAME}, without a folder")
        with open_limited(path, limit=MAX_RESULTS_BYTES) as stream:
            yield from _iter_list_problems(stream, str(path), split)
        return
    with open_zip(path) as archive:
        names = member_names(archive)
        yield from _iter_name_problems(names, path)
        name = _find_results(names)
        if name is not None:
            with open_member(archive, name, limit=MAX_RESULTS_BYTES) as stream:
                yield from _iter_list_problems(stream, printable(name), split)


def _find_results(names: tuple[str, ...]) -> str | None:
    """Return the file to check: results.json, a file of this name in a folder, or the first JSON file."""
    jsons = [name for name in names if name.lower().endswith(".json") and not name.startswith("__MACOSX")]
    named = [name for name in jsons if PurePosixPath(name).name == SUBMISSION_NAME]
    if SUBMISSION_NAME in named:
        return SUBMISSION_NAME
    return next(iter(named or jsons), None)


def _iter_name_problems(names: tuple[str, ...], path: Path) -> Iterator[Problem]:
    found = _find_results(names)
    if found is None:
        yield Problem("file name", str(path), f"the zip has no {SUBMISSION_NAME}")
    elif found != SUBMISSION_NAME:
        description = f"the name is not {SUBMISSION_NAME}. Zip a file of this name, without a folder"
        yield Problem("file name", f"{path}: {printable(found)}", description)
    if names.count(SUBMISSION_NAME) > 1:
        description = f"the zip contains {SUBMISSION_NAME} {names.count(SUBMISSION_NAME)} times"
        yield Problem("file name", str(path), description)
    for name in names:
        if name != found:
            description = f"an extra file. Zip only {SUBMISSION_NAME}"
            yield Problem("extra file", f"{path}: {printable(name)}", description)


def _iter_list_problems(stream: BinaryIO, name: str, split: YouTubeVis) -> Iterator[Problem]:
    text, encoding = open_json_text(stream)
    if encoding is not None:
        description = f"{encoding}, which the server cannot read. Save it as UTF-8 without a byte order mark"
        yield Problem("encoding", name, description)
    checker, num_entries = _EntryChecker(split), 0
    try:
        for index, (entry, _) in enumerate(iter_json_list(text, name)):
            yield from checker.iter_problems(entry, index, f"{name}[{index}]")
            num_entries += 1
    except VisError as error:
        yield Problem("no JSON list", name, error.problem)
        return
    if num_entries == 0:
        yield Problem("empty list", name, "the list is empty, and the evaluator of the benchmark fails")


class _EntryChecker:
    """Check of the entries of one submission. It compares each entry with the split and with the previous entries."""

    def __init__(self, split: YouTubeVis) -> None:
        self.split = split
        self.videos = {video.id: video for video in split.videos}
        self.category_ids = {category.id for category in split.categories}
        self.seen: dict[int, int] = {}  # hash of video, category and masks -> index of the entry

    def iter_problems(self, entry: object, index: int, where: str) -> Iterator[Problem]:
        """Yield all problems of one entry."""
        if not isinstance(entry, dict):
            description = f"the entry is {describe(entry)}. Use an object with {', '.join(FIELDS)}"
            yield Problem("no object", where, description)
            return
        for key in FIELDS:
            if key not in entry:
                yield Problem("missing key", where, f"'{key}' is missing")
        video = self._find_video(entry)
        if video is None and "video_id" in entry:
            description = f"'video_id' is {shown(entry['video_id'])}. Use the id of a video in {self.split.path}"
            yield Problem("unknown video", where, description)
        if "category_id" in entry and not self._knows_category(entry["category_id"]):
            id_ = shown(entry["category_id"])
            description = f"'category_id' is {id_}. Use the id of a category in {self.split.path}"
            yield Problem("unknown category", where, description)
        if "score" in entry:
            yield from _iter_score_problems(entry["score"], where)
        if "segmentations" in entry:
            yield from _iter_mask_problems(entry["segmentations"], video, where)
            yield from self._iter_duplicates(entry, index, where)

    def _find_video(self, entry: dict[str, Any]) -> YouTubeVisVideo | None:
        video_id = entry.get("video_id")
        return self.videos.get(video_id) if _is_id(video_id) else None

    def _knows_category(self, category_id: object) -> bool:
        return _is_id(category_id) and category_id in self.category_ids

    def _iter_duplicates(self, entry: dict[str, Any], index: int, where: str) -> Iterator[Problem]:
        """Yield a problem if the entry is a copy of a previous entry, because it counts as a false positive."""
        same = [entry.get(key) for key in ("video_id", "category_id", "segmentations")]
        try:
            text = json.dumps(same, sort_keys=True)
        except RecursionError:  # not a mask; this problem was already reported
            return
        first = self.seen.setdefault(hash(text), index)
        if first != index:
            yield Problem("duplicate", where, f"video, category and masks are the same as in entry [{first}]")


def _is_id(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= MAX_INTEGER


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _iter_score_problems(score: object, where: str) -> Iterator[Problem]:
    if not _is_number(score) or not 0 <= score <= 1:  # the comparison with NaN is false
        yield Problem("score", where, f"'score' is {shown(score)}. Use a value from 0 to 1")


def _iter_mask_problems(masks: object, video: YouTubeVisVideo | None, where: str) -> Iterator[Problem]:
    if not isinstance(masks, list):
        description = f"'segmentations' is {describe(masks)}. Use a list with one mask or null per frame"
        yield Problem("no masks", where, description)
        return
    if video is None:
        return  # the number and the size of the masks are unknown
    if len(masks) != len(video.file_names):
        frames = len(video.file_names)
        description = f"'segmentations' has {len(masks)} entries, video {video.id} has {frames} frames"
        yield Problem("number of segmentations", where, description)
    for frame, mask in enumerate(masks):
        problem = _find_mask_problem(mask, video, f"{where}.segmentations[{frame}]")
        if problem is not None:
            yield problem


def _find_mask_problem(mask: object, video: YouTubeVisVideo, where: str) -> Problem | None:
    if mask is None:
        return None
    if not isinstance(mask, dict) or not {"size", "counts"} <= mask.keys():
        description = f"the mask is {describe(mask)}. Use null, or an object with 'size' and 'counts'"
        return Problem("mask", where, description)
    size, expected = mask["size"], [video.height, video.width]
    if size != expected:
        remedy = "Swap height and width" if size == expected[::-1] else "Use [height, width] of the video"
        description = f"the size of the mask is {shown(size)}, the size of video {video.id} is {expected}. {remedy}"
        return Problem("mask size", where, description)
    if not isinstance(mask["counts"], str):
        kind = describe(mask["counts"])
        return Problem("type of counts", where, f"'counts' is {kind}. Use a string, the compressed RLE of COCO")
    try:
        parse_segmentation(mask, video.height, video.width, where)
    except VisError as error:
        return Problem("damaged mask", where, error.problem)
    return None

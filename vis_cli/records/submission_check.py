"""Everything that a YouTube-VIS or OVIS server would refuse, or count wrongly without a word, in a submission.

Used by `export-json --check`, for submissions of any tool.
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
from vis_cli.records.json_fields import shown
from vis_cli.records.json_stream import iter_json_list, open_json_text
from vis_cli.records.problems import Problem
from vis_cli.records.segmentation_json import parse_segmentation
from vis_cli.records.youtube_vis import YouTubeVis, YouTubeVisVideo
from vis_cli.records.youtube_vis_submission import SUBMISSION_NAME

FIELDS = ("video_id", "category_id", "score", "segmentations")


def iter_youtube_vis_problems(path: Path, split: YouTubeVis) -> Iterator[Problem]:
    """Yield every problem of a submission to the server of `split`.

    Args:
        path: the zip, or results.json before it is zipped.
        split: whose ids and frames it must have.

    Raises:
        VisError: it cannot be read at all.
    """
    if path.suffix.lower() == ".json":
        yield Problem("no zip", str(path), f"is no zip; zip it as {SUBMISSION_NAME}, without any folder")
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
    """Return the file to read: results.json, else one of that name in a folder, else the only JSON."""
    jsons = [name for name in names if name.lower().endswith(".json") and not name.startswith("__MACOSX")]
    named = [name for name in jsons if PurePosixPath(name).name == SUBMISSION_NAME]
    if SUBMISSION_NAME in named:
        return SUBMISSION_NAME
    return next(iter(named or jsons), None)


def _iter_name_problems(names: tuple[str, ...], path: Path) -> Iterator[Problem]:
    found = _find_results(names)
    if found is None:
        yield Problem("file name", str(path), f"holds no {SUBMISSION_NAME}")
    elif found != SUBMISSION_NAME:
        rule = f"must be {SUBMISSION_NAME}, without a folder around it; zip the file itself"
        yield Problem("file name", f"{path}: {printable(found)}", rule)
    if names.count(SUBMISSION_NAME) > 1:
        yield Problem("file name", str(path), f"holds {SUBMISSION_NAME} {names.count(SUBMISSION_NAME)} times")
    for name in names:
        if name != found:
            yield Problem("extra file", f"{path}: {printable(name)}", f"{SUBMISSION_NAME} must be alone in the zip")


def _iter_list_problems(stream: BinaryIO, name: str, split: YouTubeVis) -> Iterator[Problem]:
    text, complaint = open_json_text(stream)
    if complaint is not None:
        yield Problem("encoding", name, f"{complaint}, which the server cannot read; save it as UTF-8 without a mark")
    checker, num_entries = _EntryChecker(split), 0
    try:
        for index, (entry, _) in enumerate(iter_json_list(text, name)):
            yield from checker.iter_problems(entry, index, f"{name}[{index}]")
            num_entries += 1
    except VisError as error:
        yield Problem("no JSON list", name, error.problem)
        return
    if num_entries == 0:
        yield Problem("empty list", name, "holds no entry, and the benchmark's evaluator fails on an empty list")


class _EntryChecker:
    """Check entries against a split, and against those before them."""

    def __init__(self, split: YouTubeVis) -> None:
        self.split = split
        self.videos = {video.id: video for video in split.videos}
        self.category_ids = {category.id for category in split.categories}
        self.seen: dict[int, int] = {}  # from what makes an entry a copy, hashed to save memory, to its place

    def iter_problems(self, entry: object, index: int, where: str) -> Iterator[Problem]:
        """Yield what is wrong with one entry."""
        if not isinstance(entry, dict):
            yield Problem("no object", where, "must be an object with " + ", ".join(FIELDS))
            return
        for key in FIELDS:
            if key not in entry:
                yield Problem("missing key", where, f"'{key}' is missing")
        video = self._find_video(entry)
        if video is None and "video_id" in entry:
            complaint = f"'video_id' is {shown(entry['video_id'])}, which is no video of {self.split.path}"
            yield Problem("unknown video", where, complaint)
        if "category_id" in entry and not self._knows_category(entry["category_id"]):
            complaint = f"'category_id' is {shown(entry['category_id'])}, which is no category of {self.split.path}"
            yield Problem("unknown category", where, complaint)
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
        """Yield where an object was listed before; the copy would count as a false positive."""
        same = [entry.get(key) for key in ("video_id", "category_id", "segmentations")]
        try:
            text = json.dumps(same, sort_keys=True)
        except RecursionError:  # no mask, which was reported
            return
        first = self.seen.setdefault(hash(text), index)
        if first != index:
            yield Problem("duplicate", where, f"has the video, the category and the masks of entry [{first}]")


def _is_id(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= MAX_INTEGER


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _iter_score_problems(score: object, where: str) -> Iterator[Problem]:
    if not _is_number(score) or not 0 <= score <= 1:  # nan is not
        yield Problem("score", where, f"'score' is {shown(score)}, but must be a number between 0 and 1")


def _iter_mask_problems(masks: object, video: YouTubeVisVideo | None, where: str) -> Iterator[Problem]:
    if not isinstance(masks, list):
        yield Problem("no masks", where, "'segmentations' must be a list of one mask or null a frame")
        return
    if video is None:
        return  # what its masks must be like is not known
    if len(masks) != len(video.file_names):
        complaint = f"has {len(masks)} segmentations, but video {video.id} has {len(video.file_names)} frames"
        yield Problem("number of segmentations", where, complaint)
    for frame, mask in enumerate(masks):
        problem = _find_mask_problem(mask, video, f"{where}.segmentations[{frame}]")
        if problem is not None:
            yield problem


def _find_mask_problem(mask: object, video: YouTubeVisVideo, where: str) -> Problem | None:
    if mask is None:
        return None
    if not isinstance(mask, dict) or not {"size", "counts"} <= mask.keys():
        return Problem("mask", where, "must be null or an object with 'size' and 'counts'; polygons are no result")
    size, right = mask["size"], [video.height, video.width]
    if size != right:
        hint = ", so its sides are swapped" if size == right[::-1] else ""
        complaint = f"the mask's size is {shown(size)}, but video {video.id} is {right} (height, width){hint}"
        return Problem("mask size", where, complaint)
    if not isinstance(mask["counts"], str):
        return Problem("type of counts", where, "'counts' must be a text, COCO's compressed RLE, not a list of runs")
    try:
        parse_segmentation(mask, video.height, video.width, where)
    except VisError as error:
        return Problem("damaged mask", where, error.problem)
    return None

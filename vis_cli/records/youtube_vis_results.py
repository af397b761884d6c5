"""Readers of predictions for a YouTube-VIS or OVIS split: results.json, its zip, or results of `vis segment`.

Used by `vis eval`; `metrics.youtube_vis` scores the predictions. Masks stay JSON text until their video is scored,
possibly in another process.
"""

from __future__ import annotations

import codecs
import zipfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TextIO, TypeAlias

from vis_cli.errors import VisError
from vis_cli.files.archives import member_names, open_member, open_zip
from vis_cli.files.limits import MAX_RESULTS_BYTES
from vis_cli.files.names import printable
from vis_cli.files.reading import open_limited
from vis_cli.records.categories import CategoryMap
from vis_cli.records.json_fields import describe, parse_json, require, shown, take_field
from vis_cli.records.json_stream import iter_json_list, open_json_text
from vis_cli.records.result_json import list_results, read_result
from vis_cli.records.result_matching import ResultMatcher, youtube_vis_sequences
from vis_cli.records.rle import Rle
from vis_cli.records.segmentation_json import parse_segmentations
from vis_cli.records.selection import Selection
from vis_cli.records.types import VideoResult
from vis_cli.records.youtube_vis import YouTubeVis, YouTubeVisVideo
from vis_cli.records.youtube_vis_submission import SUBMISSION_NAME, iter_entries


@dataclass(frozen=True, slots=True)
class Prediction:
    """One predicted object of one category."""

    category_id: int  # of the split
    score: float
    segmentations: tuple[Rle | None, ...]  # one per frame; None if the object is absent


PredictionReader: TypeAlias = Callable[[], list[Prediction]]  # raises a VisError with the name of a damaged entry


@dataclass(frozen=True, slots=True)
class Predictions:
    """Predictions for a split."""

    readers: Mapping[int, PredictionReader]  # by video id; each returns the predictions in the order of the file
    num_predictions: int
    synonyms: tuple[tuple[str, str], ...] = ()  # names of a category in the results and in the split
    unmapped_categories: tuple[str, ...] = ()  # names that the split does not have; their predictions are omitted


def read_predictions(path: Path, split: YouTubeVis) -> Predictions:
    """Read predictions.

    Args:
        path: A results.json, a zip that contains it, a NAME.json, or a folder of NAME.json files.
        split: The split that the predictions are for.

    Raises:
        VisError: A file is damaged, or an entry contradicts the split.
    """
    if path.is_dir():
        files = list_results(path)
        require(bool(files), str(path), "no results (*.json) in this folder", hint="Pass the folder of the results.")
        return match_results(map(read_result, files), split)
    if _holds_object(path):
        return match_results([read_result(path)], split)
    with _open_results(path) as (stream, where):
        return _read_entries(stream, where, split)


def match_results(results: Iterable[VideoResult], split: YouTubeVis) -> Predictions:
    """Match results of `vis segment` with a split by the names of videos and categories.

    Raises:
        VisError: The video of a result is not in the split, has two results, or has another size or length.
    """
    selection = Selection()
    matcher, categories = ResultMatcher(youtube_vis_sequences(split), selection), CategoryMap(split.categories)
    by_video = defaultdict[int, list[Prediction]](list)
    for entry in iter_entries(results, split, matcher, categories, selection):
        prediction = Prediction(entry["category_id"], entry["score"], tuple(entry["segmentations"]))
        by_video[entry["video_id"]].append(prediction)
    readers = {video: partial(list[Prediction], predictions) for video, predictions in by_video.items()}
    return Predictions(readers, sum(map(len, by_video.values())), categories.synonyms, categories.unmapped)


def _holds_object(path: Path) -> bool:
    """Return whether a file starts with a JSON object, like NAME.json."""
    with open_limited(path, limit=MAX_RESULTS_BYTES) as stream:
        return stream.read(64).removeprefix(codecs.BOM_UTF8).lstrip().startswith(b"{")


@contextmanager
def _open_results(path: Path) -> Iterator[tuple[TextIO, str]]:
    """Open results.json, in a zip or not, and yield it with its name for error messages."""
    with open_limited(path, limit=MAX_RESULTS_BYTES) as file:
        if not zipfile.is_zipfile(file):
            file.seek(0)
            yield open_json_text(file)[0], str(path)
            return
    with open_zip(path) as archive:
        _require_submission(member_names(archive), path)
        with open_member(archive, SUBMISSION_NAME, limit=MAX_RESULTS_BYTES) as entry:
            yield open_json_text(entry)[0], f"{path}: {SUBMISSION_NAME}"


def _require_submission(names: Iterable[str], path: Path) -> None:
    files = [name for name in names if not name.endswith("/")]
    inner = next((name for name in files if name.endswith(f"/{SUBMISSION_NAME}")), None)
    if SUBMISSION_NAME not in files and inner is not None:
        problem = f"{printable(inner)} is in a folder, where servers do not find it"
        raise VisError(problem, where=path, hint=f"Zip {SUBMISSION_NAME} without a folder.")
    content = printable(", ".join(files)) or "no files"
    problem = f"the zip has no {SUBMISSION_NAME}; it contains {content}"
    require(SUBMISSION_NAME in files, str(path), problem, hint=f"Zip the predictions as {SUBMISSION_NAME}.")


def _read_entries(stream: TextIO, where: str, split: YouTubeVis) -> Predictions:
    """Check all fields of the entries except their masks, and keep the masks as JSON text."""
    videos, known = {video.id: video for video in split.videos}, {category.id for category in split.categories}
    texts = defaultdict[int, list[tuple[str, str]]](list)  # video id -> name and text of each entry
    for index, (entry, text) in enumerate(iter_json_list(stream, where)):
        name = f"{where}: entry {index}"
        if not isinstance(entry, dict):
            hint = "Use an object with video_id, category_id, score and segmentations."
            raise VisError(f"the entry is {describe(entry)}", where=name, hint=hint)
        video = _check_entry(entry, videos, known, split, name)
        texts[video.id].append((name, text))
    readers = {id_: partial(_parse_entries, entries, videos[id_]) for id_, entries in texts.items()}
    return Predictions(readers, sum(map(len, texts.values())))


def _check_entry(
    entry: dict[str, Any], videos: Mapping[int, YouTubeVisVideo], known: set[int], split: YouTubeVis, where: str
) -> YouTubeVisVideo:
    video_id, category_id = take_field(entry, "video_id", int, where), take_field(entry, "category_id", int, where)
    require(video_id in videos, where, f"'video_id' is {video_id}", hint=f"Use the id of a video in {split.path}.")
    hint = f"Use the id of a category in {split.path}."
    require(category_id in known, where, f"'category_id' is {category_id}", hint=hint)
    take_field(entry, "score", float, where)
    video = videos[video_id]
    masks, frames = len(take_field(entry, "segmentations", list, where)), len(video.file_names)
    problem = f"'segmentations' has {masks} entries, video {video.name} has {frames} frames"
    require(masks == frames, where, problem, hint="Use one mask or null per frame.")
    return video


def _parse_entries(entries: Iterable[tuple[str, str]], video: YouTubeVisVideo) -> list[Prediction]:
    return [_parse_entry(parse_json(text, where), video, where) for where, text in entries]


def _parse_entry(entry: Any, video: YouTubeVisVideo, where: str) -> Prediction:
    masks = entry["segmentations"]
    for frame, mask in enumerate(masks):
        if mask is not None and not (isinstance(mask, dict) and isinstance(mask.get("counts"), str)):
            hint = "Use null, or an RLE with 'counts' as a string. Servers reject polygons and lists."
            raise VisError(f"the mask is {shown(mask)}", where=f"{where}.segmentations[{frame}]", hint=hint)
    segmentations = parse_segmentations(masks, video.height, video.width, where)
    return Prediction(entry["category_id"], float(entry["score"]), segmentations)

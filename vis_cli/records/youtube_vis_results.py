"""Predictions for a YouTube-VIS or OVIS split: from results.json, its zip, or the results of `segment`.

Used by `eval`; `metrics.youtube_vis` scores them. Masks stay text until their video is scored, maybe elsewhere.
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
from vis_cli.records.json_fields import parse_json, require, take_field
from vis_cli.records.json_stream import iter_json_list, open_json_text
from vis_cli.records.matching import ResultMatcher, youtube_vis_sequences
from vis_cli.records.result_json import list_results, read_result
from vis_cli.records.rle import Rle
from vis_cli.records.segmentation_json import parse_segmentations
from vis_cli.records.selection import Selection
from vis_cli.records.types import VideoResult
from vis_cli.records.youtube_vis import YouTubeVis, YouTubeVisVideo
from vis_cli.records.youtube_vis_submission import SUBMISSION_NAME, iter_entries


@dataclass(frozen=True, slots=True)
class Prediction:
    """Hold one predicted object of one category; the ids are the split's."""

    category_id: int
    score: float
    segmentations: tuple[Rle | None, ...]  # one a frame; None where the object is absent


PredictionReader: TypeAlias = Callable[[], list[Prediction]]  # raises a VisError that names what is damaged


@dataclass(frozen=True, slots=True)
class Predictions:
    """Hold what reads the predictions of each video, in the order of the file, by the video's id."""

    readers: Mapping[int, PredictionReader]
    num_predictions: int
    synonyms: tuple[tuple[str, str], ...] = ()  # a category's name in the results, and the split's
    unmapped_categories: tuple[str, ...] = ()  # of the results, unknown to the split; they are left out


def read_predictions(path: Path, split: YouTubeVis) -> Predictions:
    """Read a results.json, a zip of it, a NAME.json or a folder of those.

    Raises:
        VisError: a file is damaged, or an entry contradicts the split; file and entry are named.
    """
    if path.is_dir():
        files = list_results(path)
        require(bool(files), str(path), "no results (*.json) in this folder")
        return match_results(map(read_result, files), split)
    if _holds_object(path):
        return match_results([read_result(path)], split)
    with _open_results(path) as (stream, where):
        return _read_entries(stream, where, split)


def match_results(results: Iterable[VideoResult], split: YouTubeVis) -> Predictions:
    """Match results of `segment` with a split by the names of videos and categories, as `export-json` does.

    Raises:
        VisError: a result is of no video of the split, of one seen before, or of another size or length.
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
    """Tell whether a file begins as a NAME.json does."""
    with open_limited(path, limit=MAX_RESULTS_BYTES) as stream:
        return stream.read(64).removeprefix(codecs.BOM_UTF8).lstrip().startswith(b"{")


@contextmanager
def _open_results(path: Path) -> Iterator[tuple[TextIO, str]]:
    """Open the list of entries, in a zip or not, and return it with its name for an error."""
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
        raise VisError(
            f"{path}: {printable(inner)} lies in a folder, where no server looks for it; zip {SUBMISSION_NAME} alone"
        )
    require(
        SUBMISSION_NAME in files, str(path), f"has no {SUBMISSION_NAME} but {printable(', '.join(files)) or 'nothing'}"
    )


def _read_entries(stream: TextIO, where: str, split: YouTubeVis) -> Predictions:
    """Check all of the entries but their masks, which are kept as text."""
    videos, known = {video.id: video for video in split.videos}, {category.id for category in split.categories}
    texts = defaultdict[int, list[tuple[str, str]]](list)  # video id -> the name and the text of each entry
    for index, (entry, text) in enumerate(iter_json_list(stream, where)):
        name = f"{where}: entry {index}"
        if not isinstance(entry, dict):
            raise VisError(f"{name} must be an object with video_id, category_id, score and segmentations")
        video = _check_entry(entry, videos, known, split, name)
        texts[video.id].append((name, text))
    readers = {id_: partial(_parse_entries, entries, videos[id_]) for id_, entries in texts.items()}
    return Predictions(readers, sum(map(len, texts.values())))


def _check_entry(
    entry: dict[str, Any], videos: Mapping[int, YouTubeVisVideo], known: set[int], split: YouTubeVis, where: str
) -> YouTubeVisVideo:
    video_id, category_id = take_field(entry, "video_id", int, where), take_field(entry, "category_id", int, where)
    require(video_id in videos, where, f"'video_id' is {video_id}, which is no video of {split.path}")
    require(category_id in known, where, f"'category_id' is {category_id}, which is no category of {split.path}")
    take_field(entry, "score", float, where)
    video = videos[video_id]
    masks, frames = len(take_field(entry, "segmentations", list, where)), len(video.file_names)
    require(masks == frames, where, f"has {masks} segmentations, but video {video.name} has {frames} frames")
    return video


def _parse_entries(entries: Iterable[tuple[str, str]], video: YouTubeVisVideo) -> list[Prediction]:
    return [_parse_entry(parse_json(text, where), video, where) for where, text in entries]


def _parse_entry(entry: Any, video: YouTubeVisVideo, where: str) -> Prediction:
    masks = entry["segmentations"]
    for frame, mask in enumerate(masks):
        plain = mask is None or (isinstance(mask, dict) and isinstance(mask.get("counts"), str))
        complaint = "must be null or an RLE whose 'counts' are a text: servers take no polygons and no lists"
        require(plain, f"{where}.segmentations[{frame}]", complaint)
    segmentations = parse_segmentations(masks, video.height, video.width, where)
    return Prediction(entry["category_id"], float(entry["score"]), segmentations)

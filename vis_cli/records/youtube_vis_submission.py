"""Writer of a submission to the YouTube-VIS and OVIS servers: results.json inside a zip.

Used by `vis export-json`. `submission_check` checks the file. `youtube_vis_results` uses the entries for `vis eval`.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from vis_cli.files.atomic import atomic_path
from vis_cli.records.bundle import zip_entry
from vis_cli.records.categories import CategoryMap, category_names
from vis_cli.records.result_matching import ExportReport, ResultMatcher, youtube_vis_sequences
from vis_cli.records.selection import Selection
from vis_cli.records.types import VideoResult
from vis_cli.records.youtube_vis import YouTubeVis

SUBMISSION_NAME = "results.json"  # the only name that the evaluation servers accept


def write_youtube_vis_submission(
    results: Iterable[VideoResult], split: YouTubeVis, path: Path, *, selection: Selection
) -> ExportReport:
    """Write a zip with results.json for the evaluation server.

    Args:
        results: One result per video, matched with the videos of the split by name. They are read one at a time.
        split: The split, with the ids of videos and categories.
        path: The zip file to write.
        selection: The instances and categories to export. An instance has one entry per selected category.

    Raises:
        VisError: The video of a result is not in the split, has two results, or has another size or length; or the
            file cannot be written.
    """
    matcher, categories = ResultMatcher(youtube_vis_sequences(split), selection), CategoryMap(split.categories)
    num_entries = 0
    with (
        atomic_path(path) as temporary,
        zipfile.ZipFile(temporary, "w") as archive,
        archive.open(zip_entry(SUBMISSION_NAME), "w", force_zip64=True) as stream,
    ):
        stream.write(b"[")
        for entry in iter_entries(results, split, matcher, categories, selection):
            separator = ",\n" if num_entries else ""
            stream.write((separator + json.dumps(entry, separators=(",", ":"), allow_nan=False)).encode())
            num_entries += 1
        stream.write(b"]\n")
    return matcher.report(num_entries, categories)


def iter_entries(
    results: Iterable[VideoResult],
    split: YouTubeVis,
    matcher: ResultMatcher,
    categories: CategoryMap,
    selection: Selection,
) -> Iterator[dict[str, Any]]:
    """Yield the entries of results.json, one per selected category of each selected instance.

    Raises:
        VisError: The video of a result is not in the split, has two results, or has another size or length.
    """
    video_ids = {video.name: video.id for video in split.videos}
    for result in results:
        match = matcher.match(result)
        names = category_names(result.categories)
        for instance in match.instances:
            for category_id, score in selection.categories(instance, names, categories):
                yield {
                    "video_id": video_ids[match.sequence.name],
                    "score": score,
                    "category_id": category_id,
                    "segmentations": list(instance.segmentations),
                }

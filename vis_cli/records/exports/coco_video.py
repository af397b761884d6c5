"""Writer of results as a dataset: JSON with videos, annotations and categories in the format of YouTube-VIS.

Used by `vis export`. The annotations have a score. `youtube_vis` reads the file.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TextIO

from vis_cli.files.atomic import atomic_path
from vis_cli.records.categories import CategoryMap, category_names
from vis_cli.records.davis_layout import SequenceFrames
from vis_cli.records.exports.own_categories import OwnCategories
from vis_cli.records.result_matching import ExportReport, ResultMatcher, youtube_vis_sequences
from vis_cli.records.rle import rle_area, rle_box
from vis_cli.records.selection import Selection
from vis_cli.records.types import InstanceSequence, VideoResult
from vis_cli.records.youtube_vis import YouTubeVis


def write_coco_video(
    results: Iterable[VideoResult], split: YouTubeVis | None, path: Path, *, selection: Selection
) -> ExportReport:
    """Write all results into one JSON file. Each instance is one annotation with its category of highest score.

    Args:
        results: One result per video. They are read one at a time.
        split: The split, with the ids of videos and categories. None numbers the videos from 1 and keeps the ids of
            the categories. Objects of given masks can have ids of no dataset: if such an id is taken, it is replaced.
        path: The JSON file to write.
        selection: The instances to export.

    Raises:
        VisError: A result does not match the split, two results use the same category id for different names, or the
            file cannot be written.
    """
    dataset = _Dataset(split, selection)
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8") as stream:
        stream.write('{"annotations":[')
        for result in results:
            dataset.add(result, stream)
        rest = {"videos": dataset.videos, "categories": dataset.categories()}
        stream.write("],\n" + _to_json(rest)[1:] + "\n")
    return dataset.report()


class _Dataset:
    """Writer of the annotations. It collects the videos and categories, which follow the annotations in the file."""

    def __init__(self, split: YouTubeVis | None, selection: Selection) -> None:
        self.matcher = ResultMatcher(youtube_vis_sequences(split) if split else None, selection)
        self.video_ids = {video.name: video.id for video in split.videos} if split else None
        self.split = split
        self.known = CategoryMap(split.categories) if split else None
        self.own = OwnCategories()
        self.videos: list[dict[str, Any]] = []
        self.num_annotations = 0

    def add(self, result: VideoResult, stream: TextIO) -> None:
        """Write the annotations of one result."""
        match = self.matcher.match(result)
        sequence = match.sequence
        video_id = len(self.videos) + 1 if self.video_ids is None else self.video_ids[sequence.name]
        self.videos.append(_video_to_json(sequence, video_id))
        categories = self._map_categories(result, match.instances)
        for instance in match.instances:
            category_id = categories[instance.category_id]
            if category_id is not None:
                separator = ",\n" if self.num_annotations else ""
                self.num_annotations += 1
                entry = _annotation_to_json(instance, sequence, category_id)
                stream.write(separator + _to_json({"id": self.num_annotations, "video_id": video_id, **entry}))

    def categories(self) -> list[dict[str, object]]:
        """Return all categories in the order of their ids."""
        if self.split is None:
            return self.own.to_json()
        return [{"id": item.id, "name": item.name} for item in sorted(self.split.categories, key=lambda item: item.id)]

    def report(self) -> ExportReport:
        """Return the report of the export."""
        return self.matcher.report(self.num_annotations, self.known)

    def _map_categories(
        self, result: VideoResult, instances: Sequence[InstanceSequence]
    ) -> dict[int | None, int | None]:
        """Return the ids in the file by the ids of the result. None: the split does not have the category."""
        if self.known is not None:
            names = category_names(result.categories)
            return {id_: self.known.find(names[id_]) for id_ in {instance.category_id for instance in instances}}
        return dict(self.own.ids_of(result, instances))


def _video_to_json(sequence: SequenceFrames, video_id: int) -> dict[str, Any]:
    return {
        "id": video_id,
        "width": sequence.width,
        "height": sequence.height,
        "length": len(sequence.file_names),
        "file_names": list(sequence.file_names),
    }


def _annotation_to_json(instance: InstanceSequence, sequence: SequenceFrames, category_id: int) -> dict[str, Any]:
    masks = instance.segmentations
    return {
        "category_id": category_id,
        "score": instance.score,
        "iscrowd": 0,
        "width": sequence.width,
        "height": sequence.height,
        "length": len(masks),
        "segmentations": list(masks),
        "areas": [None if mask is None else rle_area(mask) for mask in masks],
        "bboxes": [None if mask is None else list(rle_box(mask)) for mask in masks],
    }


def _to_json(data: dict[str, Any]) -> str:
    return json.dumps(data, separators=(",", ":"), allow_nan=False)

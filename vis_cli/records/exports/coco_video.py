"""Writer of results as a dataset: JSON with videos, annotations and categories in the format of YouTube-VIS.

Used by `vis export-json`. The annotations have a score. `youtube_vis` reads the file.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from itertools import count
from pathlib import Path
from typing import Any, TextIO

from vis_cli.errors import VisError
from vis_cli.files.atomic import atomic_path
from vis_cli.files.names import printable
from vis_cli.records.categories import UNNAMED, CategoryMap, category_names
from vis_cli.records.davis_layout import SequenceFrames
from vis_cli.records.json_fields import shown
from vis_cli.records.result_matching import ExportReport, ResultMatcher, youtube_vis_sequences
from vis_cli.records.rle import rle_area, rle_box
from vis_cli.records.selection import Selection
from vis_cli.records.types import Category, InstanceSequence, VideoResult
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
        self.own = _OwnCategories()
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

    def categories(self) -> list[dict[str, Any]]:
        """Return all categories in the order of their ids."""
        named = self.own.names if self.split is None else {item.id: item.name for item in self.split.categories}
        return [{"id": key, "name": name} for key, name in sorted(named.items())]

    def report(self) -> ExportReport:
        """Return the report of the export."""
        return self.matcher.report(self.num_annotations, self.known)

    def _map_categories(
        self, result: VideoResult, instances: Sequence[InstanceSequence]
    ) -> dict[int | None, int | None]:
        """Return the ids in the file by the ids of the result. None: the split does not have the category."""
        used = {instance.category_id for instance in instances}
        if self.known is not None:
            names = category_names(result.categories)
            return {id_: self.known.find(names[id_]) for id_ in used}
        where, is_given = printable(result.video.name), result.given_masks is not None
        taken = [category.id for category in result.categories]
        ids: dict[int | None, int | None] = {
            category.id: self.own.add(category, taken, where, is_given=is_given) for category in result.categories
        }
        if None in used:
            ids[None] = self.own.add(Category(1, UNNAMED), taken, where, is_given=True)
        return ids


class _OwnCategories:
    """Categories of an export without a split. An id that belongs to given objects is not an id of a dataset."""

    def __init__(self) -> None:
        self.names: dict[int, str] = {}
        self._replaceable: set[int] = set()  # ids that are not ids of a dataset

    def add(self, category: Category, taken: Sequence[int], where: str, *, is_given: bool) -> int:
        """Return the id of a category in the file: its own id, unless another category has this id.

        In a conflict with an id of given objects, the id of the same name or the lowest free id is used.

        Args:
            category: A category of a result.
            taken: Ids of all categories of this result.
            where: Name of its video, for the error message.
            is_given: Whether the user gave the objects of this category.

        Raises:
            VisError: Two results of detected objects use the id for different names.
        """
        id_, name = category.id, category.name
        if self.names.get(id_) == name:
            return id_
        for known in self.names if is_given else self._replaceable:
            if self.names[known] == name:
                return known
        if id_ in self.names:
            if not is_given and id_ not in self._replaceable:
                problem = f"category {id_} is {shown(name)} here, but {shown(self.names[id_])} in a previous result"
                raise VisError(problem, where=where, hint="Use --split FILE to take the ids of a split.")
            id_ = next(free for free in count(1) if free not in self.names and free not in taken)
            is_given = True
        self.names[id_] = name
        if is_given:
            self._replaceable.add(id_)
        return id_


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

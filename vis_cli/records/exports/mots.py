"""Writer of MOTS text files for the KITTI MOTS and MOTSChallenge tools, with one line per object and frame.

Used by `vis export`. A line is `frame id class height width rle`. The masks of a frame do not overlap.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vis_cli.errors import VisError
from vis_cli.files.names import printable
from vis_cli.records.categories import CategoryMap, category_names
from vis_cli.records.davis_layout import SequenceFrames
from vis_cli.records.exports.clip import write_files
from vis_cli.records.json_fields import require_unique
from vis_cli.records.result_matching import ExportReport, ResultMatcher, SplitSequences
from vis_cli.records.rle import encode_mask
from vis_cli.records.selection import Selection, rank_instances
from vis_cli.records.types import Category, InstanceSequence, VideoResult

MOTS_CATEGORIES = (Category(1, "car"), Category(2, "pedestrian"))
MAX_DIGITS = 18  # of a frame number, so that it fits into 64 bits
SUFFIX = ".txt"
IDS_PER_CLASS = 1000  # the id of an object is class * IDS_PER_CLASS + number within the class


@dataclass(frozen=True, slots=True)
class MotsObject:
    """One object of a MOTS file."""

    id: int
    class_id: int
    instance: InstanceSequence


def write_mots(
    results: Iterable[VideoResult], split: SplitSequences | None, path: Path, *, selection: Selection
) -> ExportReport:
    """Write <sequence>.txt for each result into a zip or a folder. Only cars and pedestrians are exported.

    Args:
        results: One result per video. They are read one at a time.
        split: The split, with the names of sequences and frames. None makes each result a sequence.
        path: See `write_files`.
        selection: The instances to export.

    Raises:
        VisError: A result does not match the split or has too many objects, or a file cannot be written.
    """
    matcher, categories, num_objects = ResultMatcher(split, selection), CategoryMap(MOTS_CATEGORIES), 0
    with write_files(path, SUFFIX) as add:
        for result in results:
            match = matcher.match(result)
            objects = _number_objects(result, match.instances, categories)
            num_objects += len(objects)
            numbers = frame_numbers(match.sequence, result.video.frame_numbers if split is None else None)
            lines = _iter_lines(objects, match.sequence, numbers)
            add(f"{match.sequence.name}{SUFFIX}", "".join(lines).encode("ascii"))
        for sequence in matcher.unmatched():
            add(f"{sequence.name}{SUFFIX}", b"")
    return matcher.report(num_objects, categories)


def frame_numbers(sequence: SequenceFrames, numbers: Sequence[int] | None = None) -> list[int]:
    """Return the frame numbers in the names of the frames, or the frame numbers in the video.

    Args:
        sequence: The frames.
        numbers: Their numbers in the video, which are used if a name is not a number. None: 0, 1, …

    Raises:
        VisError: Two frames have the same number.
    """
    names = sequence.frame_names
    if not all(name.isdecimal() and len(name.lstrip("0")) <= MAX_DIGITS for name in names):
        return list(range(len(names)) if numbers is None else numbers)
    named = [int(name) for name in names]
    require_unique(named, f"{printable(sequence.name)}: frame numbers")
    return named


def _number_objects(
    result: VideoResult, instances: Sequence[InstanceSequence], categories: CategoryMap
) -> list[MotsObject]:
    """Return the cars and pedestrians by descending score, numbered from 1 within each class."""
    names = category_names(result.categories)
    counts: Counter[int] = Counter()
    objects = []
    for instance in rank_instances(instances):
        class_id = categories.find(names[instance.category_id])
        if class_id is not None:
            counts[class_id] += 1
            objects.append(MotsObject(class_id * IDS_PER_CLASS + counts[class_id], class_id, instance))
    if max(counts.values(), default=0) >= IDS_PER_CLASS:
        problem = f"more than {IDS_PER_CLASS - 1} objects of a class"
        raise VisError(problem, where=printable(result.video.name), hint=f"Use --top {IDS_PER_CLASS - 1}.")
    return objects


def _iter_lines(objects: list[MotsObject], sequence: SequenceFrames, numbers: Sequence[int]) -> Iterator[str]:
    """Yield the lines of a file in the order of the frames. A pixel belongs to the object of highest score."""
    for index, number in enumerate(numbers):
        taken = np.zeros((sequence.height, sequence.width), np.bool_)
        for item in objects:
            mask = item.instance.mask(index)
            if mask is not None and (mask & ~taken).any():
                counts = encode_mask(mask & ~taken)["counts"]
                yield f"{number} {item.id} {item.class_id} {sequence.height} {sequence.width} {counts}\n"
                taken |= mask

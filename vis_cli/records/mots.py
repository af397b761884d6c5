"""MOTS text files, as the KITTI MOTS and MOTSChallenge tools read them: a line for each object in each frame.

Used by `export-json`. A line is `frame id class height width rle`; masks of one frame never overlap.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vis_cli.errors import VisError
from vis_cli.files.names import printable
from vis_cli.records.bundle import write_bundle
from vis_cli.records.categories import CategoryMap
from vis_cli.records.davis_layout import SequenceFrames
from vis_cli.records.json_fields import require_unique
from vis_cli.records.matching import ExportReport, ResultMatcher, SplitSequences
from vis_cli.records.rle import encode_mask
from vis_cli.records.selection import Selection, rank_instances
from vis_cli.records.types import Category, InstanceSequence, VideoResult

MOTS_CATEGORIES = (Category(1, "car"), Category(2, "pedestrian"))
MAX_DIGITS = 18  # of a frame's number: what readers hold in 64 bits
IDS_A_CLASS = 1000  # an object's id is its class times this, plus its number among those of the class


@dataclass(frozen=True, slots=True)
class MotsObject:
    """One object of a file, with its number in it."""

    id: int
    class_id: int
    instance: InstanceSequence


def write_mots(
    results: Iterable[VideoResult], split: SplitSequences | None, path: Path, *, selection: Selection
) -> ExportReport:
    """Write <sequence>.txt for each result into a zip or a folder; what is no car and no pedestrian is left out.

    Args:
        results: one a video; they are taken one at a time.
        split: names sequences and frames; None: each result is a sequence by itself.
        path: a name that ends in .zip becomes a zip, any other a folder.
        selection: which instances are taken.

    Raises:
        VisError: a result does not fit the split or has too many objects, or a file cannot be written.
    """
    matcher, categories, num_objects = ResultMatcher(split, selection), CategoryMap(MOTS_CATEGORIES), 0
    with write_bundle(path) as add:
        for result in results:
            match = matcher.match(result)
            objects = _number_objects(result, match.instances, categories)
            num_objects += len(objects)
            add(f"{match.sequence.name}.txt", "".join(_iter_lines(objects, match.sequence)).encode("ascii"))
        for sequence in matcher.unmatched():
            add(f"{sequence.name}.txt", b"")
    return matcher.report(num_objects, categories)


def frame_numbers(sequence: SequenceFrames) -> list[int]:
    """Return the numbers that the frames are named by, else their places from 0.

    Raises:
        VisError: Two frames have one number.
    """
    names = sequence.frame_names
    if not all(name.isdecimal() and len(name.lstrip("0")) <= MAX_DIGITS for name in names):
        return list(range(len(names)))
    numbers = [int(name) for name in names]
    require_unique(numbers, f"{printable(sequence.name)}: numbers of frames")
    return numbers


def _number_objects(
    result: VideoResult, instances: Sequence[InstanceSequence], categories: CategoryMap
) -> list[MotsObject]:
    """Return the cars and pedestrians, the best first, each class numbered from 1."""
    names = {category.id: category.name for category in result.categories}
    counts: Counter[int] = Counter()
    objects = []
    for instance in rank_instances(instances):
        class_id = categories.find(names[instance.category_id])
        if class_id is not None:
            counts[class_id] += 1
            objects.append(MotsObject(class_id * IDS_A_CLASS + counts[class_id], class_id, instance))
    if max(counts.values(), default=0) >= IDS_A_CLASS:
        raise VisError(f"{result.video.name}: more than {IDS_A_CLASS - 1} objects of a class; take fewer with --top")
    return objects


def _iter_lines(objects: list[MotsObject], sequence: SequenceFrames) -> Iterator[str]:
    """Yield the lines of a file in the order of frames; a pixel belongs to the best object that claims it."""
    for index, number in enumerate(frame_numbers(sequence)):
        taken = np.zeros((sequence.height, sequence.width), np.bool_)
        for item in objects:
            mask = item.instance.mask(index)
            if mask is not None and (mask & ~taken).any():
                counts = encode_mask(mask & ~taken)["counts"]
                yield f"{number} {item.id} {item.class_id} {sequence.height} {sequence.width} {counts}\n"
                taken |= mask

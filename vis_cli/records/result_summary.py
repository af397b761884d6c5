"""Number of frames, and scores and categories of the instances, of a NAME.json without its masks.

Used by `commands.batch`, which skips videos with an existing result: the masks of a long video take seconds to parse.
"""

from __future__ import annotations

import json
import mmap
from dataclasses import dataclass
from pathlib import Path

from vis_cli.errors import VisError
from vis_cli.files.reading import open_regular
from vis_cli.records.result_head import HEAD_BYTES, read_num_frames
from vis_cli.records.result_json import CATEGORIES_KEY, INSTANCES_KEY, MASKS_KEY, SCHEMA_START
from vis_cli.records.types import VideoResult

ENDS = (b"]}]}\n", INSTANCES_KEY + b"]}\n")  # of a complete file: the last mask of the last instance, or no instance


@dataclass(frozen=True, slots=True)
class InstanceSummary:
    """One instance without its masks."""

    score: float
    confident: bool
    category: str | None  # its name; None: an object that the user gave without a name


@dataclass(frozen=True, slots=True)
class ResultSummary:
    """Length of a video, and its instances without their masks."""

    num_frames: int
    instances: tuple[InstanceSummary, ...]


def summarize_result(result: VideoResult) -> ResultSummary:
    """Return the summary of a result."""
    names: dict[int | None, str] = {category.id: category.name for category in result.categories}
    instances = (
        InstanceSummary(instance.score, instance.confident, names.get(instance.category_id))
        for instance in result.instances
    )
    return ResultSummary(result.video.num_frames, tuple(instances))


def read_summary(path: Path) -> ResultSummary | None:
    """Read the summary of a complete result that `write_result` has written.

    Return None for a result of an earlier version, for a file that another program has rewritten, and for a damaged
    file. Then call `read_result`, which reads every form of a result and reports damage.

    The end of the file shows that it is complete, because `write_result` writes in order. Masks are not checked.
    """
    try:
        with open_regular(path) as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            if data[: len(SCHEMA_START)] != SCHEMA_START or not any(data[-len(end) :] == end for end in ENDS):
                return None
            num_frames = read_num_frames(data[:HEAD_BYTES])
            instances = _find_instances(data)
    except (VisError, OSError, ValueError, KeyError, TypeError, RecursionError):  # ValueError: empty, or not JSON
        return None
    return None if num_frames is None else ResultSummary(num_frames, instances)


def _find_instances(data: mmap.mmap) -> tuple[InstanceSummary, ...]:
    """Find the text before the masks of each instance. JSON escapes quotes, so that a string cannot contain the keys.

    Raises:
        ValueError: The text has another form.
    """
    found = []
    start = data.find(INSTANCES_KEY)
    names = _find_names(data, start)
    while (end := data.find(MASKS_KEY, start)) >= 0:
        start = data.rfind(b'{"id":', start, end)
        entry = json.loads(data[max(0, start) : end] + b"}")
        if not (isinstance(entry["score"], float) and isinstance(entry["confident"], bool)):
            raise ValueError("not an instance")
        found.append(InstanceSummary(entry["score"], entry["confident"], names[entry["category_id"]]))
        start = end + len(MASKS_KEY)
    if start < 0:
        raise ValueError("no list of instances")
    return tuple(found)


def _find_names(data: mmap.mmap, end: int) -> dict[int | None, str | None]:
    """Return the names of the categories by id. Their list ends at the byte `end`.

    Raises:
        ValueError: The text has another form.
    """
    start = data.rfind(CATEGORIES_KEY, 0, max(0, end))
    if start < 0:
        raise ValueError("no list of categories")
    names: dict[int | None, str | None] = {None: None}
    for entry in json.loads(data[start + len(CATEGORIES_KEY) - 1 : end]):
        if not (isinstance(entry["id"], int) and isinstance(entry["name"], str)):
            raise ValueError("not a category")
        names[entry["id"]] = entry["name"]
    return names

"""Plan of a batch in the folder of its results: the options, and all videos of a shard. Used by `commands.batch_run`.

`vis batch --status` counts missing videos with it, and `--retry` repeats videos with it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import islice
from operator import attrgetter
from pathlib import Path
from typing import Any

from vis_cli.batch.json_lines import blocks_of, read_values
from vis_cli.batch.manifest import FOLDER
from vis_cli.batch.tasks import Shard, VideoTask
from vis_cli.errors import VisError
from vis_cli.files.atomic import atomic_path
from vis_cli.files.reading import read_error

VERSION = 1
SECRETS = ("address", "masks_address")  # fields of a task that are never stored

_NAMES = tuple(field.name for field in fields(VideoTask) if field.name not in SECRETS)
_take = attrgetter(*_NAMES)
_dumps = json.JSONEncoder(separators=(",", ":")).encode


@dataclass(frozen=True, slots=True)
class Plan:
    """Options of a batch, and its videos."""

    options: Mapping[str, Any]  # JSON
    tasks: Sequence[VideoTask]


def write_plan(out: Path, shard: Shard, plan: Plan) -> None:
    """Write the plan of a shard. It replaces the plan of an earlier run.

    Raises:
        VisError: The file cannot be written.
    """
    with atomic_path(_plan_path(out, shard)) as path, path.open("w", encoding="ascii") as file:
        file.write(json.dumps({"version": VERSION, "options": plan.options}) + "\n")
        for task in plan.tasks:
            values = zip(_NAMES, _take(task), strict=True)
            file.write(_dumps({name: value for name, value in values if value}) + "\n")


def read_plan(out: Path) -> Plan:
    """Return the options and the videos of all shards. Several shards must have the same options.

    Raises:
        VisError: There is no plan, a plan is damaged, or the options of two shards differ.
    """
    options, paths = _read_options(out)
    tasks: dict[str, VideoTask] = {}
    for path in paths:
        tasks.update((task.name, task) for task in _iter_tasks(path))
    return Plan(options, list(tasks.values()))


def other_plans(out: Path, shard: Shard, options: Mapping[str, Any]) -> list[Path]:
    """Return the plans of other shards that have other options.

    Raises:
        VisError: A plan cannot be read, or is damaged.
    """
    own = _plan_path(out, shard)
    expected = json.loads(json.dumps(options))  # tuples become lists
    paths = (path for path in sorted((out / FOLDER).glob("plan-*.jsonl")) if path != own)
    return [path for path in paths if _read_head(path) != expected]


def _plan_path(out: Path, shard: Shard) -> Path:
    return out / FOLDER / f"plan-{shard}.jsonl"


def iter_names(out: Path) -> Iterator[str]:
    """Yield the names of the videos of all shards. This is faster than `read_plan`.

    Raises:
        VisError: See `read_plan`.
    """
    for path in _read_options(out)[1]:
        for row in _iter_rows(path):
            try:
                yield row["name"]
            except (KeyError, TypeError) as error:
                raise _damaged(path) from error


def _read_options(out: Path) -> tuple[Any, list[Path]]:
    """Return the options of all shards, and the files of their plans."""
    paths = sorted((out / FOLDER).glob("plan-*.jsonl"))
    if not paths:
        raise VisError(f"cannot read {out}: it is not the folder of a batch", hint="Use the -o DIR of `vis batch`.")
    heads = [_read_head(path) for path in paths]
    for path, head in zip(paths, heads, strict=True):
        if head != heads[0]:
            raise VisError(f"cannot read {path}: its options differ from {paths[0].name}", hint="Remove the old plan.")
    return heads[0], paths


def _read_head(path: Path) -> Any:
    try:
        with path.open(encoding="ascii") as file:
            head = json.loads(next(file))
        if head["version"] != VERSION:
            raise VisError(f"cannot read {path}: another version of vis wrote it", hint="Run the batch again.")
        return head["options"]
    except OSError as error:
        raise read_error(path, error) from error
    except (ValueError, KeyError, TypeError, StopIteration) as error:
        raise _damaged(path) from error


def _iter_tasks(path: Path) -> Iterator[VideoTask]:
    for row in _iter_rows(path):
        try:
            task = VideoTask(**{**row, "settings": tuple(row.get("settings", ()))})
        except (AttributeError, TypeError) as error:
            raise _damaged(path) from error
        if type(task.path) is not str or type(task.name) is not str or not task.name:
            raise _damaged(path)
        yield task


def _iter_rows(path: Path) -> Iterator[Any]:
    """Yield the rows of a plan after the options."""
    rows = (row for block in blocks_of(path) for row in read_values(block))
    return islice(rows, 1, None)


def _damaged(path: Path) -> VisError:
    return VisError(f"cannot read {path}: the plan is damaged", hint="Run the batch again.")

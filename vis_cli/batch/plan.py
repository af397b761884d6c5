"""Plan of a batch in the folder of its results: the options, and all videos of a shard. Used by `commands.batch_run`.

`vis batch --status` counts missing videos with it, and `--retry` repeats videos with it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vis_cli.batch.manifest import FOLDER
from vis_cli.batch.tasks import Shard, VideoTask
from vis_cli.errors import VisError
from vis_cli.files.atomic import atomic_path
from vis_cli.files.reading import read_error

VERSION = 1


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
    with atomic_path(out / FOLDER / f"plan-{shard}.jsonl") as path, path.open("w", encoding="ascii") as file:
        file.write(json.dumps({"version": VERSION, "options": plan.options}) + "\n")
        for task in plan.tasks:
            given = {name: value for name, value in asdict(task).items() if value}
            file.write(json.dumps(given, separators=(",", ":")) + "\n")


def read_plan(out: Path) -> Plan:
    """Return the options and the videos of all shards. Several shards must have the same options.

    Raises:
        VisError: There is no plan, a plan is damaged, or the options of two shards differ.
    """
    paths = sorted((out / FOLDER).glob("plan-*.jsonl"))
    if not paths:
        raise VisError(f"cannot read {out}: it is not the folder of a batch", hint="Use the -o DIR of `vis batch`.")
    options: Any = None
    tasks: dict[str, VideoTask] = {}
    for path in paths:
        head, found = _read(path)
        if options is not None and head != options:
            raise VisError(f"cannot read {path}: its options differ from {paths[0].name}", hint="Remove the old plan.")
        options = head
        tasks.update((task.name, task) for task in found)
    return Plan(options, list(tasks.values()))


def _read(path: Path) -> tuple[Any, list[VideoTask]]:
    try:
        with path.open(encoding="ascii") as file:
            head = json.loads(next(file))
            if head["version"] != VERSION:
                raise VisError(f"cannot read {path}: another version of vis wrote it", hint="Run the batch again.")
            rows = [json.loads(line) for line in file]
        tasks = [VideoTask(**{**row, "settings": tuple(row.get("settings", ()))}) for row in rows]
        return head["options"], tasks
    except OSError as error:
        raise read_error(path, error) from error
    except (ValueError, KeyError, TypeError, StopIteration) as error:
        raise VisError(f"cannot read {path}: the plan is damaged", hint="Run the batch again.") from error

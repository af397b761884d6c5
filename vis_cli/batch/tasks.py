"""Videos of a batch, their names, shards and folders, and the outcome of an attempt.

Used by all modules of `batch` and by `commands.batch_run`.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, TypeAlias

from vis_cli.errors import VisError
from vis_cli.files.limits import MAX_NAME_BYTES
from vis_cli.files.names import folded_name, printable, safe_file_name
from vis_cli.files.urls import is_url, url_name

RESULT_SUFFIX = ".json"
MAX_STEM_BYTES = MAX_NAME_BYTES - len(RESULT_SUFFIX)
NAMELESS = "root"
FOLDER_DIGITS = 2  # hexadecimal digits of the name of a result folder: 256 folders
TAIL_DIGITS = 8  # hexadecimal digits that keep two videos with the same file name apart
MAX_SHARDS = 1_000_000

Status: TypeAlias = Literal["done", "failed"]
# Why an attempt failed. The causes of `REPEATED` can be gone in a second attempt; an invalid video stays invalid.
Kind: TypeAlias = Literal[
    "", "invalid", "crashed", "timed out", "out of memory", "in use", "lost", "disk full", "storage"
]
REPEATED = ("crashed", "timed out", "out of memory", "in use")

_SHARD = re.compile(r"([0-9]{1,7})/([0-9]{1,7})")


@dataclass(frozen=True, slots=True)
class VideoTask:
    """One video of a batch: a row of the list."""

    path: str
    name: str = ""  # of its result; "": derived from the path
    start: str | None = None  # in the notation of --start
    end: str | None = None
    masks: str | None = None  # path of given masks
    settings: tuple[str, ...] = ()  # NAME=VALUE, in addition to the settings of the batch
    frames: int | None = None  # length, if the list has it
    address: str | None = field(default=None, repr=False)  # URL if `path` lacks its secrets; it is never stored
    masks_address: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Shard:
    """Shard `index`, counted from 1, of `number`. Each name belongs to one shard, on every machine."""

    index: int = 1
    number: int = 1

    def has(self, name: str) -> bool:
        """Return whether a name belongs to this shard."""
        return int(_digest(name)[:16], 16) % self.number == self.index - 1

    def __str__(self) -> str:
        """Return the name of the shard in file names."""
        return f"{self.index}-of-{self.number}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one attempt at a video ended."""

    status: Status
    kind: Kind = ""
    reason: str = ""
    frames: int | None = None
    instances: int | None = None
    seconds: float | None = None
    fingerprint: str | None = None
    model: str | None = None  # SHA-256 of the weights
    output_bytes: int | None = None
    output_sha256: str | None = None


def parse_shard(text: str) -> Shard:
    """Return the shard of a text such as 3/8.

    Raises:
        VisError: The text has another form, or the index is not from 1 to the number.
    """
    match = _SHARD.fullmatch(text)
    shard = None if match is None else Shard(int(match[1]), int(match[2]))
    if shard is None or not 1 <= shard.index <= shard.number <= MAX_SHARDS:
        raise VisError(f"is {printable(text)!r}", field="--shard", hint="Use I/N with I from 1 to N, such as 1/8.")
    return shard


def name_tasks(tasks: Iterable[VideoTask]) -> list[VideoTask]:
    """Return the tasks with the names of their results. Names that differ only by case count as equal.

    A task without a name gets the name of its file. If several files have this name, each gets a hash of its path and
    part, too. The names therefore do not depend on the order of the list.

    Raises:
        VisError: Two tasks have the same name, or a name is not a file name.
    """
    tasks = list(tasks)
    derived = [task.name or _file_name(task.path) for task in tasks]
    counts = Counter(map(folded_name, derived))
    named: list[VideoTask] = []
    taken: dict[str, str] = {}
    for task, name in zip(tasks, derived, strict=True):
        if task.name:
            _require_file_name(task)
        elif counts[folded_name(name)] > 1:
            tail = _digest(f"{task.path}\0{task.start}\0{task.end}")[:TAIL_DIGITS]
            name = safe_file_name(name, max_bytes=MAX_STEM_BYTES, fallback=NAMELESS, tail=f"-{tail}")
        other = taken.setdefault(folded_name(name), task.path)
        if len(taken) == len(named):
            if other == task.path and not task.name:
                problem = f"the video {printable(other)} occurs twice"
                raise VisError(problem, hint="Remove one of its rows, or give each row its own name.")
            problem = f"the name {printable(name)!r} occurs twice: for {printable(other)} and {printable(task.path)}"
            raise VisError(problem, hint="Give each video its own name.")
        named.append(replace(task, name=name))
    return named


def result_path(out: Path, name: str, *, is_flat: bool) -> Path:
    """Return the path of a result. Without `is_flat`, a hash of the name selects one of 256 folders."""
    folders = () if is_flat else (_digest(name)[:FOLDER_DIGITS],)
    return out.joinpath(*folders, f"{name}{RESULT_SUFFIX}")


def hash_fields(fields: Sequence[object]) -> str:
    """Return a short hash of values that JSON and `repr` show in the same way on every machine."""
    return _digest(repr(fields))[:32]


def _file_name(path: str) -> str:
    name = path.rpartition("/")[2]
    if is_url(path) or not name or name.strip(".") != name:
        name = _given_name(path)
    elif "." in name and not os.path.isdir(path):  # noqa: PTH112 (a Path per video takes longer)
        name = name.rpartition(".")[0]
    return safe_file_name(name, max_bytes=MAX_STEM_BYTES, fallback=NAMELESS)


def _given_name(path: str) -> str:
    """Return the name of a video with an unusual path."""
    given = Path(url_name(path) if is_url(path) else path)
    return given.name if path.endswith("/") or given.is_dir() else given.stem


def _require_file_name(task: VideoTask) -> None:
    safe = safe_file_name(task.name, max_bytes=MAX_STEM_BYTES, fallback=NAMELESS)
    if safe != task.name:
        problem = f"the name {printable(task.name)!r} of {printable(task.path)} is not a file name"
        raise VisError(problem, hint=f"Use a name such as {printable(safe)}.")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()

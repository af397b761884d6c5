"""Manifest of a batch: one row per attempt at a video, in append-only parts of JSON lines. The record of what is done.

Used by `driver`, `status` and `commands.batch_run`. Each driver appends to its own part, so that a part has one writer.
Readers merge the parts: the row with the highest attempt of a video counts. No clock decides.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from operator import itemgetter
from pathlib import Path
from typing import IO, Any

from vis_cli.batch.json_lines import Block, blocks_of, first_line_number, read_values
from vis_cli.batch.tasks import Outcome
from vis_cli.errors import VisError
from vis_cli.files.atomic import named_failures
from vis_cli.files.names import safe_file_name

FOLDER = "manifest"  # in the folder of the results
HOST_BYTES = 60


@dataclass(frozen=True, slots=True)
class Row:
    """One attempt at one video."""

    name: str
    path: str
    attempt: int  # counted from 1, over all runs
    is_final: bool  # whether no further attempt follows by itself
    outcome: Outcome
    settings: str  # hash of all that the result depends on, except the video
    size: int | None = None  # of the video in bytes, before the attempt
    modified: int | None = None  # time of its last change in ns, before the attempt
    worker: str = ""
    elapsed: float = 0.0  # seconds since the driver started, by a clock that does not jump
    ended: str = ""  # date and time, for information only

    def as_dict(self) -> dict[str, Any]:
        """Return the fields of the row and of its outcome."""
        values = asdict(self)
        outcome = values.pop("outcome")
        return {**values, **outcome}

    def as_json(self) -> str:
        """Return the row as one line of ASCII JSON."""
        return json.dumps(self.as_dict(), separators=(",", ":"))


_take_outcome = itemgetter(*(field.name for field in fields(Outcome)))
_take_row = itemgetter(*(field.name for field in fields(Row) if field.name != "outcome"))
_REPEATED = ("settings", "model", "worker", "status", "kind")  # the same strings in many rows
_take_texts = itemgetter("name", "path", "settings", "worker", "status", "kind", "reason")
_take_numbers = itemgetter("size", "modified", "frames", "instances", "seconds", "output_bytes")
_TEXT, _NUMBER = {str}, {int, float, type(None)}


class ManifestWriter:
    """Writer of one part. Use it as a context manager."""

    def __init__(self, out: Path) -> None:
        """Create the part with a name that no other driver uses.

        Raises:
            VisError: The part cannot be created.
        """
        host = safe_file_name(socket.gethostname(), max_bytes=HOST_BYTES, fallback="host")
        self._path = out / FOLDER / f"rows-{host}-{os.getpid()}-{secrets.token_hex(4)}.jsonl"
        with named_failures(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file: IO[bytes] = self._path.open("xb")

    def __enter__(self) -> ManifestWriter:
        """Return the writer."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the part, and remove it if it has no rows."""
        with suppress(OSError):  # `append` has reported the error of the disk
            self._file.close()
        with suppress(OSError):
            if not self._path.stat().st_size:
                self._path.unlink()

    def append(self, row: Row) -> None:
        """Write a row. It is in the file when this function returns, even if the process is killed later.

        Raises:
            VisError: The row cannot be written.
        """
        with named_failures(self._path):
            self._file.write(row.as_json().encode() + b"\n")
            self._file.flush()


def list_parts(out: Path) -> list[Path]:
    """Return the parts of the manifest: one per run of a driver."""
    return sorted((out / FOLDER).glob("rows-*.jsonl"))


def iter_rows(out: Path) -> Iterator[Row]:
    """Yield the rows of all parts. See `iter_part`."""
    for path in list_parts(out):
        yield from iter_part(path)


def iter_part(path: Path) -> Iterator[Row]:
    """Yield the rows of a part. A last line without an end is from a driver that was killed, and is omitted.

    Raises:
        VisError: The part cannot be read, or a line is damaged.
    """
    for block in blocks_of(path):
        yield from rows_of(block, read_values(block))


def rows_of(block: Block, values: Iterable[Any]) -> Iterator[Row]:
    """Yield the rows of a block. Equal settings, models and workers share their memory.

    Raises:
        VisError: A line is damaged.
    """
    shared: dict[str, str] = {}
    for index, value in enumerate(values):
        row = _make_row(value, shared)
        if row is None:
            where = f"{block.path}: line {first_line_number(block) + index}"
            raise VisError("the row is damaged", where=where, hint="Remove this line: its video runs again.")
        yield row


def last_rows(out: Path) -> dict[str, Row]:
    """Return the last row of each video, by name, with the fields that decide whether the video runs again.

    To save memory, the other fields have their default values.
    """
    last: dict[str, Row] = {}
    shared: dict[Outcome, Outcome] = {}
    settings: dict[str, str] = {}
    for row in iter_rows(out):
        known = last.get(row.name)
        if known is None or rank(row) > rank(known):
            outcome = Outcome(row.outcome.status, row.outcome.kind, frames=row.outcome.frames)
            outcome = shared.setdefault(outcome, outcome)
            production = settings.setdefault(row.settings, row.settings)
            last[row.name] = Row(
                row.name, row.path, row.attempt, row.is_final, outcome, production, row.size, row.modified
            )
    return last


def rank(row: Row) -> tuple[int, bool]:
    """Return the sort key of the rows of one video. Of two rows of the same attempt, a finished one counts."""
    return row.attempt, row.outcome.status == "done"


def _make_row(value: Any, shared: dict[str, str]) -> Row | None:
    """Return the row of a JSON object, None if it is damaged."""
    try:
        for name in _REPEATED:
            value[name] = shared.setdefault(value[name], value[name])
        outcome = Outcome(*_take_outcome(value))
        name, path, attempt, is_final, *others = _take_row(value)
    except (KeyError, TypeError):
        return None
    if type(attempt) is not int or type(is_final) is not bool or type(value["elapsed"]) not in (int, float):
        return None
    if set(map(type, _take_texts(value))) != _TEXT or not set(map(type, _take_numbers(value))) <= _NUMBER:
        return None
    return Row(name, path, attempt, is_final, outcome, *others)

"""Lists of videos for `vis batch`: text, CSV, JSONL and Parquet. Used by `commands.planned_batch`.

The column `path` is required. The columns `name`, `start`, `end`, `masks`, `settings` and `frames` are optional.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from vis_cli.batch.tasks import VideoTask
from vis_cli.errors import VisError
from vis_cli.files.names import printable
from vis_cli.files.reading import read_text
from vis_cli.files.urls import is_url, shown_url
from vis_cli.messages import Messages
from vis_cli.records.part import make_request
from vis_cli.records.source_identity import absolute_path, absolute_text

COLUMNS = ("path", "name", "start", "end", "masks", "settings", "frames")
SUFFIXES = (".txt", ".csv", ".jsonl", ".parquet")
MAX_LIST_BYTES = 2**30
MAX_FRAMES = 10**9

POSITIONS = ("start", "end")
_WHOLE_DECIMAL = re.compile(r"([0-9]{1,15})\.0{1,15}")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")


def is_list(path: Path) -> bool:
    """Return whether a path is a list of videos, by its file extension."""
    return path.suffix.lower() in SUFFIXES and not path.is_dir()


def read_list(path: Path, messages: Messages) -> list[VideoTask]:
    """Read a list of videos. Relative paths start at the current folder.

    Raises:
        VisError: The file cannot be read or is empty, the column `path` is missing, or a value is invalid.
    """
    readers = {".txt": _read_text, ".csv": _read_csv, ".jsonl": _read_jsonl, ".parquet": _read_parquet}
    tasks = []
    others: dict[str, None] = {}
    for where, row in readers[path.suffix.lower()](path):
        others.update(dict.fromkeys(name for name in row if name and name not in COLUMNS))
        tasks.append(_make_task(row, where))
    if not tasks:
        raise VisError(f"cannot read {path}: the list is empty", hint="Add one path per line.")
    if others:
        messages.warn(f"{path}: columns not used: {printable(', '.join(others))}")
    return tasks


def task_of(path: Path) -> VideoTask:
    """Return the task of a video that the command line names."""
    return VideoTask(str(absolute_path(path)))


def address_of(text: str) -> tuple[str, str | None]:
    """Return the path or URL to show and to store, and the complete URL if it contains secrets."""
    if not is_url(text):
        return absolute_text(text), None
    shown = shown_url(text)
    return shown, None if shown == text else text


def _read_text(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for number, line in enumerate(_text_of(path).split("\n"), start=1):
        if line.strip():
            yield f"{path}: line {number}", {"path": line.rstrip("\r")}


def _read_csv(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    rows = csv.DictReader(io.StringIO(_text_of(path), newline=""), strict=True)
    try:
        if rows.fieldnames is not None:
            _require_path(rows.fieldnames, path)
        for row in rows:
            where = f"{path}: line {rows.line_num}"
            if any(row.pop(None, ())):  # values without a column
                raise VisError("has more values than the header", where=where, hint="Quote values with commas.")
            if any(row.values()):  # a table program writes a line of commas for an empty row
                yield where, row
    except csv.Error as error:
        raise VisError(f"cannot read {path}: {error}", hint="Save the list as CSV with a header.") from error


def _read_jsonl(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for number, line in enumerate(_text_of(path).split("\n"), start=1):
        if not line.strip():
            continue
        where = f"{path}: line {number}"
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise VisError("is not JSON", where=where, hint="Write one JSON object per line.") from error
        if not isinstance(row, dict):
            raise VisError("is not a JSON object", where=where, hint='Use lines such as {"path": "a.mp4"}.')
        _require_path(row, where)
        yield where, row


def _read_parquet(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        problem = f"cannot read {path}: the package pyarrow is missing"
        raise VisError(problem, hint="Run: pip install 'vis-cli[parquet]'") from error
    try:
        with parquet.ParquetFile(path) as file:
            _require_path(file.schema_arrow.names, path)
            batches = (batch.to_pylist() for batch in file.iter_batches())
            for number, row in enumerate((row for rows in batches for row in rows), start=1):
                yield f"{path}: row {number}", {name: _without_nulls(value) for name, value in row.items()}
    except (OSError, UnicodeDecodeError, pyarrow.ArrowException) as error:
        problem = f"cannot read {path}: {printable(str(error).partition(chr(10))[0])}"
        raise VisError(problem, hint="Restore the file.") from error


def _without_nulls(value: object) -> object:
    """Return a value without the fields that a row of Parquet does not set: each row has the fields of all rows."""
    if not isinstance(value, Mapping):
        return value
    return {name: given for name, given in value.items() if given is not None}


def _text_of(path: Path) -> str:
    return read_text(path, limit=MAX_LIST_BYTES)


def _require_path(columns: Iterable[str], where: object) -> None:
    names = list(columns)
    if "path" not in names:
        shown = printable(", ".join(map(str, names))) or "none"
        raise VisError(f"the column path is missing (columns: {shown})", where=where, hint="Name the column path.")
    if twice := [name for name in COLUMNS if names.count(name) > 1]:
        raise VisError(f"the column {twice[0]} occurs twice", where=where, hint="Remove one of the columns.")


def _make_task(row: Mapping[str, Any], where: str) -> VideoTask:
    values = {name: _text_value(row.get(name), name, where) for name in COLUMNS if name not in ("settings", "frames")}
    path, masks = values["path"], values["masks"]
    if path is None:
        raise VisError("the path is empty", where=where, hint="Remove the row, or add its path.")
    _require_openable(path, "path", where)
    if masks is not None:
        _require_openable(masks, "masks", where)
    for name in POSITIONS:
        _require_unit(values[name], name, where)
    if values["start"] or values["end"]:
        try:
            make_request(values["start"], values["end"])
        except VisError as error:
            raise error.inside(where) from error
    path, address = address_of(path)
    masks, masks_address = (None, None) if masks is None else address_of(masks)
    return VideoTask(
        path,
        values["name"] or "",
        values["start"],
        values["end"],
        masks,
        _settings_of(row.get("settings"), where),
        _frames_of(row.get("frames"), where),
        address,
        masks_address,
    )


def _require_unit(text: str | None, name: str, where: str) -> None:
    """Reject 120.0, which can be frame 120 or 120 seconds.

    A program writes frame numbers like this if a value of the column is missing, and seconds, too.

    Raises:
        VisError: The value is such a number.
    """
    match = None if text is None else _WHOLE_DECIMAL.fullmatch(text.strip())
    if text is not None and match and (whole := int(match[1])):  # frame 0 is at 0 seconds
        problem = f"is {printable(text.strip())}, which can be frame {whole} or {whole} seconds"
        hint = f"Use {whole} for the frame, or {whole}s for the time, in all rows of the column."
        raise VisError(problem, where=where, field=name, hint=hint)


def _require_openable(text: str, name: str, where: str) -> None:
    """Check that a path or URL has a form that can be opened.

    Raises:
        VisError: It has not.
    """
    if "\0" in text:
        raise VisError("contains a NUL character", where=where, field=name, hint="Correct the path.")
    if (match := _SCHEME.match(text)) and not is_url(text):
        hint = "Use a path, or a complete URL with s3, gs, http or https."
        raise VisError(f"is a URL with {match[1]}, which is not opened", where=where, field=name, hint=hint)
    try:
        os.fsencode(text)
    except UnicodeEncodeError as error:
        problem = f"is {printable(text)!r}, which no file can have as its path"
        raise VisError(problem, where=where, field=name, hint="Correct the path.") from error


def _text_value(value: object, name: str, where: str) -> str | None:
    """Return a value as text. None: it is missing, only spaces, or NaN, with which tables mark a missing number."""
    if value is None or value != value or (isinstance(value, str) and not value.strip()):
        return None
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise VisError("is not text or a number", where=where, field=name, hint="Use text.")
    return str(value)


def _settings_of(value: object, where: str) -> tuple[str, ...]:
    """Return the settings of a row: NAME=VALUE separated by spaces, or an object."""
    if isinstance(value, Mapping):
        return tuple(f"{name}={_shown(given)}" for name, given in value.items())
    text = _text_value(value, "settings", where)
    return () if text is None else tuple(text.split())


def _shown(value: object) -> str:
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    return str(value)


def _frames_of(value: object, where: str) -> int | None:
    text = _text_value(value, "frames", where)
    if text is None:
        return None
    try:
        frames = float(text)  # such as 8.0: with a missing value, a column of whole numbers becomes one of floats
    except ValueError:
        frames = 0.0
    if not (1 <= frames <= MAX_FRAMES and frames.is_integer()):
        hint = "Use the number of frames, or leave it empty."
        raise VisError(f"is {printable(text)!r}", where=where, field="frames", hint=hint)
    return int(frames)

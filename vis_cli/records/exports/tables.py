"""Tables of instances and frames: `csv` and `parquet`. docs/reference/tables.md describes the columns.

CSV follows RFC 4180 with a byte order mark, which Excel needs to read UTF-8. A text cell that a spreadsheet would
compute as a formula gets a leading apostrophe, as the OWASP page "CSV Injection" and ASVS 1.2.10 recommend.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from vis_cli.errors import VisError
from vis_cli.files.atomic import atomic_path
from vis_cli.records.exports.clip import Clip, Target
from vis_cli.records.exports.measures import Measures, measure
from vis_cli.records.types import InstanceSequence

Columns: TypeAlias = dict[str, list[Any]]

FORMULA_STARTS = tuple("=+-@\t\r\n\0＝＋－＠")  # the last four are the wide forms, which Excel also accepts in Japanese
TIME_DIGITS, CENTRE_DIGITS = 6, 2
TEXT, INTEGER, NUMBER, FLAG = "string", "int64", "double", "bool"  # types of a column in Parquet
FRAME_COLUMNS = {
    "video": TEXT,
    "frame": INTEGER,
    "time": NUMBER,
    "instance": INTEGER,
    "category": TEXT,
    "score": NUMBER,
    "visible": FLAG,
    "x": INTEGER,
    "y": INTEGER,
    "width": INTEGER,
    "height": INTEGER,
    "area": INTEGER,
    "centre_x": NUMBER,
    "centre_y": NUMBER,
}
INSTANCE_COLUMNS = {
    "video": TEXT,
    "instance": INTEGER,
    "category": TEXT,
    "score": NUMBER,
    "confident": FLAG,
    "first_frame": INTEGER,
    "last_frame": INTEGER,
    "first_time": NUMBER,
    "last_time": NUMBER,
    "visible_frames": INTEGER,
    "mean_area": NUMBER,
}


class _Table(Protocol):
    """One opened table."""

    def __call__(self, columns: Columns) -> None:
        """Append rows."""


def instances_path(path: Path) -> Path:
    """Return the path of the table of instances: tracks_instances.csv for tracks.csv."""
    return path.with_name(f"{path.stem}_instances{path.suffix}")


def write_csv(clips: Iterable[Clip], target: Target) -> int:
    """Write the tables as CSV. Booleans are 0 and 1, and a missing value is an empty cell."""
    return _write_tables(clips, target.path, _open_csv)


def write_parquet(clips: Iterable[Clip], target: Target) -> int:
    """Write the tables as Apache Parquet.

    Raises:
        VisError: The package pyarrow is missing.
    """
    return _write_tables(clips, target.path, _open_parquet)


def instance_lines(clip: Clip, measured: Iterable[Measures]) -> list[str]:
    """Return the CSV text of the table of instances: the header, then one string per instance of the clip.

    Args:
        clip: The instances.
        measured: The measures of each instance.
    """
    rows = (_instance_row(clip, *item) for item in zip(clip.instances, measured, strict=True))
    cells = ([_cells(row[name], kind)[0] for name, kind in INSTANCE_COLUMNS.items()] for row in rows)
    return [_csv_line(line) for line in ([*INSTANCE_COLUMNS], *cells)]


def _csv_line(cells: list[Any]) -> str:
    stream = io.StringIO(newline="")
    csv.writer(stream).writerow(cells)
    return stream.getvalue()


def frame_table(clip: Clip) -> Columns:
    """Return the table of frames of one result: one list of values per column of `FRAME_COLUMNS`."""
    rows = [_frame_rows(clip, instance, measure(instance.segmentations)) for instance in clip.instances]
    return _joined(rows, FRAME_COLUMNS)


class _Opener(Protocol):
    def __call__(self, path: Path, types: dict[str, str]) -> AbstractContextManager[_Table]: ...


def _write_tables(clips: Iterable[Clip], path: Path, opened: _Opener) -> int:
    num_instances = 0
    with opened(path, FRAME_COLUMNS) as frames, opened(instances_path(path), INSTANCE_COLUMNS) as instances:
        for clip in clips:
            measured = [(instance, measure(instance.segmentations)) for instance in clip.instances]
            frames(_joined([_frame_rows(clip, *item) for item in measured], FRAME_COLUMNS))
            instances(_joined([_instance_row(clip, *item) for item in measured], INSTANCE_COLUMNS))
            num_instances += len(measured)
    return num_instances


def _joined(parts: list[Columns], names: Iterable[str]) -> Columns:
    return {name: [value for part in parts for value in part[name]] for name in names}


def _frame_rows(clip: Clip, instance: InstanceSequence, measures: Measures) -> Columns:
    """Return one row per frame. Box, area and centre of an absent object are None."""
    count = len(clip.frames)
    shown = (measures.areas > 0).tolist()

    def values(column: list[Any]) -> list[Any]:
        return [value if visible else None for value, visible in zip(column, shown, strict=True)]

    return {
        "video": [clip.name] * count,
        "frame": list(clip.frames),
        "time": [_time(clip, position) for position in range(count)],
        "instance": [instance.id] * count,
        "category": [_category(clip, instance)] * count,
        "score": [instance.score] * count,
        "visible": shown,
        **{name: values(measures.boxes[:, k].tolist()) for k, name in enumerate(("x", "y", "width", "height"))},
        "area": values(measures.areas.tolist()),
        **{
            name: values(measures.centres[:, k].round(CENTRE_DIGITS).tolist())
            for k, name in enumerate(("centre_x", "centre_y"))
        },
    }


def _instance_row(clip: Clip, instance: InstanceSequence, measures: Measures) -> Columns:
    visible = measures.visible.tolist()
    first, last = (visible[0], visible[-1]) if visible else (None, None)
    mean = round(float(measures.areas[visible].mean()), CENTRE_DIGITS) if visible else None
    row = {
        "video": clip.name,
        "instance": instance.id,
        "category": _category(clip, instance),
        "score": instance.score,
        "confident": instance.confident,
        "first_frame": None if first is None else clip.frames[first],
        "last_frame": None if last is None else clip.frames[last],
        "first_time": None if first is None else _time(clip, first),
        "last_time": None if last is None else _time(clip, last),
        "visible_frames": len(visible),
        "mean_area": mean,
    }
    return {name: [value] for name, value in row.items()}


def _time(clip: Clip, position: int) -> float | None:
    time = clip.time(position)
    return None if time is None else round(time, TIME_DIGITS)


def _category(clip: Clip, instance: InstanceSequence) -> str | None:
    return None if instance.category_id is None else clip.category_of(instance)


@contextmanager
def _open_csv(path: Path, types: dict[str, str]) -> Iterator[_Table]:
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8-sig", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(types)

        def append(columns: Columns) -> None:
            cells = (_cells(columns[name], kind) for name, kind in types.items())
            writer.writerows(zip(*cells, strict=True))

        yield append


def _cells(values: list[Any], kind: str) -> list[Any]:
    if kind == FLAG:
        return [int(value) for value in values]
    if kind != TEXT:
        return values
    safe = {value: _harmless(value) for value in set(values) if value is not None}
    return [None if value is None else safe[value] for value in values]


def _harmless(text: str) -> str:
    """Return the text of a cell that no spreadsheet computes. Lone surrogates, which UTF-8 cannot store, become `?`."""
    text = text.encode("utf-8", "replace").decode()
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text


@contextmanager
def _open_parquet(path: Path, types: dict[str, str]) -> Iterator[_Table]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        problem = f"cannot write {path}: the package pyarrow is missing"
        raise VisError(problem, hint="Install it with `pip install 'vis-cli[parquet]'`, or use --to csv.") from error
    schema = pyarrow.schema([(name, pyarrow.type_for_alias(kind)) for name, kind in types.items()])
    with atomic_path(path) as temporary, parquet.ParquetWriter(temporary, schema) as writer:
        yield lambda columns: writer.write_table(pyarrow.Table.from_pydict(_encodable(columns), schema=schema))


def _encodable(columns: Columns) -> Columns:
    def plain(value: Any) -> Any:
        return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value

    return {name: [plain(value) for value in values] for name, values in columns.items()}

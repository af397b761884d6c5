"""Manifest of a batch as one Parquet file, for other programs. Used by `commands.batch_report`."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any

from vis_cli.batch.manifest import iter_rows
from vis_cli.errors import VisError
from vis_cli.files.atomic import atomic_path

GROUP = 100_000  # rows in memory
TEXTS = ("name", "path", "settings", "worker", "ended", "status", "kind", "reason", "fingerprint", "model")
NUMBERS = ("attempt", "size", "modified", "frames", "instances", "output_bytes")


def write_parquet(out: Path, path: Path) -> None:
    """Write all rows of the manifest, in the columns of its JSON lines. A name that is not UTF-8 is escaped.

    Raises:
        VisError: The package pyarrow is missing, or a file cannot be read or written.
    """
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        problem = f"cannot write {path}: the package pyarrow is missing"
        raise VisError(problem, hint="Run: pip install 'vis-cli[parquet]'") from error
    fields: list[tuple[str, Any]] = [(name, pyarrow.string()) for name in (*TEXTS, "output_sha256")]
    fields += [(name, pyarrow.int64()) for name in NUMBERS]
    fields += [("seconds", pyarrow.float64()), ("elapsed", pyarrow.float64()), ("is_final", pyarrow.bool_())]
    schema = pyarrow.schema(fields)
    rows = iter_rows(out)
    with atomic_path(path) as temporary, parquet.ParquetWriter(temporary, schema) as writer:
        while group := list(islice(rows, GROUP)):
            values = [{name: _plain(value) for name, value in row.as_dict().items()} for row in group]
            writer.write_table(pyarrow.Table.from_pylist(values, schema=schema))


def _plain(value: object) -> object:
    if isinstance(value, str) and not value.isascii():
        return value.encode("utf-8", "backslashreplace").decode()
    return value

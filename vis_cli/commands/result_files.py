"""Search for the results that a command reads: files, folders and patterns.

Used by `export`, `export_json`, `render` and `evaluate`.
"""

from __future__ import annotations

import glob
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from vis_cli.console import Reporter, UsageError
from vis_cli.files.names import natural_key
from vis_cli.records.export_messages import shorten
from vis_cli.records.result_json import list_json, read_result
from vis_cli.records.types import VideoResult


class ResultLoader:
    """Reader of results that keeps the last one: a command reads a single result once."""

    def __init__(self) -> None:
        """Start without a result."""
        self._last: tuple[Path, VideoResult] | None = None

    def read(self, path: Path) -> VideoResult:
        """Read a result.

        Raises:
            VisError: The file cannot be read, or is not a result.
        """
        if self._last is None or self._last[0] != path:
            self._last = None  # frees the memory before the next result is read
            self._last = (path, read_result(path))
        return self._last[1]

    def iterate(self, paths: Sequence[Path]) -> Iterator[VideoResult]:
        """Yield the results of several files."""
        return map(self.read, paths)


def find_results(paths: Iterable[Path], reporter: Reporter) -> list[Path]:
    """Return the given files and the results in the given folders. Warn about other JSON files in the folders.

    Raises:
        UsageError: A folder has no results.
    """
    found: list[Path] = []
    for path in paths:
        files, others = list_json(path) if path.is_dir() else ([path], [])
        warn_not_results(others, reporter)
        if not files:
            raise UsageError(
                f"cannot read {path}: no results (*.json) in this folder", hint="Use the folder of `vis segment -o`."
            )
        found.extend(files)
    return list(dict.fromkeys(found))


def expand_patterns(texts: Iterable[str]) -> list[Path]:
    """Return the paths of files, folders and glob patterns, such as 'day?/*.json'.

    Raises:
        UsageError: A path does not exist, or a pattern matches nothing.
    """
    found: list[Path] = []
    for text in texts:
        path = Path(text)
        matches = [path] if path.exists() else _matches(text)
        if not matches:
            problem = "no file matches the pattern" if glob.has_magic(text) else "no such file or folder"
            raise UsageError(f"cannot read {text}: {problem}", hint="Check the path.")
        found += matches
    return found


def _matches(pattern: str) -> list[Path]:
    names = sorted(glob.glob(pattern, recursive=True), key=natural_key)  # noqa: PTH207 (the pattern may be absolute)
    return [Path(name) for name in names]


def warn_not_results(paths: Sequence[Path], reporter: Reporter) -> None:
    """Warn about JSON files in a results folder that are not results."""
    if paths:
        reporter.warn(f"ignored files that are not results of `vis segment`: {shorten([str(path) for path in paths])}")

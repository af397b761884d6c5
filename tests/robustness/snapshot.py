"""What lies in a folder, so that a change of any input shows; and what a command left where nothing belongs."""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Iterator
from pathlib import Path

HASHED = 2**22  # bytes: a larger file is known by its size and time alone
Snapshot = dict[str, str]  # path as shown -> what is there


def take_snapshot(folder: Path, *, without: str | None = None) -> Snapshot:
    """Describe every file, link and special file of a folder; `without` is a path whose content may change."""
    found = {}
    for path in _walk(folder):
        name = str(path.relative_to(folder))
        if without is None or not (name == without or name.startswith(f"{without}/")):
            found[ascii(name)] = _describe(path)
    return found


def list_files(folder: Path) -> list[str]:
    """List everything below a folder; a path that no file can have has nothing below it."""
    try:
        is_there = folder.is_dir()
    except OSError:
        return []
    return sorted(str(path.relative_to(folder)) for path in _walk(folder)) if is_there else []


def _walk(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        yield path
        if path.is_dir() and not path.is_symlink():
            yield from _walk(path)


def _describe(path: Path) -> str:
    state = path.lstat()
    kind = stat.S_IFMT(state.st_mode)
    if kind == stat.S_IFLNK:
        return f"link to {str(path.readlink())!r}"
    if kind == stat.S_IFREG:
        content = hashlib.md5(path.read_bytes()).hexdigest() if state.st_size <= HASHED else ""
        return f"{state.st_size} bytes {content} of {state.st_mtime_ns}"
    return f"type {kind:o}"

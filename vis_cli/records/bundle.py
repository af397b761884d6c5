"""A bundle of small files as a folder or a zip, for submissions of PNGs or text files.

Used by the DAVIS and MOTS exports and by `davis_check`.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from vis_cli.errors import VisError
from vis_cli.files.archives import member_names, open_zip, read_member
from vis_cli.files.atomic import LockedFolder, atomic_folder, atomic_path
from vis_cli.files.limits import MAX_IMAGE_BYTES
from vis_cli.files.names import folded_name, natural_key, printable, safe_relative_path
from vis_cli.files.reading import read_bytes

ZIP_SUFFIX = ".zip"

AddFile: TypeAlias = Callable[[str, bytes], None]


@dataclass(frozen=True, slots=True)
class Bundle:
    """An opened bundle."""

    names: tuple[str, ...]  # relative paths of all files, with / as separator
    read: Callable[[str], bytes]  # returns the content of the file of a name


def zip_entry(name: str) -> zipfile.ZipInfo:
    """Return the header of a compressed file in a zip. Its date is 1980, so that equal results give equal zips."""
    entry = zipfile.ZipInfo(name)
    entry.compress_type = zipfile.ZIP_DEFLATED
    return entry


@contextmanager
def write_bundle(path: Path) -> Iterator[AddFile]:
    """Create a bundle, and yield a function that adds a file with a name and its content.

    A zip is written atomically. In a folder, each file is written atomically.

    Args:
        path: A path with the extension .zip becomes a zip, any other path a folder.

    Raises:
        VisError: A file cannot be written, its name is unsafe, or two names are equal on some file systems.
    """
    names = _Names(path)
    if path.suffix.lower() != ZIP_SUFFIX:
        with atomic_folder(path) as folder:
            yield lambda name, data: _write_file(folder, names.check(name), data)
        return
    with atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        yield lambda name, data: archive.writestr(zip_entry(names.check(name)), data)


@contextmanager
def read_bundle(path: Path) -> Iterator[Bundle]:
    """Open a folder or a zip. Hidden files of a folder are omitted.

    Raises:
        VisError: The path is neither a folder nor a zip, or the zip is damaged.
    """
    if path.is_dir():
        files = {file.relative_to(path).as_posix(): file for file in path.rglob("*") if file.is_file()}
        shown = [name for name in files if not any(part.startswith(".") for part in name.split("/"))]
        yield Bundle(tuple(sorted(shown, key=natural_key)), lambda name: read_bytes(files[name], limit=MAX_IMAGE_BYTES))
        return
    with open_zip(path) as archive:
        yield Bundle(member_names(archive), lambda name: read_member(archive, name, limit=MAX_IMAGE_BYTES))


class _Names:
    """Check of the names in a bundle. It compares each name with the previous names."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: dict[str, str] = {}

    def check(self, name: str) -> str:
        safe = safe_relative_path(name, str(self._path)).as_posix()
        key = folded_name(safe)
        if key in self._seen:
            first, second = printable(self._seen[key]), printable(safe)
            cause = "occurs twice" if first == second else f"and {second} differ only in case or Unicode form"
            raise VisError(f"cannot write {self._path}: {first} {cause}", hint="Rename one of the files.")
        self._seen[key] = safe
        return safe


def _write_file(folder: LockedFolder, name: str, data: bytes) -> None:
    with folder.atomic_path(name) as temporary:
        temporary.write_bytes(data)

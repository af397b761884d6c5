"""Many small files as a folder or as a zip: how submissions of PNGs or texts are written and read.

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
    """Hold the names of all files, folders with / before them, and the function that reads one."""

    names: tuple[str, ...]
    read: Callable[[str], bytes]


def zip_entry(name: str) -> zipfile.ZipInfo:
    """Describe a compressed file of a zip; its time stays 1980, so that the same results make the same zip."""
    entry = zipfile.ZipInfo(name)
    entry.compress_type = zipfile.ZIP_DEFLATED
    return entry


@contextmanager
def write_bundle(path: Path) -> Iterator[AddFile]:
    """Yield a function that adds a file under its name; a path that ends in .zip becomes a zip, any other a folder.

    A zip is complete or absent; so is each file of a folder.

    Raises:
        VisError: A file cannot be written, its name leaves the folder, or two names are equal on some file systems.
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
    """Open a folder or a zip; hidden files of a folder are left out.

    Raises:
        VisError: It is neither, or damaged.
    """
    if path.is_dir():
        files = {file.relative_to(path).as_posix(): file for file in path.rglob("*") if file.is_file()}
        shown = [name for name in files if not any(part.startswith(".") for part in name.split("/"))]
        yield Bundle(tuple(sorted(shown, key=natural_key)), lambda name: read_bytes(files[name], limit=MAX_IMAGE_BYTES))
        return
    with open_zip(path) as archive:
        yield Bundle(member_names(archive), lambda name: read_member(archive, name, limit=MAX_IMAGE_BYTES))


class _Names:
    """Check the names of a bundle, each against those before it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: dict[str, str] = {}

    def check(self, name: str) -> str:
        safe = safe_relative_path(name, str(self._path)).as_posix()
        key = folded_name(safe)
        if key in self._seen:
            first, second = printable(self._seen[key]), printable(safe)
            cause = "would be written twice" if first == second else f"and {second} differ only in case or Unicode form"
            raise VisError(f"cannot write {self._path}: {first} {cause}. Rename one of the two.")
        self._seen[key] = safe
        return safe


def _write_file(folder: LockedFolder, name: str, data: bytes) -> None:
    with folder.atomic_path(name) as temporary:
        temporary.write_bytes(data)

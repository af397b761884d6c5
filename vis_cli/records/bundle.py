"""Many small files as a folder or as a zip: how submissions of PNGs or texts are written and read.

Used by the DAVIS and MOTS exports and by `davis_check`.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from vis_cli.errors import VisError
from vis_cli.files.atomic import LockedFolder, atomic_folder, atomic_path

ZIP_SUFFIX = ".zip"
# What zipfile raises on a damaged, encrypted or unknown kind of archive.
ZIP_ERRORS = (zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError, EOFError, OSError)

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

    A zip is whole or absent; of a folder, each file is.

    Raises:
        VisError: a file cannot be written.
    """
    if path.suffix.lower() != ZIP_SUFFIX:
        with atomic_folder(path) as folder:
            yield lambda name, data: _write_file(folder, name, data)
        return
    with atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        yield lambda name, data: archive.writestr(zip_entry(name), data)


@contextmanager
def read_bundle(path: Path) -> Iterator[Bundle]:
    """Open a folder or a zip.

    Raises:
        VisError: it is neither, or damaged.
    """
    if path.is_dir():
        files = {file.relative_to(path).as_posix(): file for file in sorted(path.rglob("*")) if file.is_file()}
        yield Bundle(tuple(files), lambda name: files[name].read_bytes())
        return
    try:
        archive = zipfile.ZipFile(path)
    except ZIP_ERRORS as error:
        raise VisError(f"{path}: cannot be read as a zip ({error}); zip the submission anew") from error
    with archive:
        names = tuple(info.filename for info in archive.infolist() if not info.is_dir())
        yield Bundle(names, lambda name: _read_member(archive, path, name))


def _read_member(archive: zipfile.ZipFile, path: Path, name: str) -> bytes:
    try:
        return archive.read(name)
    except ZIP_ERRORS as error:
        raise VisError(f"{path}: {name} cannot be read ({error}); zip the submission anew") from error


def _write_file(folder: LockedFolder, name: str, data: bytes) -> None:
    with folder.atomic_path(name) as temporary:
        temporary.write_bytes(data)

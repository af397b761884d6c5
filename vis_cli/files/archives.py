"""Bounded reading of zip archives. A damaged or hostile archive raises a VisError and cannot exhaust the memory.

Used by `records.bundle`, `records.youtube_vis_results` and `records.submission_check`.
"""

from __future__ import annotations

import io
import lzma
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any, BinaryIO

from vis_cli.errors import VisError
from vis_cli.files.limits import MAX_MEMBERS
from vis_cli.files.names import printable
from vis_cli.files.reading import open_regular

# All exceptions that zipfile raises for a damaged, encrypted or unknown archive. Names and compressed data can raise a
# subclass of ValueError, extra fields a struct.error. An empty name raises an IndexError in older versions of Python.
ZIP_ERRORS = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, NotImplementedError, RuntimeError),
    *(EOFError, OSError, ValueError, IndexError, OverflowError, MemoryError),
)

ENCRYPTED = 0x1  # flag of a member, also for AES


@contextmanager
def open_zip(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open a zip file and read its list of members.

    Raises:
        VisError: The path is not a regular file, not a zip, or a zip with too many members.
    """
    with ExitStack() as stack:
        try:
            archive = stack.enter_context(zipfile.ZipFile(stack.enter_context(open_regular(path))))
        except ZIP_ERRORS as error:
            raise VisError(f"cannot read {path}: {_cause(error)}", hint="Zip the files again.") from error
        archive.filename = str(path)  # zipfile does not know the path of an open file
        num_members = len(archive.filelist)
        if num_members > MAX_MEMBERS:
            problem = f"cannot read {path}: the zip has {num_members:,} members, the limit is {MAX_MEMBERS:,}"
            raise VisError(problem, hint="Remove files that are not needed.")
        yield archive


def member_names(archive: zipfile.ZipFile) -> tuple[str, ...]:
    """Return the names of all files in an archive, in stored order. A name can be empty or occur twice."""
    return tuple(info.filename for info in archive.filelist if not info.filename.endswith("/"))


def open_member(archive: zipfile.ZipFile, name: str, *, limit: int) -> BinaryIO:
    """Open a member of an archive. Reading raises a VisError at the first damaged byte.

    Args:
        archive: The archive.
        name: Name of the member.
        limit: Maximum uncompressed size in bytes.

    Raises:
        VisError: The member is missing, larger than `limit`, damaged or encrypted.
    """
    where = f"{archive.filename}: {printable(name)}"
    try:
        info = archive.getinfo(name)
        if info.file_size > limit:
            size = f"{info.file_size:,} bytes uncompressed, the limit is {limit:,}"
            raise VisError(f"cannot read {where}: the member has {size}", hint="Use a smaller file.")
        if info.flag_bits & ENCRYPTED:
            raise VisError(f"cannot read {where}: the member is encrypted", hint="Zip the files without a password.")
        return io.BufferedReader(_Member(archive.open(info), where))
    except (*ZIP_ERRORS, KeyError) as error:
        raise VisError(f"cannot read {where}: {_cause(error)}", hint="Zip the files again.") from error


def read_member(archive: zipfile.ZipFile, name: str, *, limit: int) -> bytes:
    """Read a member of at most `limit` uncompressed bytes. Arguments and errors are the same as for `open_member`."""
    with open_member(archive, name, limit=limit) as stream:
        return stream.read()  # zipfile stops at the size in the header


class _Member(io.RawIOBase):
    """Bytes of a member. It raises the exceptions of zipfile as VisError."""

    def __init__(self, stream: IO[bytes], where: str) -> None:
        self._stream = stream
        self._where = where

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            data = self._stream.read(len(buffer))
        except ZIP_ERRORS as error:
            raise VisError(f"cannot read {self._where}: {_cause(error)}", hint="Zip the files again.") from error
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._stream.close()
        super().close()


def _cause(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return f"not a zip file, or damaged ({printable(str(error)) or type(error).__name__})"

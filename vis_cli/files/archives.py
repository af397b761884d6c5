"""Bounded reading of zip archives: no damaged or hostile archive can end a command or fill its memory.

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

# Everything that zipfile raises for a damaged, encrypted or unknown kind of archive. Names and compressed data can
# raise a subclass of ValueError, extra fields a struct.error, an empty name an IndexError in older versions of Python.
ZIP_ERRORS = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, NotImplementedError, RuntimeError),
    *(EOFError, OSError, ValueError, IndexError, OverflowError, MemoryError),
)


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
            raise VisError(f"cannot read {path}: {_cause(error)}. Zip the files again.") from error
        archive.filename = str(path)  # of an open file, zipfile knows only its number
        num_members = len(archive.filelist)
        if num_members > MAX_MEMBERS:
            raise VisError(f"cannot read {path}: the zip has {num_members:,} members, the limit is {MAX_MEMBERS:,}.")
        yield archive


def member_names(archive: zipfile.ZipFile) -> tuple[str, ...]:
    """Return the names of all files in an archive, in its order; a name can be empty or appear twice."""
    return tuple(info.filename for info in archive.filelist if not info.filename.endswith("/"))


def open_member(archive: zipfile.ZipFile, name: str, *, limit: int) -> BinaryIO:
    """Open a member that has at most `limit` bytes uncompressed; reading raises a VisError where it is damaged.

    Raises:
        VisError: The member is missing, larger than `limit`, damaged or encrypted.
    """
    where = f"{archive.filename}: {printable(name)}"
    try:
        info = archive.getinfo(name)
        if info.file_size > limit:
            size = f"{info.file_size:,} bytes uncompressed, the limit is {limit:,}"
            raise VisError(f"cannot read {where}: the member has {size}.")
        return io.BufferedReader(_Member(archive.open(info), where))
    except (*ZIP_ERRORS, KeyError) as error:
        raise VisError(f"cannot read {where}: {_cause(error)}. Zip the files again.") from error


def read_member(archive: zipfile.ZipFile, name: str, *, limit: int) -> bytes:
    """Read a member that has at most `limit` bytes uncompressed; errors as in `open_member`."""
    with open_member(archive, name, limit=limit) as stream:
        return stream.read()  # zipfile stops at the size that the header states


class _Member(io.RawIOBase):
    """The bytes of a member; whatever zipfile raises becomes a VisError."""

    def __init__(self, stream: IO[bytes], where: str) -> None:
        self._stream = stream
        self._where = where

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            data = self._stream.read(len(buffer))
        except ZIP_ERRORS as error:
            raise VisError(f"cannot read {self._where}: {_cause(error)}. Zip the files again.") from error
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._stream.close()
        super().close()


def _cause(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return f"not a zip, or a damaged one ({printable(str(error)) or type(error).__name__})"

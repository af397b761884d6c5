"""Bounded reading of regular files. A FIFO, a device or a sparse file cannot block a command or exhaust its memory.

Used by every reader of `records`, `network` and `training` that reads a file completely into memory.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from vis_cli.errors import VisError
from vis_cli.files.limits import MAX_TEXT_BYTES, MIB

REMEDIES = {
    errno.ENOENT: "Check the path.",
    errno.ENOTDIR: "Check the path.",
    errno.ELOOP: "Remove the loop of symbolic links.",
    errno.EACCES: "Use a file that you may read.",
    errno.EPERM: "Use a file that you may read.",
    errno.ENAMETOOLONG: "Use a shorter path.",
    errno.EIO: "Copy the file to another disk.",
}
_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}


def read_bytes(path: Path, *, limit: int) -> bytes:
    """Read a regular file of at most `limit` bytes.

    Raises:
        VisError: The file is missing, is not a regular file, is larger than `limit`, or cannot be read.
    """
    with open_limited(path, limit=limit) as file:
        try:
            return file.read(os.fstat(file.fileno()).st_size)
        except OSError as error:
            raise read_error(path, error) from error


def read_text(path: Path, *, limit: int = MAX_TEXT_BYTES) -> str:
    """Read a regular UTF-8 text file of at most `limit` bytes. A byte order mark is removed.

    Raises:
        VisError: The file cannot be read (see `read_bytes`), or is not UTF-8.
    """
    data = read_bytes(path, limit=limit)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        problem = f"cannot read {path}: byte {error.start:,} is not UTF-8"
        raise VisError(problem, hint="Save the file as UTF-8.") from error


def open_limited(path: Path, *, limit: int) -> BinaryIO:
    """Open a regular file of at most `limit` bytes.

    Raises:
        VisError: The file is missing, is not a regular file, is larger than `limit`, or cannot be opened.
    """
    try:
        file = open_regular(path)
    except (OSError, ValueError) as error:  # ValueError: NUL in the path
        raise read_error(path, error) from error
    size = os.fstat(file.fileno()).st_size
    if size > limit:
        file.close()
        problem = f"cannot read {path}: the file has {size:,} bytes, the limit is {_size(limit)}"
        raise VisError(problem, hint="Use a smaller file.")
    return file


def open_regular(path: Path) -> BinaryIO:
    """Open a regular file for reading, and reject a pipe without waiting for its writer.

    Raises:
        VisError: The path is not a regular file.
        OSError: The file is missing or cannot be read.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        raise _not_regular(path, mode)
    return os.fdopen(descriptor, "rb")


def real_path(path: str | Path) -> Path:
    """Return an absolute path without symbolic links.

    Links that form a loop stay in the path. `Path.resolve` raises an error for them before Python 3.13.
    """
    return Path(os.path.realpath(path))


def require_regular(path: Path) -> None:
    """Reject a path that is not a regular file, or a symbolic link to a regular file.

    Use this check for files that a library opens itself (FFmpeg, safetensors).

    Raises:
        VisError: The path is missing or is not a regular file.
    """
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:
        raise read_error(path, error) from error
    if not stat.S_ISREG(mode):
        raise _not_regular(path, mode)


@contextmanager
def read_errors(path: str | Path) -> Iterator[None]:
    """Raise the `VisError` of `read_error` if a read of an open file fails, for example on a damaged disk."""
    try:
        yield
    except OSError as error:
        raise read_error(path, error) from error


def read_error(path: str | Path, error: OSError | ValueError) -> VisError:
    """Return the error for a file that cannot be read, with a remedy for common causes."""
    if isinstance(error, FileNotFoundError) and os.path.islink(path):  # noqa: PTH114 (the path can be too long)
        problem = f"cannot read {path}: the target of the symbolic link does not exist"
        return VisError(problem, hint="Restore the file.")
    cause = getattr(error, "strerror", None) or error
    return VisError(f"cannot read {path}: {cause}", hint=REMEDIES.get(getattr(error, "errno", None) or 0, ""))


def _not_regular(path: Path, mode: int) -> VisError:
    kind = _KINDS.get(stat.S_IFMT(mode), "not a regular file")
    remedy = "Save its content to a file, then pass the file." if stat.S_ISFIFO(mode) else "Pass a regular file."
    return VisError(f"cannot read {path}: the path is {kind}", hint=remedy)


def _size(num_bytes: int) -> str:
    return f"{num_bytes // MIB:,} MiB"

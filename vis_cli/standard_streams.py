"""The standard streams of the process, made safe: a full disk, a closed pipe or a narrow encoding ends in no traceback.

Used by `app`.
"""

from __future__ import annotations

import errno
import io
import os
import select
import sys
from typing import TYPE_CHECKING, TextIO

from vis_cli.errors import VisError
from vis_cli.files.atomic import describe_failure

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

STDOUT, STDERR = 1, 2
EXIT_CLOSED_PIPE = 1


class MessageFile(io.FileIO):
    """Write messages; those that cannot be written are lost, because nothing is left to report it to."""

    def write(self, data: ReadableBuffer, /) -> int:
        """Write what can be written."""
        try:
            return _write(self, data)
        except OSError:
            return len(memoryview(data))


class ProductFile(io.FileIO):
    """Write the product of a command; the first failure is raised, and what follows is lost."""

    def __init__(self, descriptor: int, *, is_closed: bool) -> None:
        """Take an open file descriptor; `is_closed`: it stands for one that was closed when the process began."""
        super().__init__(descriptor, "w", closefd=False)
        self._is_closed, self._has_failed = is_closed, False

    def write(self, data: ReadableBuffer, /) -> int:
        """Write what can be written.

        Raises:
            VisError: The file cannot be written (disk full, closed).
            SystemExit: The reader of the pipe has ended, as `head` does, which is no reason for a message.
        """
        if self._has_failed:
            return len(memoryview(data))
        try:
            if self._is_closed:
                raise OSError(errno.EBADF, "the stream is closed")
            return _write(self, data)
        except OSError as error:
            self._has_failed = True
            if error.errno == errno.EPIPE:
                raise SystemExit(EXIT_CLOSED_PIPE) from error
            raise VisError(describe_failure("standard output", error)) from error


def make_streams_safe() -> None:
    """Replace sys.stdout and sys.stderr; open the null device in place of standard streams that are closed.

    Otherwise the next file that is opened would get the number of a closed stream, and libraries that print would
    write into it.
    """
    closed = [descriptor for descriptor in (0, STDOUT, STDERR) if not _is_open(descriptor)]
    for descriptor in closed:
        opened = os.open(os.devnull, os.O_RDWR)
        if opened != descriptor:
            os.dup2(opened, descriptor)
            os.close(opened)
        os.set_inheritable(descriptor, True)
    sys.stdout = _text(ProductFile(STDOUT, is_closed=STDOUT in closed), sys.stdout)
    sys.stderr = _text(MessageFile(STDERR, "w", closefd=False), sys.stderr)


def _write(file: io.FileIO, data: ReadableBuffer) -> int:
    """Write, and wait where the stream does not wait by itself, as a pipe that another program made so."""
    while (written := io.FileIO.write(file, data)) is None:
        select.select([], [file], [])
    return written


def _text(file: io.FileIO, before: TextIO | None) -> TextIO:
    """Return a text stream that writes what its encoding lacks as escapes."""
    encoding = "utf-8" if before is None else before.encoding
    if before is not None:
        before.flush()
    return io.TextIOWrapper(io.BufferedWriter(file), encoding, "backslashreplace", line_buffering=True)


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True

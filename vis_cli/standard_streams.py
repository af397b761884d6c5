"""Standard streams of the process that print no traceback for a full disk, a closed pipe or a limited encoding.

Used by `app`.
"""

from __future__ import annotations

import errno
import io
import os
import select
import sys
from typing import TYPE_CHECKING, TextIO

from vis_cli.files.atomic import write_error

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

STDOUT, STDERR = 1, 2
EXIT_CLOSED_PIPE = 1


class MessageFile(io.FileIO):
    """File for messages. It discards messages that it cannot write, because no other stream could report them."""

    def write(self, data: ReadableBuffer, /) -> int:
        """Write the data, or discard it if the file cannot be written."""
        try:
            return _write(self, data)
        except OSError:
            return len(memoryview(data))


class ProductFile(io.FileIO):
    """File for the results of a command. It raises the first failure and discards all later data."""

    def __init__(self, descriptor: int, *, is_closed: bool) -> None:
        """Open the file.

        Args:
            descriptor: An open file descriptor.
            is_closed: Whether the descriptor replaces one that was closed when the process started.
        """
        super().__init__(descriptor, "w", closefd=False)
        self._is_closed, self._has_failed = is_closed, False

    def write(self, data: ReadableBuffer, /) -> int:
        """Write the data.

        Raises:
            VisError: The file cannot be written (disk full, closed).
            SystemExit: The reader of the pipe has ended, for example `head`. This needs no message.
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
            raise write_error("standard output", error) from error


def make_streams_safe() -> None:
    """Replace sys.stdout and sys.stderr, and open the null device for each standard stream that is closed.

    Otherwise the next opened file would get the number of a closed stream, and libraries would print into this file.
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
    """Write the data, and wait for a stream that does not block, such as a pipe that another program set up."""
    while (written := io.FileIO.write(file, data)) is None:
        select.select([], [file], [])
    return written


def _text(file: io.FileIO, before: TextIO | None) -> TextIO:
    """Return a text stream that writes characters missing in its encoding as escape sequences."""
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

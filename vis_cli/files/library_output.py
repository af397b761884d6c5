"""Silence for libraries that print on their own: libpng and OpenCV write to stderr next to the error that `vis` prints.

Used by the readers of images.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

STDERR = 2

_lock = threading.Lock()
_num_silent = 0  # threads in the body; the stream belongs to the whole process
_stderr_copy = -1


@contextmanager
def silenced_libraries() -> Iterator[None]:
    """Send what is written to the file descriptor of stderr to the null device.

    Several threads may be in the body at once. The body prints nothing itself, and decodes one image.
    """
    _silence()
    try:
        yield
    finally:
        _unsilence()


def _silence() -> None:
    global _num_silent, _stderr_copy
    with _lock:
        if _num_silent == 0:
            _stderr_copy = os.dup(STDERR)
            null = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
            os.dup2(null, STDERR)
            os.close(null)
        _num_silent += 1


def _unsilence() -> None:
    global _num_silent
    with _lock:
        _num_silent -= 1
        if _num_silent == 0:
            os.dup2(_stderr_copy, STDERR)
            os.close(_stderr_copy)

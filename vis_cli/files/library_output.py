"""Suppression of messages that libpng and OpenCV print to stderr in addition to the error of `vis`.

Used by the readers of images.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

STDERR = 2

_lock = threading.Lock()
_num_silent = 0  # threads in the body of `silenced_libraries`; they share the stderr of the process
_stderr_copy = -1


@contextmanager
def silenced_libraries() -> Iterator[None]:
    """Redirect the file descriptor of stderr to the null device during the body.

    Several threads may run the body at the same time. The body decodes one image and prints nothing itself.
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

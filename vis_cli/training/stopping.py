"""Stop a run in good order when the system asks for it; used by the trainer."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def catch_sigterm() -> Iterator[Callable[[], bool]]:
    """Yield a function that tells whether SIGTERM has come; until the end it does nothing else.

    Only the main thread can catch signals; in another one SIGTERM keeps its meaning.
    """
    came = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield came.is_set
        return
    before = signal.signal(signal.SIGTERM, lambda number, frame: came.set())
    try:
        yield came.is_set
    finally:
        signal.signal(signal.SIGTERM, before)

"""Signals that end the process (Ctrl-C, SIGTERM, SIGHUP), raised as exceptions so that every command cleans up.

Used by `__main__`, `app`, `console` and `files.locks`. It has few imports, because it is the first module imported.
"""

from __future__ import annotations

import os
import signal
import sys

TYPE_CHECKING = False  # without an import of `typing`, which takes longer than the rest of this module
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
SIGNAL_EXIT = 128  # plus the number of the signal, as in shells: exit code 130, 143 or 129
RETRY_AFTER = 0.05  # seconds

_cleanups: list[Callable[[], None]] = []
_received: signal.Signals | None = None
_stop: Callable[[], None] | None = None


class Terminated(KeyboardInterrupt):
    """SIGTERM or SIGHUP. Code that handles Ctrl-C handles both in the same way."""


def install_handlers() -> None:
    """Raise the ending signals as exceptions in the main thread. Ignored signals (`nohup`) stay ignored."""
    for number in ENDING:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _interrupt)
    sys.unraisablehook = _on_unraisable


def restore_handlers() -> None:
    """Let the ending signals end the process immediately. Call it when nothing is left to clean up."""
    for number in ENDING:
        if signal.getsignal(number) is _interrupt:
            signal.signal(number, signal.SIG_DFL)


def received_signal() -> signal.Signals | None:
    """Return the first ending signal that this process received, or None."""
    return _received


def stop_with(stop: Callable[[], None] | None) -> None:
    """Call a function at the first ending signal, instead of raising an exception. A second Ctrl-C raises it.

    Args:
        stop: It lets the command end soon. None: the first signal raises an exception again.
    """
    global _stop
    _stop = stop


def add_cleanup(cleanup: Callable[[], None]) -> None:
    """Register a function to call if a signal ends the process without an exception."""
    _cleanups.append(cleanup)


def remove_cleanup(cleanup: Callable[[], None]) -> None:
    """Remove a function that `add_cleanup` registered."""
    _cleanups.remove(cleanup)


def _interrupt(number: int, frame: FrameType | None) -> None:
    global _received
    if _received is not None and number != signal.SIGINT:
        return  # the process already cleans up; a second Ctrl-C is from a user who does not want to wait
    if _received is None and _stop is not None:
        _received = signal.Signals(number)
        _stop()
        return
    _received = _received or signal.Signals(number)
    if _is_importing(frame):
        _end_at_once(number)
    raise KeyboardInterrupt if number == signal.SIGINT else Terminated


def _is_importing(frame: FrameType | None) -> bool:
    """Return whether a module is being imported. Extension modules replace exceptions by others, or crash."""
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def _end_at_once(number: int) -> None:
    for cleanup in reversed(_cleanups):
        cleanup()
    os.write(2, b"error: interrupted\n")
    os._exit(SIGNAL_EXIT + number)


def _on_unraisable(unraisable: sys.UnraisableHookArgs) -> None:
    """Send the signal again if Python discarded its exception, for example in a destructor."""
    global _received
    if isinstance(unraisable.exc_value, KeyboardInterrupt) and _received is not None:
        import threading

        number, _received = _received, None
        retry = threading.Timer(RETRY_AFTER, os.kill, (os.getpid(), number))
        retry.daemon = True
        retry.start()
        return
    sys.__unraisablehook__(unraisable)

"""Clips from loader processes. A damaged image, the death of a process, and a lack of memory become one line.

Used by `run`.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator, Sequence
from multiprocessing import util
from typing import Any

import cv2
from torch.utils.data import DataLoader, Dataset

from vis_cli.errors import VisError
from vis_cli.training.pairs import ClipKey
from vis_cli.training.shortage import is_shortage
from vis_cli.training.structures import TrainClip, collate

SIGNAL_CAUSES = {
    signal.SIGKILL: "often because memory ran out. Use a smaller num_workers, canvases or num_frames",
    signal.SIGBUS: "because shared memory ran out. Enlarge /dev/shm, or use num_workers = 0",
}
OTHER_CAUSE = "before it had finished. Use num_workers = 0 to see its error"


class ErrorsAsItems(Dataset["TrainClip | VisError"]):
    """A dataset that returns an error as an item.

    An error that is raised in a loader process reaches the main process as a traceback, not as the error itself.
    """

    def __init__(self, clips: Dataset[TrainClip]) -> None:
        self._clips = clips

    def __getitem__(self, key: ClipKey) -> TrainClip | VisError:
        """Return a clip, or the error of the image that cannot be read."""
        try:
            return self._clips[key]
        except VisError as error:
            return error


def collate_clips(items: Sequence[TrainClip | VisError]) -> list[TrainClip] | VisError:
    """Return the clips of a batch, or the first of their errors."""
    errors = [item for item in items if isinstance(item, VisError)]
    return errors[0] if errors else collate([item for item in items if not isinstance(item, VisError)])


def iter_clips(loader: DataLoader[TrainClip | VisError]) -> Iterator[list[TrainClip]]:
    """Yield the batches of a loader of `ErrorsAsItems`.

    Raises:
        VisError: An image cannot be read, a loader process died, or memory ran out.
    """
    if loader.num_workers > 0:
        # The folder for sockets. The processes use the folder of their parent, which removes it at its end. A killed
        # process could not remove a separate folder.
        util.get_temp_dir()
    parts: Any = None
    try:
        parts = iter(loader)
        _notice_deaths_in_next()
        for part in parts:
            if isinstance(part, VisError):
                raise part
            yield part
    except (MemoryError, RuntimeError, OSError, cv2.error) as error:
        cause = _cause(error, loader.num_workers, parts)
        if cause is None:
            raise
        raise VisError(cause) from error
    finally:
        for process in _processes(parts):
            process.kill()  # a process that waits for a lock of the dead process would never end


def _notice_deaths_in_next() -> None:
    """Report a dead process when its clip is needed.

    The handler of SIGCHLD of torch raises an exception at any place of the program, even within a step.
    """
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)


def _cause(error: BaseException, num_workers: int, parts: Any) -> str | None:
    codes = [code for process in _processes(parts) if (code := process.exitcode) is not None]
    if codes and "exited unexpectedly" in str(error):
        code = codes[0]
        if code >= 0:
            return f"a loader process ended with code {code} {OTHER_CAUSE}"
        return f"a loader process was killed by {signal.Signals(-code).name}, {SIGNAL_CAUSES.get(-code, OTHER_CAUSE)}"
    if is_shortage(error):
        return f"out of memory while {num_workers} processes load clips. Use a smaller num_workers or canvases."
    if isinstance(error, OSError) and parts is None:
        return f"{num_workers} loader processes cannot start ({error.strerror or error}). Use a smaller num_workers"
    return None


def _processes(parts: Any) -> list[Any]:
    return list(getattr(parts, "_workers", ()))

"""A second thread for work that no later step of the propagation needs; used by `propose` to store masks."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import torch

MAX_WAITING = 8  # calls that wait at most, so that memory stays constant if the thread is slow


class Background:
    """Calls functions in order in a second thread, while the first thread runs the network.

    Reason: masks are resized and encoded as RLE on one core. On a GPU, the network would wait for it, because Python
    starts its kernels.
    """

    def __init__(self) -> None:
        """Prepare the thread. It starts with the first call."""
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="masks", initializer=_use_one_core)
        self._waiting: deque[Future[None]] = deque()

    def call(self, function: Callable[[], None]) -> None:
        """Call a function later. Wait if too many calls are waiting.

        Raises:
            Exception: An earlier call has raised it.
        """
        if len(self._waiting) == MAX_WAITING:
            self._waiting.popleft().result()
        self._waiting.append(self._executor.submit(function))

    def wait(self) -> None:
        """Wait for all calls.

        Raises:
            Exception: A call has raised it.
        """
        while self._waiting:
            self._waiting.popleft().result()


def _use_one_core() -> None:
    """Leave the other cores to the network: the setting belongs to the thread that calls it."""
    torch.set_num_threads(1)

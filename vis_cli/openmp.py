"""Waiting of the threads of OpenMP, which computes the layers of the network on a CPU.

Used by `app` before torch is imported. By default, a thread that waits for the next layer computes for milliseconds
without result, so that it starts at once. If other programs use the same processor cores, it takes their time and, in
turn, the time of the thread that it waits for: docs/explanation/architecture.md#waiting-threads.
"""

from __future__ import annotations

import os

SPIN_COUNT = 10_000  # checks of a waiting thread before it sleeps, about 0.1 ms
BLOCK_MILLISECONDS = 1
# GCC's library, which the Linux wheels of torch contain, and the libraries of LLVM and Intel read one variable each.
SETTINGS = {"GOMP_SPINCOUNT": str(SPIN_COUNT), "KMP_BLOCKTIME": str(BLOCK_MILLISECONDS)}
CHOICES = {"OMP_WAIT_POLICY", "KMP_LIBRARY", *SETTINGS}  # of the user


def wait_passively() -> None:
    """Let waiting threads sleep soon, unless the user has chosen how they wait."""
    if not CHOICES & os.environ.keys():
        os.environ.update(SETTINGS)

"""Keep the C library from handing every large buffer back to the system; called by the engine and the trainer.

A convolution's output of some megabytes is by default mapped afresh on each call, and faulting its pages in takes a
quarter of the time on a CPU: docs/explanation/authors-implementation.md#speed-on-a-cpu.
"""

from __future__ import annotations

import ctypes
import platform
import sys

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3  # malloc.h
LARGEST = 2**31 - 1  # mallopt takes a C int: buffers of 2 GiB and more are still mapped and unmapped
TOP_PAD_BYTES = 256 * 2**20


def tune_malloc() -> bool:
    """Make this process reuse large buffers; safe to call again.

    Returns:
        Whether it took effect: False where the C library is not glibc, or is one that refuses the values.
    """
    if not sys.platform.startswith("linux") or platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    settings = ((M_MMAP_THRESHOLD, LARGEST), (M_TRIM_THRESHOLD, LARGEST), (M_TOP_PAD, TOP_PAD_BYTES))
    accepted = [mallopt(parameter, value) == 1 for parameter, value in settings]
    return all(accepted)

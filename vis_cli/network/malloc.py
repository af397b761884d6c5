"""Settings of the C library that let it reuse large buffers; called by the engine and by training.

By default, the C library maps the output of a large convolution anew on each call. Page faults then take 25 % of the
time on a CPU: docs/explanation/authors-implementation.md#speed-on-a-cpu.
"""

from __future__ import annotations

import ctypes
import platform
import sys

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3  # malloc.h
LARGEST = 2**31 - 1  # mallopt takes a C int: buffers of 2 GiB and more are still mapped and unmapped
TOP_PAD_BYTES = 256 * 2**20


def tune_malloc() -> bool:
    """Let this process reuse large buffers. A second call changes nothing.

    Returns:
        True if the C library is glibc and accepts the settings.
    """
    if not _has_glibc():
        return False
    mallopt = ctypes.CDLL(None).mallopt
    settings = ((M_MMAP_THRESHOLD, LARGEST), (M_TRIM_THRESHOLD, LARGEST), (M_TOP_PAD, TOP_PAD_BYTES))
    accepted = [mallopt(parameter, value) == 1 for parameter, value in settings]
    return all(accepted)


def release_memory() -> bool:
    """Give unused pages between the used blocks back to the operating system, which takes about 50 ms.

    Long-lived blocks divide the memory of large buffers, so these buffers otherwise need more and more new memory.

    Returns:
        True if the C library is glibc.
    """
    if not _has_glibc():
        return False
    ctypes.CDLL(None).malloc_trim(0)
    return True


def _has_glibc() -> bool:
    return sys.platform.startswith("linux") and platform.libc_ver()[0] == "glibc"

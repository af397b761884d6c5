"""Large buffers stay with the process on glibc; elsewhere nothing happens."""

from __future__ import annotations

import ctypes
import platform
import subprocess
import sys

import pytest

from vis_cli.network.malloc import release_memory, tune_malloc

# Allocates and frees 64 MiB often, touching every page; prints the page faults that it took.
MEASURE = """
import ctypes, resource, sys
sys.path[:0] = {path!r}
from vis_cli.network.malloc import tune_malloc
if {tune}: assert tune_malloc()
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.free.argtypes = [ctypes.c_void_p]
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    block = libc.malloc(64 * 2**20)
    ctypes.memset(block, 1, 64 * 2**20)
    libc.free(block)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""

# Allocates 64 blocks of 4 MiB, frees every second one, and prints the resident memory before and after the release.
RELEASE = """
import ctypes, sys
sys.path[:0] = {path!r}
from vis_cli.network.malloc import release_memory, tune_malloc
tune_malloc()
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.free.argtypes = [ctypes.c_void_p]
blocks = [libc.malloc(4 * 2**20) for _ in range(64)]
for block in blocks: ctypes.memset(block, 1, 4 * 2**20)
for block in blocks[::2]: libc.free(block)
def resident():
    lines = open("/proc/self/status").read().splitlines()
    return next(line.split()[1] for line in lines if line.startswith("VmRSS"))
before = resident()
assert release_memory()
print(before, resident())
"""

on_glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="tunes glibc only")


@on_glibc
def test_freed_buffers_are_not_faulted_in_again() -> None:
    plain, tuned = (_page_faults(tune=tune) for tune in (False, True))
    assert tuned < plain / 5


@on_glibc
def test_released_memory_is_no_longer_resident() -> None:
    run = subprocess.run([sys.executable, "-c", RELEASE.format(path=sys.path)], capture_output=True, check=True)
    before, after = map(int, run.stdout.split())
    assert before - after > 100_000  # kB


@pytest.mark.parametrize("where", ["darwin", "win32"])
def test_other_systems_are_left_alone(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", where)
    monkeypatch.setattr(ctypes, "CDLL", None)  # calling it would fail
    assert tune_malloc() is False
    assert release_memory() is False


def test_other_c_libraries_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    monkeypatch.setattr(ctypes, "CDLL", None)
    assert tune_malloc() is False


def _page_faults(*, tune: bool) -> int:
    code = MEASURE.format(path=sys.path, tune=tune)
    return int(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout)

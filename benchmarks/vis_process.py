"""A command of `vis` in a separate process, with its time and its peak memory; used by the benchmarks of commands."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from speed import BYTES_PER_UNIT

POLL = 0.05  # seconds
INTERRUPTED = 130  # exit code after Ctrl-C


@dataclass(frozen=True, slots=True)
class Cost:
    """Wall time, CPU time and peak memory of a process."""

    name: str
    seconds: float
    cpu_seconds: float
    peak_gb: float


def run_vis(name: str, arguments: Sequence[str], *, stop: Callable[[], bool] = lambda: False) -> Cost:
    """Run `vis` with these arguments and --quiet. Send SIGINT once `stop` returns True.

    Raises:
        SystemExit: The exit code is not 0, or not that of an interruption after SIGINT.
    """
    start = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "vis_cli", *arguments, "--quiet"], stdout=subprocess.DEVNULL)
    expected = 0
    while not (ended := os.wait4(process.pid, os.WNOHANG))[0]:
        if not expected and stop():
            process.send_signal(signal.SIGINT)
            expected = INTERRUPTED
        time.sleep(POLL)
    _, status, usage = ended
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != expected:
        raise SystemExit(f"cannot measure: {' '.join(arguments)} ended with exit code {process.returncode}")
    seconds = time.perf_counter() - start
    return Cost(name, seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * BYTES_PER_UNIT / 1e9)

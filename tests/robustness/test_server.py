"""What counts as a hang: time of the case itself, not the time that other programs take from it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.robustness.server import ForkServer, Running, seconds_without_processor


def test_only_the_wait_for_a_processor_is_left_out() -> None:
    """Four processes on one processor wait for most of the time; one that sleeps does not."""
    loop = "import os\nos.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\nwhile True: pass"
    busy = [subprocess.Popen([sys.executable, "-c", loop], start_new_session=True) for _ in range(4)]
    asleep = subprocess.Popen(["sleep", "60"], start_new_session=True)
    try:
        time.sleep(2.0)
        waited = [seconds_without_processor(process.pid) for process in busy]
        assert sum(waited) / len(waited) > 0.5
        assert seconds_without_processor(asleep.pid) < 0.5
    finally:
        for process in (*busy, asleep):
            process.kill()
            process.wait()


@pytest.mark.parametrize(
    ("seconds", "waited", "hangs"), [(9, 0, False), (11, 0, True), (50, 45, False), (56, 45, True)]
)
def test_a_hang(seconds: float, waited: float, hangs: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tests.robustness.server.seconds_without_processor", lambda session: waited)
    server = object.__new__(ForkServer)  # without the valid inputs, which take seconds
    server._most_seconds = 10
    assert server._hangs(Running(1, tmp_path, os.getpid(), 0.0), seconds) == hangs

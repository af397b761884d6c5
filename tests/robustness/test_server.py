"""What counts as a hang: time of the case itself, not the time that other programs take from it."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from tests.robustness.server import ForkServer, Running, seconds_without_processor


def write_process(proc: Path, pid: int, session: int, waited: dict[int, float]) -> None:
    """Write the files of a process: its session, and for how many seconds each thread waited for a processor."""
    folder = proc / str(pid)
    folder.mkdir()
    (folder / "stat").write_text(f"{pid} (a (b) c) R 1 {pid} {session} 0 -1\n")
    for thread, seconds in waited.items():
        (folder / "task" / str(thread)).mkdir(parents=True)
        (folder / "task" / str(thread) / "schedstat").write_text(f"7000000000 {round(seconds * 1e9)} 12\n")


def test_the_wait_for_a_processor_is_that_of_the_thread_that_waited_most(tmp_path: Path) -> None:
    write_process(tmp_path, 40, 40, {40: 0.5, 41: 2.5})
    write_process(tmp_path, 50, 40, {50: 1.5})
    write_process(tmp_path, 60, 60, {60: 9.0})
    (tmp_path / "70").mkdir()  # it has just ended
    assert seconds_without_processor(40, tmp_path) == 2.5
    assert seconds_without_processor(60, tmp_path) == 9.0
    assert seconds_without_processor(80, tmp_path) == 0.0


def test_a_process_that_sleeps_does_not_wait_for_a_processor() -> None:
    asleep = subprocess.Popen(["sleep", "60"], start_new_session=True)
    try:
        time.sleep(0.5)
        assert seconds_without_processor(asleep.pid) < 0.5
    finally:
        asleep.kill()
        asleep.wait()


@pytest.mark.parametrize(
    ("seconds", "waited", "hangs"), [(9, 0, False), (11, 0, True), (50, 45, False), (56, 45, True)]
)
def test_a_hang(seconds: float, waited: float, hangs: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tests.robustness.server.seconds_without_processor", lambda session: waited)
    server = object.__new__(ForkServer)  # without the valid inputs, which take seconds
    server._most_seconds = 10
    assert server._hangs(Running(1, tmp_path, os.getpid(), 0.0), seconds) == hangs

"""A small part of `make kill`: commands that are killed, terminated and out of space at fixed points."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.robustness.kill import FULL, KILL, TERM, Ending, Fault, _judge

ROOT = Path(__file__).parents[2]


def test_some_interruptions_of_some_commands() -> None:
    """In a process of its own, because a fork of a process with torch's threads can hang."""
    chosen = [word for name in ("segment", "export-json zip") for word in ("--command", name)]
    done = subprocess.run(
        [sys.executable, "-m", "tests.robustness.kill", "-n", "3", "--seed", "1", *chosen],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("3 cases, 0 problems\n")


@pytest.mark.parametrize(
    ("fault", "code", "err", "is_right"),
    [
        (Fault(KILL), -9, "", True),
        (Fault(KILL), 1, "error: x", False),
        (Fault(TERM), 143, "error: interrupted", True),
        (Fault(TERM), 1, "error: interrupted", False),
        (Fault(FULL), 1, "error: cannot write a", True),
        (Fault(FULL), 1, "", False),
        (Fault(FULL), 1, "Traceback (most recent call last)", False),
    ],
)
def test_how_an_interrupted_command_may_end(fault: Fault, code: int, err: str, is_right: bool) -> None:
    assert (list(_judge(Ending(code, err, 1.0, 1), fault)) == []) == is_right

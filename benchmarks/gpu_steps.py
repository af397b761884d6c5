"""Commands with a time limit: start, stop and result. Used by `gpu` and `gpu_train`."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Step:
    """Result of one command."""

    name: str
    command: list[str]
    exit_code: int
    seconds: float
    timed_out: bool

    @property
    def failed(self) -> bool:
        """Return whether the command failed. A training run that stops at its time limit ends with exit code 0."""
        return self.exit_code != 0


@dataclass(slots=True)
class Started:
    """A command that runs."""

    name: str
    command: list[str]
    process: subprocess.Popen[bytes]
    began: float
    ended: float | None = None

    def runs(self) -> bool:
        """Return whether the command still runs."""
        if self.ended is None and self.process.poll() is not None:
            self.ended = time.perf_counter()
        return self.ended is None


def start(name: str, command: list[str], logs: Path, variables: Mapping[str, str] | None = None) -> Started:
    """Start a command in the root of the repository. Its output is appended to NAME.log.

    Args:
        name: Name of the step.
        command: The command.
        logs: Folder of the log.
        variables: Environment variables that are set where the environment has none of the name.
    """
    environment = {**(variables or {}), **os.environ}
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    with (logs / f"{name}.log").open("ab") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=subprocess.STDOUT, cwd=ROOT, env=environment, start_new_session=True
        )
    return Started(name, command, process, time.perf_counter())


def finish(
    started: Sequence[Started], seconds: float, grace: float, *, is_enough: Callable[[], bool] = lambda: False
) -> list[Step]:
    """Wait until all commands end, and stop those that still run at the time limit.

    Args:
        started: The commands.
        seconds: Time limit of all commands together.
        grace: Seconds from SIGTERM to SIGKILL, in which a training run writes a checkpoint.
        is_enough: Is called until it returns True, which ends the time.
    """
    try:
        late = _wait(started, seconds, is_enough)
        for command in late:
            command.process.terminate()  # only this process: a training run ends its own loaders
        _wait(late, grace, lambda: False)
    finally:
        for command in started:
            _kill_group(command.process)  # also ends children that a stopped command has left
            command.process.wait()
    return [_result(command, timed_out=command in late) for command in started]


def _wait(started: Sequence[Started], seconds: float, is_enough: Callable[[], bool]) -> list[Started]:
    """Wait until all commands end. Return the commands that still run at the time limit."""
    end = time.perf_counter() + seconds
    while (late := [command for command in started if command.runs()]) and time.perf_counter() < end:
        if is_enough():
            break
        time.sleep(POLL_SECONDS)
    return late


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _result(command: Started, *, timed_out: bool) -> Step:
    command.runs()  # a killed command has no end yet
    assert command.ended is not None
    return Step(command.name, command.command, command.process.returncode, command.ended - command.began, timed_out)

"""Signals that end a command: exit code, one line, no leftovers."""

from __future__ import annotations

import functools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import typer

from tests.forks import Ended, run_forked, vis
from vis_cli import app, signals
from vis_cli.console import Reporter
from vis_cli.errors import VisError
from vis_cli.files.atomic import atomic_path
from vis_cli.metrics.workers import run_jobs

ENDING = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
# Sends the signal to itself at the moment when a module is first imported.
SIGNAL_IN_IMPORT = """
import os, sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            sys.meta_path.remove(self)
            os.kill(os.getpid(), {number})
sys.meta_path.insert(0, Finder())
sys.argv = ["vis", *{arguments!r}]
from vis_cli.__main__ import main
main()
"""


@pytest.mark.parametrize(
    ("number", "module", "arguments"),
    [
        (signal.SIGINT, "typer", ["--version"]),
        (signal.SIGTERM, "numpy", ["models"]),
        (signal.SIGINT, "safetensors", ["models"]),
    ],
)
def test_a_signal_during_import_is_one_line(number: signal.Signals, module: str, arguments: list[str]) -> None:
    code = SIGNAL_IN_IMPORT.format(module=module, number=int(number), arguments=arguments)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (128 + number, "", "error: interrupted\n")


def test_an_error_that_replaces_the_exception_of_a_signal_is_an_interruption(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("vis_cli.console.received_signal", lambda: signal.SIGTERM)
    with pytest.raises(typer.Exit) as caught, Reporter().guard():
        raise VisError("could not determine the shape of an object")
    assert caught.value.exit_code == 130
    assert capsys.readouterr().err == "error: interrupted\n"


def send(number: int) -> None:
    os.kill(os.getpid(), number)


def run_command(body: Callable[[], None], folder: Path, monkeypatch: pytest.MonkeyPatch) -> Ended:
    """Run an app whose command writes a.json and calls `body` in the middle."""
    (folder / "out").mkdir()
    (folder / "out" / "a.json").write_text("old")
    commands = typer.Typer(cls=app.OneLineGroup)

    @commands.command()
    def write() -> None:
        with Reporter().guard(), atomic_path(folder / "out" / "a.json") as temporary:
            temporary.write_text("new")
            body()

    @commands.command()
    def other() -> None:
        """Make a group of it."""

    monkeypatch.setattr(app, "make_app", lambda _: commands)
    return run_forked(vis("write"), folder)


def check_interrupted(ended: Ended, number: int, folder: Path) -> None:
    assert (ended.code, ended.err) == (128 + number, "error: interrupted\n")
    assert [(path.name, path.read_text()) for path in (folder / "out").iterdir()] == [("a.json", "old")]


@pytest.mark.parametrize("number", ENDING)
def test_a_signal_in_a_command_cleans_up(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_interrupted(run_command(lambda: send(number), tmp_path, monkeypatch), number, tmp_path)


def test_a_signal_whose_exception_is_lost_in_a_destructor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Lost:
        def __del__(self) -> None:
            send(signal.SIGTERM)

    def lose() -> None:
        Lost()
        time.sleep(5)

    check_interrupted(run_command(lose, tmp_path, monkeypatch), signal.SIGTERM, tmp_path)


def test_a_signal_whose_exception_becomes_another_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def change() -> None:
        try:
            send(signal.SIGTERM)
        except BaseException as error:
            raise SystemError("a library") from error

    check_interrupted(run_command(change, tmp_path, monkeypatch), signal.SIGTERM, tmp_path)


def test_a_second_sigterm_does_not_disturb_the_cleanup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def send_more() -> None:
        try:
            send(signal.SIGTERM)
        finally:
            send(signal.SIGTERM)
            send(signal.SIGHUP)

    check_interrupted(run_command(send_more, tmp_path, monkeypatch), signal.SIGTERM, tmp_path)


def test_nohup_keeps_sighup_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        ended = run_command(lambda: send(signal.SIGHUP), tmp_path, monkeypatch)
    finally:
        signal.signal(signal.SIGHUP, before)
    assert (ended.code, ended.err) == (0, "")
    assert (tmp_path / "out" / "a.json").read_text() == "new"


def test_a_signal_outside_of_any_guard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "print_line", lambda text: send(signal.SIGINT))
    ended = run_forked(vis("--version"), tmp_path)
    assert (ended.code, ended.err) == (130, "error: interrupted\n")


def test_a_signal_while_the_streams_are_set_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "make_streams_safe", lambda: send(signal.SIGTERM))
    ended = run_forked(vis("--version"), tmp_path)
    assert (ended.code, ended.err) == (143, "error: interrupted\n")


def test_ctrl_c_in_an_evaluation_with_several_processes(tmp_path: Path) -> None:
    """A terminal sends Ctrl-C to all processes of its group; only the first one reports it."""

    def interrupt(stage: str, done: int, total: int) -> None:
        os.killpg(0, signal.SIGINT)
        time.sleep(5)

    def evaluate() -> None:
        os.setpgid(0, 0)
        signals.install_handlers()
        jobs = [functools.partial(time.sleep, seconds) for seconds in (0.0, 60.0, 60.0)]
        try:
            with Reporter().guard():
                run_jobs(jobs, num_workers=2, progress=interrupt)
        except typer.Exit as end:
            raise SystemExit(end.exit_code) from end

    began = time.monotonic()
    ended = run_forked(evaluate, tmp_path)
    assert (ended.code, ended.err) == (130, "error: interrupted\n")
    assert time.monotonic() - began < 30  # it does not wait for the jobs

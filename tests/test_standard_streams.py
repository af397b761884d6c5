"""Standard streams that are full, closed or narrow: one line at most, never a traceback."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.forks import run_forked, vis
from vis_cli.console import BatchProgress, Reporter, VideoReport, print_json, print_line, print_reports, print_table
from vis_cli.standard_streams import make_streams_safe

FULL = Path("/dev/full")


@pytest.mark.parametrize("command", ["--help", "--version", "models info --help"])
def test_stdout_on_a_full_disk(command: str, tmp_path: Path) -> None:
    ended = run_forked(vis(*command.split()), tmp_path, out=FULL)
    assert ended.code == 1
    assert ended.err.startswith("error: cannot write standard output: No space left on device.")
    assert ended.err.count("\n") == 1


@pytest.mark.parametrize("kind", ["line", "json", "table"])
def test_each_way_to_print_on_a_full_disk(kind: str, tmp_path: Path) -> None:
    def show() -> None:
        make_streams_safe()
        with Reporter().guard():
            if kind == "line":
                print_line("a")
            elif kind == "json":
                print_json(VideoReport("a", "a.mp4", "done").as_json())
            else:
                print_table(("a",), [("b",)])

    ended = run_forked(show, tmp_path, out=FULL)
    assert ended.err.partition("Traceback")[0].startswith("error: cannot write standard output: No space left")


def test_stdout_that_is_closed(tmp_path: Path) -> None:
    ended = run_forked(vis("--version"), tmp_path, closed=[1])
    line = "error: cannot write standard output: the stream is closed. Redirect the stream to a file or a pipe.\n"
    assert (ended.code, ended.err) == (1, line)


def test_a_reader_that_ends_early_is_no_reason_for_a_message(tmp_path: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    ended = run_forked(vis("--version"), tmp_path, out=Path(f"/proc/self/fd/{write}"))
    os.close(write)
    assert (ended.code, ended.err) == (1, "")


def test_a_pipe_that_does_not_wait_gets_all(tmp_path: Path) -> None:
    read, write = os.pipe()
    os.set_blocking(write, False)
    text = "x" * 1_000_000

    def show() -> None:
        os.dup2(write, 1)
        make_streams_safe()
        print_json(text)

    reader = os.fork()
    if reader == 0:
        os.close(write)
        size = 0
        while data := os.read(read, 4096):
            size += len(data)
        os._exit(size != len(text) + 1)
    ended = run_forked(show, tmp_path)
    os.close(write)
    os.close(read)
    assert (ended.code, ended.err) == (0, "")
    assert os.waitpid(reader, 0)[1] == 0


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1, 2), (1, 2)])
def test_closed_standard_streams_are_not_given_to_files(closed: tuple[int, ...], tmp_path: Path) -> None:
    def write() -> None:
        make_streams_safe()
        with (tmp_path / "a").open("w") as file:
            os.write(1, b"noise")
            os.write(2, b"noise")
            file.write("mine")

    assert run_forked(write, tmp_path, closed=closed).code == 0
    assert (tmp_path / "a").read_text() == "mine"


@pytest.mark.parametrize("is_closed", [True, False])
def test_messages_that_cannot_be_printed_change_nothing(is_closed: bool, tmp_path: Path) -> None:
    for arguments, code in ((("segment", tmp_path / "absent.mp4", "-o", tmp_path), 1), (("absent",), 2), (("-h",), 0)):
        ended = run_forked(vis(*arguments), tmp_path, err=None if is_closed else FULL, closed=[2] if is_closed else [])
        assert ended.code == code
    assert "Usage" in ended.out


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "latin-1"])
def test_an_encoding_that_lacks_characters(encoding: str, tmp_path: Path) -> None:
    def show() -> None:
        for stream in (sys.stdout, sys.stderr):
            stream.reconfigure(encoding=encoding)  # type: ignore[union-attr]
        make_streams_safe()
        print_line("東京")
        print_table(("name",), [("東京",)])
        Reporter().warn("東京")
        print_reports([VideoReport("東京", "in", "failed", reason="東京")])

    ended = run_forked(show, tmp_path)
    assert ended.code == 0
    assert ended.out.count(r"\u6771\u4eac") == 2
    assert ended.err.count(r"\u6771\u4eac") == 3


@pytest.mark.parametrize("variables", [{"NO_COLOR": "1"}, {"TERM": "dumb"}, {"FORCE_COLOR": "1"}])
def test_no_cursor_codes_in_a_file(variables: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from rich.console import Console

    from vis_cli import console

    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(console, "_stderr", Console(stderr=True, highlight=False))

    def show() -> None:
        with BatchProgress(2, Reporter()) as progress:
            progress.start_video("a")
            progress.update("read", 1, 2)
            progress.end_video(2)
        Reporter().warn("said")

    ended = run_forked(show, tmp_path)
    assert ended.err.replace("\x1b[33m", "").replace("\x1b[0m", "") == "warning: said\n"
    assert ("\x1b" in ended.err) == ("FORCE_COLOR" in variables)


@pytest.mark.parametrize("argument", ["\x1b[31mred", "\u202eevil", "\x9b31m", "\udcff\udcfe", "a\nb"])
@pytest.mark.parametrize("command", [("segment",), ("train",), (), ("segment", "--")])
def test_names_on_the_command_line_are_printed_safely(command: tuple[str, ...], argument: str, tmp_path: Path) -> None:
    *words, last = (*command, "")
    ended = run_forked(vis(*words, last + argument), tmp_path)
    assert ended.code in (1, 2)
    assert ended.err
    assert not {"\x1b", "\u202e", "\x9b"} & set(ended.err)
    assert "Traceback" not in ended.err

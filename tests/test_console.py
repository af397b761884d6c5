"""What is printed: one line a message, exit codes, bars and times."""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import Any, cast

import pytest
import typer
from rich.console import Console

from vis_cli import console
from vis_cli.console import (
    BatchProgress,
    Reporter,
    StepProgress,
    UsageError,
    VideoReport,
    print_line,
    print_reports,
    print_table,
)
from vis_cli.errors import VisError

LONG = "a message " * 30


class Terminal(io.StringIO):
    """Keep what is printed on a terminal."""

    def isatty(self) -> bool:
        """Return True."""
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """Make stderr a terminal whose text is kept."""
    text = Terminal()
    monkeypatch.setattr(console, "_stderr", Console(file=text, force_terminal=True, width=120, color_system=None))
    return text


class TestReporter:
    def test_a_message_is_one_line_however_long(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("COLUMNS", "40")
        Reporter().error(f"{LONG}\nand more")
        assert capsys.readouterr().err == f"error: {LONG}and more\n"

    def test_quiet_leaves_warnings_and_errors(self, capsys: pytest.CaptureFixture[str]) -> None:
        reporter = Reporter(quiet=True)
        reporter.note("note")
        reporter.warn("odd")
        reporter.error("bad")
        assert capsys.readouterr() == ("", "warning: odd\nerror: bad\n")

    @pytest.mark.parametrize(
        ("error", "code", "said"),
        [
            (VisError("broken"), 1, "error: broken\n"),
            (UsageError("no such thing"), 2, "error: no such thing\n"),
            (KeyboardInterrupt(), 130, "error: interrupted\n"),
            (OSError(36, "File name too long", "x"), 1, "error: cannot access x: File name too long.\n"),
        ],
    )
    def test_guard(self, error: BaseException, code: int, said: str, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(typer.Exit) as exit_, Reporter().guard():
            raise error
        assert exit_.value.exit_code == code
        assert capsys.readouterr().err == said

    def test_guard_lets_other_errors_through(self) -> None:
        with pytest.raises(ZeroDivisionError), Reporter().guard():
            raise ZeroDivisionError

    def test_debug_adds_the_traceback(self, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(typer.Exit), Reporter(debug=True).guard():
            raise VisError("[bold]broken")
        err = capsys.readouterr().err
        assert err.startswith("Traceback (most recent call last)")
        assert "test_debug_adds_the_traceback" in err
        assert err.endswith("error: [bold]broken\n")


def test_the_table_cuts_nothing(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    print_reports([VideoReport("v" * 50, "in", "failed", reason="r" * 100)])
    err = capsys.readouterr().err
    assert err.count("v") - err.count("video") == 50
    assert err.count("r") - err.count("frames") == 100
    assert "…" not in err


HOSTILE = "\x1b[31m\x9b1m\u202e\x00\udcff"
SAFE = r"\x1b[31m\x9b1m\u202e\x00\udcff"


class TestHostileText:
    """Names and metadata of files may hold anything."""

    def test_each_way_to_print(self, capsys: pytest.CaptureFixture[str]) -> None:
        Reporter().note(HOSTILE)
        Reporter().warn(HOSTILE)
        Reporter().error(HOSTILE)
        print_reports([VideoReport(HOSTILE, "in", "failed", reason=HOSTILE)])
        print_line(f"{HOSTILE}\n{HOSTILE}")
        print_table((HOSTILE,), [(HOSTILE,)])
        out, err = capsys.readouterr()
        assert err.count(SAFE) == 5
        assert out.count(SAFE) == 4
        assert not set(HOSTILE) & set(out + err) - set(SAFE)

    def test_other_spaces_and_invisible_characters(self, capsys: pytest.CaptureFixture[str]) -> None:
        Reporter().error("a\u00a0b\u2003 c\u200b\n d\u3000")
        assert capsys.readouterr().err == "error: a\\xa0b\\u2003 c\\u200b d\\u3000\n"

    def test_a_traceback(self, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(typer.Exit), Reporter(debug=True).guard():
            raise VisError(HOSTILE)
        err = capsys.readouterr().err
        assert err.startswith("Traceback")
        assert not set(HOSTILE) & set(err) - set(SAFE)

    def test_a_progress_bar(self, terminal: io.StringIO) -> None:
        with BatchProgress(1, Reporter()) as progress:
            progress.start_video("\x9b\u202e")
            progress.update("read", 4, 8)
            progress._bars.refresh()
        assert r"\x9b\u202e: read" in terminal.getvalue()
        assert not {"\x9b", "\u202e"} & set(terminal.getvalue())

    @pytest.mark.parametrize("length", [5_000, 1_000_000])
    def test_a_long_value_keeps_the_cause_at_its_end(self, length: int, capsys: pytest.CaptureFixture[str]) -> None:
        Reporter().error(f"cannot read {'x' * length}: no such file.")
        err = capsys.readouterr().err
        assert len(err) < 2100
        assert err.startswith("error: cannot read xxx")
        assert err.endswith("xxx: no such file.\n")
        assert f"({length + 27} characters)" in err

    @pytest.mark.parametrize("character", ["\x00", "\udcff"])
    def test_the_limit_applies_to_escaped_text(self, character: str, capsys: pytest.CaptureFixture[str]) -> None:
        print_line(character * 1_990)
        (line,) = capsys.readouterr().out.splitlines()
        assert len(line) < 2100
        assert "(1990 characters)" in line

    def test_a_long_path_is_shown_in_full(self, capsys: pytest.CaptureFixture[str]) -> None:
        Reporter().error("x" * 1_900)
        assert capsys.readouterr().err == f"error: {'x' * 1_900}\n"


class TestProgress:
    def test_bars_of_a_batch(self, terminal: io.StringIO) -> None:
        with BatchProgress(3, Reporter()) as progress:
            progress.start_video("a[0]")
            progress.update("read", 4, 8)
            progress._bars.refresh()
            progress.update("forward", 1, 9)
            progress._bars.refresh()
            progress.end_video(8)
            progress._bars.refresh()
        text = terminal.getvalue()
        assert "a[0]: read" in text
        assert "4/8" in text
        assert "a[0]: forward" in text
        assert "1/9" in text
        assert "videos" in text
        assert "1/3" in text
        assert "frames/s" in text
        assert " left" in text

    def test_an_unknown_number_of_frames(self, terminal: io.StringIO) -> None:
        with BatchProgress(1, Reporter()) as progress:
            progress.start_video("a")
            progress.update("read", 4, 0)
            progress._bars.refresh()
        assert "4/?" in terminal.getvalue()
        assert "videos" not in terminal.getvalue()

    def test_the_window_of_a_long_video(self, terminal: io.StringIO) -> None:
        windows = iter(["window 1 of 3, 0 objects", "window 2 of 3, 5 objects"])
        with BatchProgress(1, Reporter()) as progress:
            progress.start_video("a")
            progress.describe_windows(lambda: next(windows))
            progress.update("read", 4, 12)
            progress.update("forward", 4, 12)
            progress.update("read", 8, 12)  # the bar stays at the propagated frames
            progress._bars.refresh()
            assert "8/12" not in terminal.getvalue()
            assert "a: window 1 of 3, 0 objects" in terminal.getvalue()
            progress.update("forward", 5, 12)
            progress._bars.refresh()
            progress.end_video(12)
            progress.start_video("b")
            progress.update("forward", 1, 2)
            progress._bars.refresh()
        assert "a: window 2 of 3, 5 objects" in terminal.getvalue()
        assert "5/12" in terminal.getvalue()
        assert "b: forward " in terminal.getvalue()

    def test_frames_of_an_interrupted_run_do_not_count_as_speed(
        self, terminal: io.StringIO, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with BatchProgress(1, Reporter()) as progress:
            monkeypatch.setattr(progress._bars, "get_time", iter(range(0, 10_000, 10)).__next__)
            progress.start_video("a")
            progress.update("forward", 901, 1000)
            progress.update("forward", 902, 1000)
            (_, task) = progress._bars.tasks
        assert task.fields["frames"] == 2
        assert (task.completed, task.fields["before"]) == (902, 900)

    @pytest.mark.parametrize("quiet", [True, False])
    def test_no_bars_where_nobody_looks(
        self, quiet: bool, terminal: io.StringIO, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        if not quiet:
            monkeypatch.setattr(console, "_stderr", Console(file=io.StringIO()))
        with BatchProgress(2, Reporter(quiet)) as progress:
            progress.start_video("a")
            progress.update("read", 4, 8)
            progress.end_video(8)
        assert terminal.getvalue() == ""

    def test_update_needs_a_video(self) -> None:
        with pytest.raises(ValueError, match="start_video"):
            BatchProgress(1, Reporter()).update("read", 1, 2)

    def test_steps_of_training(self, terminal: io.StringIO) -> None:
        with StepProgress(Reporter()) as progress:
            progress.update(3, 1000, {"prop": 0.25, "mask": 1.0})
        text = terminal.getvalue()
        assert "3/1000" in text
        assert "prop 0.25 mask 1.00" in text

    @pytest.mark.parametrize("line_every", [60.0, None])
    def test_off_a_terminal_training_prints_a_line_a_minute(
        self, line_every: float | None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        seconds = 0.0
        monkeypatch.setattr(console, "monotonic", lambda: seconds)
        with StepProgress(Reporter(), line_every=line_every) as progress:
            for step in range(1, 8):
                seconds = 25.0 * step
                progress.update(step, 9, {"loss": step / 4, "images/s": 3.0})
        lines = capsys.readouterr().err.splitlines()
        expected = [] if line_every is None else [f"step {n} of 9, loss {n / 4:.2f} images/s 3.00, " for n in (1, 4, 7)]
        assert [line.partition("0:00:")[0] for line in lines] == expected
        assert all(line.endswith(" left") for line in lines)

    def test_lines_of_training_leave_terminals_and_silence_alone(
        self, terminal: io.StringIO, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with StepProgress(Reporter(), line_every=0.0) as progress:
            progress.update(3, 1000, {"loss": 1.0})
        assert "step 3 of 1000" not in terminal.getvalue()
        quiet = io.StringIO()
        monkeypatch.setattr(console, "_stderr", Console(file=quiet))
        with StepProgress(Reporter(quiet=True), line_every=0.0) as progress:
            progress.update(3, 1000, {"loss": 1.0})
        assert quiet.getvalue() == ""

    @pytest.mark.parametrize(
        ("completed", "as_of", "elapsed", "expected"),
        [
            (1, 3661.0, 3661.0, "1:01:01 left"),
            (1, 60.0, 70.0, "0:00:50 left"),
            (1, 60.0, 200.0, "0:00:00 left"),
            (0, 0.0, 5.0, ""),
            (1, 0.0, None, ""),
            (2, 5.0, 5.0, "0:00:00 left"),
        ],
    )
    def test_time_left(self, completed: int, as_of: float, elapsed: float | None, expected: str) -> None:
        task = cast(Any, SimpleNamespace(total=2, completed=completed, elapsed=elapsed, fields={"as_of": as_of}))
        assert str(console._TimeLeft().render(task)) == expected

    def test_the_steps_of_an_earlier_run_say_nothing_of_the_pace(self) -> None:
        fields = {"as_of": 20.0, "before": 500}
        task = cast(Any, SimpleNamespace(total=530, completed=510, elapsed=20.0, fields=fields))
        assert str(console._TimeLeft().render(task)) == "0:00:40 left"

    def test_a_resumed_training_counts_from_its_first_step(self) -> None:
        with StepProgress(Reporter()) as progress:
            progress.update(501, 1000, {})
            progress.update(502, 1000, {})
        (task,) = progress._bars.tasks
        assert (task.completed, task.fields["before"]) == (502, 500)

    def test_rate(self) -> None:
        task = cast(Any, SimpleNamespace(fields={"frames": 30, "as_of": 4.0}, elapsed=9.0))
        assert str(console._Rate().render(task)) == "7.5 frames/s"

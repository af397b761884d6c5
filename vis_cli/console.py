"""All printing: messages, progress bars and the closing table on stderr, the product on stdout.

Used by the commands; the trainer may use it too, nothing else prints.
"""

from __future__ import annotations

import json
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import Any, Literal

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TaskID, TextColumn
from rich.table import Table
from rich.text import Text

from vis_cli.errors import VisError
from vis_cli.files.names import printable
from vis_cli.signals import add_cleanup, remove_cleanup

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130

MESSAGE_CHARACTERS = 2000  # of a message or a cell of a table; the middle of a longer one is left out
SHOWN_END = 500  # characters of the end that stay, since a message ends with its cause

_stderr = Console(stderr=True, highlight=False)
_stdout = Console(highlight=False)


class UsageError(VisError):
    """Say in one line what of the command line itself cannot be meant; the exit code is 2."""


@dataclass(frozen=True, slots=True)
class Reporter:
    """Tell a person on stderr what happens: `quiet` leaves warnings and errors, `debug` adds tracebacks."""

    quiet: bool = False
    debug: bool = False

    def note(self, message: str) -> None:
        """Print a line that is good to know."""
        if not self.quiet:
            _print_line("", "", message)

    def warn(self, message: str) -> None:
        """Print a line about something that is not as it should be."""
        _print_line("warning: ", "yellow", message)

    def error(self, message: str, cause: BaseException | None = None) -> None:
        """Print the one line of a mistake, under the traceback of its `cause` where that is asked for."""
        if self.debug and cause is not None:
            for line in "".join(traceback.format_exception(cause)).splitlines():
                _stderr.print(Text(cleaned(line)), soft_wrap=True)
        _print_line("error: ", "bold red", message)

    @contextmanager
    def guard(self) -> Iterator[None]:
        """Turn a user's mistake into one line and its exit code, and Ctrl-C into 130.

        Raises:
            typer.Exit: 1 for a VisError or a failure of the file system, 2 for a UsageError, 130 for an interruption.
        """
        try:
            yield
        except VisError as error:
            self.error(str(error), error)
            raise typer.Exit(EXIT_USAGE if isinstance(error, UsageError) else EXIT_FAILED) from error
        except OSError as error:  # a look at a path: a name that is too long, a folder without permission
            if error.strerror is None:
                raise
            self.error(f"cannot access {error.filename or 'a file'}: {error.strerror}.", error)
            raise typer.Exit(EXIT_FAILED) from error
        except KeyboardInterrupt as interruption:
            self.error("interrupted", interruption)
            raise typer.Exit(EXIT_INTERRUPTED) from interruption


@dataclass(frozen=True, slots=True)
class VideoReport:
    """Hold what became of one input: a row of the closing table."""

    video: str
    source: str
    status: Literal["done", "skipped", "failed"]
    frames: int | None = None
    instances: int | None = None
    seconds: float | None = None
    outputs: tuple[Path, ...] = ()
    reason: str | None = None  # why it was skipped or failed

    def as_json(self) -> str:
        """Return the report as one JSON line."""
        return json.dumps({**asdict(self), "outputs": [str(path) for path in self.outputs]})


def print_line(text: str) -> None:
    """Print text of the product on stdout, each line made safe for a terminal."""
    for line in text.split("\n"):
        print_json(cleaned(line))


def print_json(text: str) -> None:
    """Print a line of JSON on stdout and flush it; JSON in ASCII contains no character that a terminal obeys."""
    _stdout.file.write(f"{text}\n")
    _stdout.file.flush()


def cleaned(text: str) -> str:
    """Return text that may contain anything from a file or its name, as it can be printed in one line.

    The limit applies to what is printed: an escaped character is longer than the character itself.
    """
    ends = text if len(text) <= MESSAGE_CHARACTERS else text[:MESSAGE_CHARACTERS] + text[-SHOWN_END:]
    escaped = printable(ends, limit=len(ends))
    if len(escaped) <= MESSAGE_CHARACTERS:
        return escaped
    start = escaped[: MESSAGE_CHARACTERS - SHOWN_END]
    return f"{start}… ({len(text)} characters) …{escaped[-SHOWN_END:]}"


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table that is the product on stdout; columns whose names end in ' #' hold numbers."""
    _stdout.print(_table(columns, rows))


def print_reports(reports: Sequence[VideoReport]) -> None:
    """Print the closing table of a batch on stderr."""
    columns = ("video", "frames #", "instances #", "seconds #", "output")
    _stderr.print(_table(columns, [_report_cells(report) for report in reports]))


class BatchProgress:
    """Show how far the batch and the video at work are, while stderr is a terminal.

    Use as a context manager around the batch; `update` is the progress callback of the engine.
    """

    def __init__(self, num_videos: int, reporter: Reporter) -> None:
        """Prepare the bars of a batch of `num_videos`."""
        self._bars = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            _Rate(),
            _TimeLeft(),
            console=_stderr,
            transient=True,
            disable=reporter.quiet or not _is_live(),
        )
        self._batch = self._bars.add_task("videos", total=num_videos, visible=num_videos > 1, frames=0, as_of=0.0)
        self._video: TaskID | None = None
        self._name = self._stage = ""
        self._num_done = self._num_frames = 0  # videos that ended, and the frames in them

    def __enter__(self) -> BatchProgress:
        """Show the bars."""
        self._bars.start()
        add_cleanup(self._bars.stop)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take the bars away."""
        remove_cleanup(self._bars.stop)
        if not self._bars.disable:  # where it is, rich before 15 ends with an empty line
            self._bars.stop()

    def start_video(self, name: str) -> None:
        """Begin the bar of the next video."""
        self._name, self._stage = cleaned(name), ""
        self._video = self._bars.add_task(self._name, total=None, frames=0, as_of=0.0)

    def update(self, stage: str, done: int, total: int) -> None:
        """Say that `done` of the `total` frames of a stage are done; total 0 means that it is not known."""
        if self._video is None:
            raise ValueError("update before start_video")
        if stage != self._stage:
            self._stage = stage
            self._bars.reset(self._video, description=f"{self._name}: {stage}")
        _progressed(self._bars, self._video, completed=done, total=total or None, frames=done)

    def end_video(self, frames: int) -> None:
        """Count the video at work, of so many frames, as done."""
        if self._video is not None:
            self._bars.remove_task(self._video)
        self._video = None
        self._num_frames += frames
        self._num_done += 1
        _progressed(self._bars, self._batch, completed=self._num_done, frames=self._num_frames)


class StepProgress:
    """Show how far a training or an evaluation is, while stderr is a terminal; a context manager around it.

    Where it is none, a line now and then may stand for the bar.
    """

    def __init__(self, reporter: Reporter, *, name: str = "steps", line_every: float | None = None) -> None:
        """Prepare the bar of what `name` says is counted; lines are `line_every` seconds apart, None: no lines."""
        self._bars = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            _TimeLeft(),
            TextColumn("{task.fields[losses]}", markup=False),
            console=_stderr,
            disable=reporter.quiet or not _is_live(),
        )
        self._steps = self._bars.add_task(name, total=None, losses="", as_of=0.0)
        self._before: int | None = None  # steps that were done before the first update
        self._reporter = reporter
        self._line_every = None if _is_live() else line_every
        self._line_due = monotonic()  # when the next line is

    def __enter__(self) -> StepProgress:
        """Show the bar."""
        self._bars.start()
        add_cleanup(self._bars.stop)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the bar where it is."""
        remove_cleanup(self._bars.stop)
        if not self._bars.disable:  # where it is, rich before 15 ends with an empty line
            self._bars.stop()

    def update(self, step: int, num_steps: int, losses: Mapping[str, float]) -> None:
        """Say that `step` of `num_steps` are done, the last with these losses."""
        if self._before is None:
            self._before = step - 1
        words = " ".join(f"{name} {loss:.2f}" for name, loss in losses.items())
        _progressed(self._bars, self._steps, completed=step, total=num_steps, losses=words, before=self._before)
        if self._line_every is not None and monotonic() >= self._line_due:
            self._line_due = monotonic() + self._line_every
            left = str(_TimeLeft().render(self._bars.tasks[0]))
            self._reporter.note(", ".join(part for part in (f"step {step} of {num_steps}", words, left) if part))


class _Rate(ProgressColumn):
    """Show the frames a second from a task's begin to its last frame so far."""

    def render(self, task: Task) -> Text:
        """Return for instance '4.2 frames/s', or nothing before the first frame."""
        frames, seconds = task.fields["frames"], task.fields["as_of"]
        return Text(f"{frames / seconds:.1f} frames/s" if frames and seconds else "")


class _TimeLeft(ProgressColumn):
    """Show the time left at the mean pace so far; rich's own forgets what is older than 30 s."""

    def render(self, task: Task) -> Text:
        """Return for instance '0:02:10 left', or nothing while it cannot be known."""
        before = task.fields.get("before", 0)  # done by an earlier run, in no time of this one
        done = task.completed - before
        if not (task.total and done and task.elapsed):
            return Text("")
        whole = task.fields["as_of"] / done * (task.total - before)
        left = max(0, round(whole - task.elapsed))
        return Text(f"{left // 3600}:{left // 60 % 60:02}:{left % 60:02} left")


def _progressed(bars: Progress, task: TaskID, **changes: Any) -> None:
    """Enter a task's progress with the second it is known at, so that its pace does not sink between two steps."""
    elapsed = next((entry.elapsed for entry in bars.tasks if entry.id == task), None)
    bars.update(task, as_of=elapsed or 0.0, **changes)


def _print_line(prefix: str, style: str, message: str) -> None:
    _stderr.print(Text.assemble((prefix, style), cleaned(" ".join(message.split()))), soft_wrap=True)


def _is_live() -> bool:
    """Return whether stderr is a terminal; FORCE_COLOR asks for colours in a file, but bars would be garbage there."""
    return _stderr.file.isatty()


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    table = Table()
    for column in columns:
        is_number, name = column.endswith(" #"), Text(cleaned(column.removesuffix(" #")))
        table.add_column(name, justify="right" if is_number else "left", no_wrap=is_number, overflow="fold")
    for row in rows:
        table.add_row(*(Text("\n".join(map(cleaned, cell.split("\n")))) for cell in row))
    return table


def _report_cells(report: VideoReport) -> tuple[str, ...]:
    seconds = "" if report.seconds is None else f"{report.seconds:.1f}"
    counts = ("" if count is None else str(count) for count in (report.frames, report.instances))
    outputs = "\n".join(str(path) for path in report.outputs)
    outcome = outputs if report.status == "done" else f"{report.status}: {report.reason}"
    return (report.video, *counts, seconds, outcome)

"""All printing: messages, progress bars and the summary table on stderr, the output of a command on stdout.

Used by `app` and the commands. No other module prints.
"""

from __future__ import annotations

import json
import re
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import Any, Literal

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TaskID, TextColumn
from rich.table import Column, Table
from rich.text import Text

from vis_cli.errors import VisError
from vis_cli.files.names import printable
from vis_cli.found_categories import FoundCategory
from vis_cli.signals import add_cleanup, received_signal, remove_cleanup

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130

MESSAGE_CHARACTERS = 2000  # maximum length of a message or a table cell; the middle of a longer text is omitted
SHOWN_END = 500  # number of last characters that are kept, because the cause is at the end of a message
BAR_WIDTH = 10  # of the progress bar of a video, in characters: all columns fit into 80 characters
ASCII_SPACES = re.compile("[ \\t\\n\\r\\f\\v]+")  # other spaces are escaped

_stderr = Console(stderr=True, highlight=False)
_stdout = Console(highlight=False)


class UsageError(VisError):
    """An error in the command line itself. The exit code is 2."""


@dataclass(frozen=True, slots=True)
class Reporter:
    """Printer of messages on stderr. `quiet` omits notes, `debug` adds the traceback of each error."""

    quiet: bool = False
    debug: bool = False

    def note(self, message: str) -> None:
        """Print information in one line."""
        if not self.quiet:
            _print_line("", "", message)

    def warn(self, message: str) -> None:
        """Print a warning in one line."""
        _print_line("warning: ", "yellow", message)

    def error(self, message: str, cause: BaseException | None = None) -> None:
        """Print an error in one line. With `debug`, print the traceback of its `cause` first."""
        if self.debug and cause is not None:
            for line in "".join(traceback.format_exception(cause)).splitlines():
                _stderr.print(Text(cleaned(line)), soft_wrap=True)
        _print_line("error: ", "bold red", message)

    @contextmanager
    def guard(self) -> Iterator[None]:
        """Print an error of the body in one line and exit with its exit code.

        Raises:
            typer.Exit: 1 for a VisError or an error of the file system, 2 for a UsageError, 130 for Ctrl-C.
        """
        try:
            yield
        except VisError as error:
            if received_signal() is not None:  # an extension module can replace the exception of a signal
                self.error("interrupted", error)
                raise typer.Exit(EXIT_INTERRUPTED) from error
            self.error(str(error), error)
            raise typer.Exit(EXIT_USAGE if isinstance(error, UsageError) else EXIT_FAILED) from error
        except OSError as error:  # from a path: its name is too long, or its folder has no read permission
            if error.strerror is None:
                raise
            self.error(f"cannot access {error.filename or 'a file'}: {error.strerror}.", error)
            raise typer.Exit(EXIT_FAILED) from error
        except KeyboardInterrupt as interruption:
            self.error("interrupted", interruption)
            raise typer.Exit(EXIT_INTERRUPTED) from interruption


@dataclass(frozen=True, slots=True)
class VideoReport:
    """Outcome of one input: a row of the summary table."""

    video: str
    source: str
    status: Literal["done", "skipped", "failed"]
    frames: int | None = None
    instances: int | None = None  # all instances of the result
    confident_instances: int | None = None
    shown_instances: int | None = None  # in the overlay video and in the table
    categories: tuple[FoundCategory, ...] = ()  # of the shown instances
    seconds: float | None = None
    outputs: tuple[Path, ...] = ()
    reason: str | None = None  # the cause, if the input was skipped or failed

    @property
    def num_left_out(self) -> int:
        """Return the number of instances that the overlay video and the table do not show."""
        return (self.instances or 0) - (self.shown_instances or 0)

    def as_json(self) -> str:
        """Return the report as one JSON line."""
        return json.dumps({**asdict(self), "outputs": [str(path) for path in self.outputs]})


def print_line(text: str) -> None:
    """Print text on stdout, without control characters."""
    for line in text.split("\n"):
        print_json(cleaned(line))


def print_json(text: str) -> None:
    """Print a line of JSON on stdout and flush it. ASCII JSON contains no control characters of a terminal."""
    _stdout.file.write(f"{text}\n")
    _stdout.file.flush()


def cleaned(text: str) -> str:
    """Return a text from any source as one line that is safe to print.

    The length limit applies to the escaped text, in which an escaped character is longer than the original.
    """
    ends = text if len(text) <= MESSAGE_CHARACTERS else text[:MESSAGE_CHARACTERS] + text[-SHOWN_END:]
    escaped = printable(ends, limit=len(ends))
    if len(escaped) <= MESSAGE_CHARACTERS:
        return escaped
    start = escaped[: MESSAGE_CHARACTERS - SHOWN_END]
    return f"{start}… ({len(text)} characters) …{escaped[-SHOWN_END:]}"


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table on stdout. A column whose name ends in ' #' contains numbers."""
    _stdout.print(_table(columns, rows))


def print_reports(reports: Sequence[VideoReport]) -> None:
    """Print the summary table of a batch on stderr. It has a column for left out instances if a video has some."""
    lists_left_out = any(report.num_left_out for report in reports)
    left_out = ("left out #",) if lists_left_out else ()
    columns = ("video", "frames #", "instances #", *left_out, "seconds #", "output")
    _stderr.print(_table(columns, [_report_cells(report, lists_left_out=lists_left_out) for report in reports]))


class BatchProgress:
    """Progress bars of a batch and of its current video, shown if stderr is a terminal.

    Use it as a context manager around the batch. `update` is the progress callback of the engine.
    """

    def __init__(self, num_videos: int, reporter: Reporter) -> None:
        """Prepare the progress bars of a batch of `num_videos`."""
        self._bars = Progress(
            _Description(),
            BarColumn(bar_width=BAR_WIDTH),
            MofNCompleteColumn(table_column=Column(no_wrap=True)),
            _Rate(),
            _TimeLeft(),
            console=_stderr,
            transient=True,
            disable=reporter.quiet or not _is_live(),
        )
        self._batch = self._bars.add_task("videos", total=num_videos, visible=num_videos > 1, frames=0, as_of=0.0)
        self._video: TaskID | None = None
        self._name = self._stage = ""
        self._before = 0  # frames of the stage that an interrupted run has done
        self._window: Callable[[], str] | None = None
        self._num_done = self._num_frames = 0  # finished videos, and their frames

    def __enter__(self) -> BatchProgress:
        """Show the progress bars."""
        self._bars.start()
        add_cleanup(self._bars.stop)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove the progress bars."""
        remove_cleanup(self._bars.stop)
        if not self._bars.disable:  # where it is, rich before 15 ends with an empty line
            self._bars.stop()

    def start_video(self, name: str) -> None:
        """Start the progress bar of the next video."""
        self._name, self._stage, self._window = cleaned(name), "", None
        self._video = self._bars.add_task(self._name, total=None, frames=0, as_of=0.0)

    def describe_windows(self, window: Callable[[], str] | None) -> None:
        """Also show the text that `window` returns while the video is propagated. None: the video has one window."""
        self._window = window

    def update(self, stage: str, done: int, total: int) -> None:
        """Show that `done` of `total` frames of a stage are processed. A total of 0 means unknown."""
        if self._video is None:
            raise ValueError("update before start_video")
        if (self._stage, stage) == ("forward", "read"):  # the next window is read: the bar stays
            return
        if stage != self._stage:
            self._stage, self._before = stage, max(done - 1, 0)
            self._bars.reset(self._video)
        shown = self._window() if self._window is not None and stage == "forward" else stage
        text, before = f"{self._name}: {shown}", self._before
        frames = done - before
        _progressed(
            self._bars, self._video, description=text, completed=done, total=total or None, frames=frames, before=before
        )

    def end_video(self, frames: int) -> None:
        """Count the current video and its number of frames as finished."""
        if self._video is not None:
            self._bars.remove_task(self._video)
        self._video = None
        self._num_frames += frames
        self._num_done += 1
        _progressed(self._bars, self._batch, completed=self._num_done, frames=self._num_frames)


class StepProgress:
    """Progress bar of a training or an evaluation, shown if stderr is a terminal. Use it as a context manager.

    If stderr is not a terminal, lines at a fixed interval can replace the bar.
    """

    def __init__(self, reporter: Reporter, *, name: str = "steps", line_every: float | None = None) -> None:
        """Prepare the progress bar.

        Args:
            reporter: Prints the lines.
            name: Name of the units that are counted, such as "steps".
            line_every: Interval between lines in seconds. None prints no lines.
        """
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
        self._before: int | None = None  # number of steps before the first update
        self._reporter = reporter
        self._line_every = None if _is_live() else line_every
        self._line_due = monotonic()  # time of the next line

    def __enter__(self) -> StepProgress:
        """Show the progress bar."""
        self._bars.start()
        add_cleanup(self._bars.stop)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the progress bar and keep it on the screen."""
        remove_cleanup(self._bars.stop)
        if not self._bars.disable:  # where it is, rich before 15 ends with an empty line
            self._bars.stop()

    def update(self, step: int, num_steps: int, losses: Mapping[str, float]) -> None:
        """Show that `step` of `num_steps` steps are done, and the losses of the last step."""
        if self._before is None:
            self._before = step - 1
        words = " ".join(f"{name} {loss:.2f}" for name, loss in losses.items())
        _progressed(self._bars, self._steps, completed=step, total=num_steps, losses=words, before=self._before)
        if self._line_every is not None and monotonic() >= self._line_due:
            self._line_due = monotonic() + self._line_every
            left = str(_TimeLeft().render(self._bars.tasks[0]))
            self._reporter.note(", ".join(part for part in (f"step {step} of {num_steps}", words, left) if part))


class _Description(ProgressColumn):
    """Column with the description of a task. In a narrow terminal, its end is cut off instead of wrapped."""

    def render(self, task: Task) -> Text:
        """Return the description."""
        return Text(task.description, no_wrap=True, overflow="ellipsis")


class _Rate(ProgressColumn):
    """Column with the frames per second since the start of a task."""

    def get_table_column(self) -> Column:
        """Return a column that keeps its text in one line."""
        return Column(no_wrap=True)

    def render(self, task: Task) -> Text:
        """Return a string such as '4.2 frames/s', or an empty string before the first frame."""
        frames, seconds = task.fields["frames"], task.fields["as_of"]
        return Text(f"{frames / seconds:.1f} frames/s" if frames and seconds else "")


class _TimeLeft(ProgressColumn):
    """Column with the remaining time at the mean speed. The column of rich uses only the last 30 s."""

    def get_table_column(self) -> Column:
        """Return a column that keeps its text in one line."""
        return Column(no_wrap=True)

    def render(self, task: Task) -> Text:
        """Return a string such as '0:02:10 left', or an empty string before the first step."""
        before = task.fields.get("before", 0)  # steps of an earlier run, which took no time in this run
        done = task.completed - before
        if not (task.total and done and task.elapsed):
            return Text("")
        whole = task.fields["as_of"] / done * (task.total - before)
        left = max(0, round(whole - task.elapsed))
        return Text(f"{left // 3600}:{left // 60 % 60:02}:{left % 60:02} left")


def _progressed(bars: Progress, task: TaskID, **changes: Any) -> None:
    """Update a task together with its elapsed time, so that the shown speed does not drop between two steps."""
    elapsed = next((entry.elapsed for entry in bars.tasks if entry.id == task), None)
    bars.update(task, as_of=elapsed or 0.0, **changes)


def _print_line(prefix: str, style: str, message: str) -> None:
    _stderr.print(
        Text.assemble((prefix, style), cleaned(" ".join(ASCII_SPACES.split(message)).strip(" "))), soft_wrap=True
    )


def _is_live() -> bool:
    """Return whether stderr is a terminal. FORCE_COLOR does not count: it must not write progress bars to a file."""
    return _stderr.file.isatty()


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    table = Table()
    for column in columns:
        is_number, name = column.endswith(" #"), Text(cleaned(column.removesuffix(" #")))
        table.add_column(name, justify="right" if is_number else "left", no_wrap=is_number, overflow="fold")
    for row in rows:
        table.add_row(*(Text("\n".join(map(cleaned, cell.split("\n")))) for cell in row))
    return table


def _report_cells(report: VideoReport, *, lists_left_out: bool) -> tuple[str, ...]:
    seconds = "" if report.seconds is None else f"{report.seconds:.1f}"
    numbers = [report.frames, report.shown_instances]
    if lists_left_out:
        numbers.append(None if report.instances is None else report.num_left_out)
    counts = ("" if number is None else str(number) for number in numbers)
    outputs = "\n".join(str(path) for path in report.outputs)
    outcome = outputs if report.status == "done" else f"{report.status}: {report.reason}"
    return (report.video, *counts, seconds, outcome)

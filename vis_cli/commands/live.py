"""`vis segment --live`: segment a camera, a network stream or a pipe while it runs. Used by `segment`."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from vis_cli import options
from vis_cli.commands.batch import Batch, failure_of
from vis_cli.commands.option_groups import changed_options
from vis_cli.commands.outputs import prepare_folder, protect_files
from vis_cli.console import EXIT_FAILED, EXIT_INTERRUPTED, BatchProgress, Reporter, UsageError, print_json
from vis_cli.errors import VisError
from vis_cli.files.atomic import named_failures
from vis_cli.files.locks import exclusive_lock
from vis_cli.messages import counted
from vis_cli.records.live.lines import iter_lines
from vis_cli.records.live.opening import open_source, source_name
from vis_cli.records.live.overlay import LiveOverlay
from vis_cli.records.live.video import LiveVideo
from vis_cli.records.types import Category
from vis_cli.settings import LIVE, SegmentSettings, find_preset
from vis_cli.signals import received_signal, stop_with
from vis_cli.zoo.detectors.kinds import is_box_detector
from vis_cli.zoo.included_detectors import INCLUDED_DETECTORS

if TYPE_CHECKING:
    from vis_cli.engine.finished import FinishedWindow

ALLOWED = ("--only", "--stream")  # options of the groups that `require_live_options` checks
STOPPING = b"stopping: the captured frames are segmented first. Press Ctrl-C again to stop immediately.\n"


@dataclass(slots=True)
class Delays:
    """Delays of the frames, from capture to result, in seconds."""

    num_frames: int = 0
    total: float = 0.0
    largest: float = 0.0

    def add(self, delay: float) -> None:
        """Add the delay of a frame."""
        self.num_frames += 1
        self.total += delay
        self.largest = max(self.largest, delay)

    @property
    def mean(self) -> float:
        """Return the mean delay, 0 without frames."""
        return self.total / self.num_frames if self.num_frames else 0.0


def require_live_options(inputs: Sequence[str], model: options.ModelOptions, *groups: Any) -> None:
    """Check that all options are possible for live video.

    Args:
        inputs: Values of INPUT.
        model: Options of the model.
        groups: Other groups of options. Only `ALLOWED` options may be given.

    Raises:
        UsageError: There are several inputs, or an option needs a video that is read completely or twice.
    """
    if len(inputs) != 1:
        raise UsageError(f"--live needs one input, but there are {len(inputs)}. Run the command once per input.")
    for group in groups:
        for option in changed_options(group):
            if option not in ALLOWED:
                raise UsageError(f"{option} and --live are both given. Omit one of them.")
    detector = model.detector or model.name
    if is_box_detector(detector) and detector not in INCLUDED_DETECTORS:
        problem = f"--live: the detector {detector} needs a second pass over the video, which is not possible"
        raise UsageError(problem, hint="Use a model folder, such as lite.")


@dataclass(frozen=True, slots=True)
class LiveRequest:
    """What `vis segment --live` segments and writes."""

    source: str  # value of INPUT
    out: Path
    config: SegmentSettings
    only: Sequence[str]  # names of --only
    stream: int | None  # index of the video stream
    output: options.OutputOptions


def segment_live(request: LiveRequest, batch: Batch, reporter: Reporter) -> int:
    """Segment a live source until it ends, stops, or the user presses Ctrl-C.

    Args:
        request: The source and the outputs.
        batch: It loads the network.
        reporter: Prints messages.

    Returns:
        The exit code: 0 if the source has ended, 1 if it stopped in the middle, 130 after Ctrl-C.

    Raises:
        UsageError: The settings have no windows, or the folder cannot be written to.
        VisError: The source cannot be read, or an output cannot be written.
    """
    window = request.config.window
    if window is None:
        hint = f"Use --set window={find_preset(LIVE).window}."
        raise UsageError("window is none, but --live needs a number of frames", hint=hint)
    lines_path, overlay_path = _output_paths(request)
    prepare_folder(request.out)
    segmenter = batch.segmenter  # before the source is opened: it takes seconds, in which frames would be lost
    with ExitStack() as stack:
        stack.enter_context(exclusive_lock(lines_path))
        source = open_source(request.source, stream=request.stream)
        video = stack.enter_context(LiveVideo(source, capacity=window, keeps_images=overlay_path is not None))
        run = segmenter.start(video, only=request.only)
        _announce(video, window, reporter, cuts=request.config.cuts)
        lines = stack.enter_context(_opened(lines_path))
        overlay = None
        if overlay_path is not None:
            overlay = stack.enter_context(_overlay(overlay_path, video, run.categories, request))
        writer = _Writer(video, lines, overlay, run.categories, request)
        stack.enter_context(_stopped_by_signals(video, reporter))
        _write_all(run.iter_windows(), writer, reporter)
    _summarize(video, writer.delays, reporter)
    if video.failure is not None:
        reporter.error(str(video.failure), video.failure)
        return EXIT_FAILED
    return 0 if received_signal() is None else EXIT_INTERRUPTED


class _Writer:
    """All outputs of a live video."""

    def __init__(
        self,
        video: LiveVideo,
        lines: TextIO,
        overlay: LiveOverlay | None,
        categories: Sequence[Category],
        request: LiveRequest,
    ) -> None:
        self.video = video
        self.delays = Delays()
        self._lines, self._overlay = lines, overlay
        self._names = {category.id: category.name for category in categories}
        self._confident_score = request.config.confident_score
        self._as_json = request.output.as_json

    def write(self, window: FinishedWindow) -> None:
        """Write the frames of a finished window."""
        frames, now = self.video.take(window.frames), time.time()
        numbered = list(zip(window.frames, frames, strict=True))
        for line in iter_lines(
            numbered, window.sequences, names=self._names, confident_score=self._confident_score, now=now
        ):
            self._lines.write(f"{line}\n")
            if self._as_json:
                print_json(line)
        self._lines.flush()
        for frame in frames:
            self.delays.add(now - frame.captured)
        if self._overlay is not None:
            self._overlay.write(window.frames, frames, window.sequences)


def _output_paths(request: LiveRequest) -> tuple[Path, Path | None]:
    """Return NAME.jsonl and NAME.mp4.

    Raises:
        VisError: A file exists, and --overwrite is not given.
    """
    out, output, name = request.out, request.output, source_name(request.source)
    lines, overlay = out / f"{name}.jsonl", None if output.no_render else out / f"{name}.mp4"
    for path in (lines, overlay):
        if path is None:
            continue
        protect_files(path, [Path(request.source)])
        if path.exists() and not output.overwrite:
            raise VisError(f"cannot write {path}: it exists", hint="Use --overwrite to replace it, or another -o DIR.")
    return lines, overlay


def _write_all(windows: Iterator[FinishedWindow], writer: _Writer, reporter: Reporter) -> None:
    """Write the windows until the video ends.

    Raises:
        VisError: The network failed, or an output cannot be written.
    """
    video, has_warned = writer.video, False
    with BatchProgress(1, reporter) as progress:
        progress.start_video(video.name)
        try:
            for window in windows:
                writer.write(window)
                progress.update("live", writer.delays.num_frames, 0)
                if video.num_dropped and not has_warned:
                    has_warned = True
                    hint = "Use a smaller --short-side, or a faster --device."
                    reporter.warn(f"{video.name}: this machine is too slow, so frames are dropped. {hint}")
        except (MemoryError, RuntimeError) as error:
            raise failure_of(error) from error


def _overlay(path: Path, video: LiveVideo, categories: Sequence[Category], request: LiveRequest) -> LiveOverlay:
    return LiveOverlay(
        path,
        video,
        categories=categories,
        confident_score=request.config.confident_score,
        min_score=request.output.min_score,
    )


@contextmanager
def _opened(path: Path) -> Iterator[TextIO]:
    with named_failures(path), path.open("w", encoding="utf-8") as file:
        yield file


@contextmanager
def _stopped_by_signals(video: LiveVideo, reporter: Reporter) -> Iterator[None]:
    """Stop the capture at the first Ctrl-C of the body, so that the captured frames are still segmented."""

    def stop() -> None:
        video.stop()
        if not reporter.quiet:
            os.write(2, STOPPING)  # in a signal handler, a buffered stream cannot be used

    stop_with(stop)
    try:
        yield
    finally:
        stop_with(None)


def _announce(video: LiveVideo, window: int, reporter: Reporter, *, cuts: bool) -> None:
    from vis_cli.records.cuts import CutDetector

    later = CutDetector.delay if cuts else 0  # frames after which a cut is known
    seconds = (2 * window + later) / video.fps
    parts = f"2 windows of {counted(window, 'frame')}" + (f", and {later} frames to detect cuts" if cuts else "")
    delay = f"at most {seconds:.1f} s ({parts}) plus the processing time after its frame"
    size = f"{video.width}x{video.height}, {video.fps:.4g} frames/s"
    reporter.note(f"{video.shown}: {size}. A result appears {delay}. Press Ctrl-C to stop.")


def _summarize(video: LiveVideo, delays: Delays, reporter: Reporter) -> None:
    for warning in video.warnings:
        reporter.warn(f"{video.shown}: {warning}")
    percent = 100 * video.num_dropped / max(1, video.num_captured)
    reporter.note(
        f"{video.name}: {counted(video.num_captured, 'frame')}, {delays.num_frames} segmented, {video.num_dropped} "
        f"dropped ({percent:.1f} %); delay {delays.mean:.1f} s on average, {delays.largest:.1f} s at most"
    )

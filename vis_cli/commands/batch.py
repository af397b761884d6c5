"""Segmentation of the videos of a batch in order.

Existing results are kept. If a video fails, its error is printed and the next video is segmented. Used by `segment`
and `evaluate_model`.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vis_cli import __version__
from vis_cli.commands.given_inputs import (
    NOTHING_GIVEN,
    GivenInputs,
    GivenOptions,
    locate_detections,
    locate_masks,
    other_source,
    read_given,
    report_reach,
)
from vis_cli.commands.outputs import Job, default_name, refreshed, require_free, require_no_folders, sole_writer
from vis_cli.commands.own_results import Production, find_difference
from vis_cli.commands.partial_result import PartialResult, partial_folder, remove_partial
from vis_cli.commands.rendering import write_overlay
from vis_cli.console import BatchProgress, Reporter, UsageError, VideoReport
from vis_cli.errors import VisError
from vis_cli.files.names import printable
from vis_cli.found_categories import count_categories, describe_categories
from vis_cli.import_pause import pause_collector
from vis_cli.messages import counted
from vis_cli.records.export_messages import shorten
from vis_cli.records.given_masks import require_mask_size
from vis_cli.records.given_result import require_result_size
from vis_cli.records.part import PartRequest
from vis_cli.records.result_json import read_result, write_result
from vis_cli.records.result_summary import ResultSummary, read_summary, summarize_result
from vis_cli.records.shown_instances import describe_selection, shown_instances, shows_selection
from vis_cli.records.source_identity import identify_source
from vis_cli.records.types import SourceIdentity, VideoResult
from vis_cli.records.video import Video, frame_times, open_part, overlay_problem
from vis_cli.settings import RunSettings, SegmentSettings
from vis_cli.signals import received_signal

if TYPE_CHECKING:
    from vis_cli.engine.segmenter import Segmenter
    from vis_cli.engine.video_run import VideoRun
    from vis_cli.network.protocol import VideoNetwork
    from vis_cli.zoo.weights import LoadedModel

OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "not enough memory")  # messages of torch
REMEDY_FOR_NOTHING = (
    "To find less likely objects, use a lower --set detection_score_threshold=X or a larger --num-key-frames N"
)
FOR_NETWORK = "Use a smaller --short-side, --feature-budget-mb or --set max_instances=N."


@dataclasses.dataclass(frozen=True, slots=True)
class BatchOptions:
    """Options that apply to all videos of a batch."""

    model: str  # a name or a folder
    config: SegmentSettings
    run: RunSettings
    overwrite: bool = False
    detector: str | None = None  # None: the detector of `model`
    propagator: str | None = None
    given: GivenOptions = NOTHING_GIVEN  # masks, names and detections
    stream: int | None = None  # index of the video stream; None: the stream that FFmpeg ranks best
    min_score: float | None = None  # of an instance to show; None: confident instances. Results contain all instances
    part: PartRequest | None = None  # of each video; None: complete videos
    detects: bool = True  # False: each video has masks or detections, so neither `detector` nor another takes part
    sets_score_source: bool = False  # whether the user gives `score_source`, and not only a preset


# Values for the options that do not change the masks of a video: another value resumes an interrupted run.
OTHER_OPTIONS: dict[str, Any] = {"overwrite": False, "min_score": None, "run": None}


class Batch:
    """Segmentation of several videos with one model and the same options."""

    def __init__(self, options: BatchOptions, reporter: Reporter) -> None:
        """Store the options. The model is loaded when the first video needs it."""
        self._options = options
        self._reporter = reporter

    def run(
        self, jobs: Sequence[Job], *, ended: Callable[[VideoReport], None] | None = None
    ) -> tuple[list[VideoReport], bool]:
        """Process the jobs. Return the reports of the finished jobs, and whether Ctrl-C interrupted the batch.

        Args:
            jobs: One per video.
            ended: Called with the report of each video when this video ends.

        Raises:
            UsageError: The model or the device is not available. This stops the batch.
        """
        reports: list[VideoReport] = []
        with BatchProgress(len(jobs), self._reporter) as progress:
            try:
                for job in jobs:
                    progress.start_video(job.name)
                    reports.append(self._process(job, progress))
                    progress.end_video(reports[-1].frames or 0)
                    if ended is not None:
                        ended(reports[-1])
                    if len(jobs) > 1:
                        self._report_outcome(reports[-1], f"[{len(reports)}/{len(jobs)}] ")
                    elif reports[-1].status != "failed":  # its error line is already printed
                        self._report_outcome(reports[-1], "")
            except KeyboardInterrupt as interruption:
                done = f"{len(reports)} of {counted(len(jobs), 'video')} finished"
                hint = "All results and finished windows are kept. Run the same command again to resume."
                if self._options.overwrite:
                    hint = "With --overwrite, the same command segments all videos again."
                self._reporter.error(f"interrupted: {done}. {hint}", interruption)
                return reports, True
        return reports, False

    @property
    def segmenter(self) -> Segmenter:
        """Return the network on its device. The first call loads it.

        Raises:
            UsageError: The model or the device is not available.
        """
        return self._segmenter

    def for_part(self, part: PartRequest | None) -> Batch:
        """Return a batch with the same network for another part of the videos."""
        if part == self._options.part:
            return self
        batch = Batch(dataclasses.replace(self._options, part=part), self._reporter)
        batch._segmenter = self._segmenter
        return batch

    def _process(self, job: Job, progress: BatchProgress) -> VideoReport:
        """Write the missing outputs of one video. An error ends only this video."""
        report = VideoReport(job.name, str(job.source), "done", outputs=job.outputs)
        started = time.perf_counter()
        try:
            require_no_folders(job)
            if not self._options.overwrite:
                job = refreshed(job)
            given = self._read_given(job)
            is_reusable = self._is_reusable(job, given)
            if is_reusable and self._has_outputs(job):
                summary = _summary_of(job)
                discard_partial(job)
                reason = f"{job.result} exists. Use --overwrite to replace it"
                report = dataclasses.replace(report, status="skipped", reason=reason)
            else:
                result = _read_stored(job) if is_reusable else None
                with sole_writer(job):
                    summary = summarize_result(self._make_outputs(job, result, given, progress))
        except UsageError:
            raise
        except (VisError, OSError, MemoryError, RuntimeError) as error:
            if received_signal() is not None:  # an extension module can replace the exception of a signal
                raise KeyboardInterrupt from error
            reason = _reason(error)
            self._reporter.error(reason if str(job.source) in reason else f"{job.source}: {reason}", error)
            return dataclasses.replace(report, status="failed", outputs=(), reason=reason)
        seconds = time.perf_counter() - started if report.status == "done" else None
        shown = shown_instances(summary.instances, self._options.min_score)
        return dataclasses.replace(
            report,
            frames=summary.num_frames,
            instances=len(summary.instances),
            confident_instances=sum(instance.confident for instance in summary.instances),
            shown_instances=len(shown),
            categories=count_categories((one.category, one.score) for one in shown),
            seconds=seconds,
        )

    def _read_given(self, job: Job) -> GivenInputs:
        with _describing_memory_error(f" while {job.masks or job.detections} was read"):
            return read_given(job, self._options.given, self._reporter)

    def _is_reusable(self, job: Job, given: GivenInputs) -> bool:
        """Return whether there is a result of an earlier run whose source, settings, model and inputs are unchanged.

        Raises:
            VisError: The source, the settings, the model or the given inputs have changed.
        """
        if self._options.overwrite:
            return False
        if job.stored is None:
            require_free(job)
            return False
        if job.stored.is_imported:
            problem = f"cannot reuse {job.result}: it was imported ({printable(job.stored.model.name)})"
            raise VisError(problem, hint="Use another -o DIR to keep it, or --overwrite to replace it.")
        production = dataclasses.replace(self._production, **given.hashes)
        if difference := find_difference(job.stored, self._identify(job), production):
            raise VisError(f"cannot reuse {job.result}: {difference}", hint="Use --overwrite to replace it.")
        return True

    def _has_outputs(self, job: Job) -> bool:
        """Return whether all outputs exist and the overlay video shows the selected instances."""
        if not all(output.exists() for output in job.outputs):
            return False
        return job.overlay is None or shows_selection(job.overlay, self._options.min_score)

    def _make_outputs(
        self, job: Job, result: VideoResult | None, given: GivenInputs, progress: BatchProgress
    ) -> VideoResult:
        if job.name != default_name(job.source):
            because = "another video has the same name" if job.stored is None else "as in the earlier run"
            self._reporter.note(f"{job.source}: written as {job.name}, {because}")
        with _describing_memory_error(" while the video was opened", "Use smaller frames."):
            video = open_part(job.source, self._options.part, stream=self._options.stream)
        if given.result is not None and job.masks is not None:
            require_result_size(given.result.video, job.masks, width=video.width, height=video.height)
        elif given.masks is not None and job.masks is not None:
            require_mask_size(given.masks, job.masks, video, first=self._options.given.masks_from)
        self._warn(job, video.warnings)
        num_printed = len(video.warnings)
        problem = None if job.overlay is None else overlay_problem(video)
        if problem is not None and result is None:
            self._reporter.warn(f"{problem} {job.result} is written without an overlay video.")
        with ExitStack() as stack:
            if result is None:
                source = self._identify(job)  # before the frames are read, so that a later change is detected
                self._warn(job, other_source(given, source))
                partial = stack.enter_context(self._start_partial(job, source, video, given))
                found = self._segment(job, video, given, partial, progress)
                result = self._write(job, source, video, given, found)
                partial.complete()
            else:
                remove_partial(job.result)  # an earlier process ended before it removed them
            if job.overlay is not None:
                self._draw(result, video, job.overlay, progress)
        self._warn(job, video.warnings[num_printed:])
        return result

    def _draw(self, result: VideoResult, video: Video, path: Path, progress: BatchProgress) -> None:
        with _describing_memory_error(" while the overlay was drawn", "Use --no-render, or smaller frames."):
            min_score = self._options.min_score
            shown, comment = shown_instances(result.instances, min_score), describe_selection(min_score)
            write_overlay(result, video, path, instances=shown, progress=progress.update, comment=comment)

    def _identify(self, job: Job) -> SourceIdentity:
        return dataclasses.replace(identify_source(job.source), stream=self._options.stream)

    def _warn(self, job: Job, warnings: Sequence[str]) -> None:
        for warning in warnings:
            self._reporter.warn(f"{job.source}: {warning}")

    def _start_partial(self, job: Job, source: SourceIdentity, video: Video, given: GivenInputs) -> PartialResult:
        """Return the partial result of a video, which an interrupted run with the same options may have left."""
        if self._options.overwrite:
            remove_partial(job.result)
        production = {
            "version": __version__,
            "source": [source.kind, source.size, source.fingerprint, source.stream],
            "options": dataclasses.asdict(dataclasses.replace(self._options, **OTHER_OPTIONS)),
            "production": dataclasses.asdict(dataclasses.replace(self._production, **given.hashes)),
        }
        return PartialResult(job.result, production, (video.height, video.width), self._reporter)

    def _segment(
        self, job: Job, video: Video, given: GivenInputs, partial: PartialResult, progress: BatchProgress
    ) -> VideoResult:
        """Segment a video. The masks of the result are on disk until the partial result is closed."""
        segmenter = self._segmenter
        masks = locate_masks(given, video, self._reporter)
        with _describing_memory_error("", FOR_NETWORK):
            run = segmenter.start(
                video,
                progress=progress.update,
                guidance=masks,
                detections=locate_detections(given, video, self._options.config, self._reporter),
                only=given.only,
                prompts=given.prompts,
                also_detect=given.also_detect,
            )
            report_reach(given, video, masks, self._options.config, self._reporter)
            if num_windows := partial.resume(run):
                self._reporter.note(f"{job.source}: resumed after window {num_windows} of an interrupted run")
            progress.describe_windows(self._describe_windows(video, run))
            num_frames = 0
            for window in partial.collect(run):
                num_frames = window.frames.stop
            found = run.result(partial.segmentations(num_frames))
        if not found.instances:
            self._report_nothing(job, run.excluded)
        if self._options.sets_score_source and given.detects:
            self._report_score_source(job, found.config["score_source"])
        return found

    def _write(
        self, job: Job, source: SourceIdentity, video: Video, given: GivenInputs, found: VideoResult
    ) -> VideoResult:
        """Write the result of a video with its names, source and frames."""
        if job.origin is not None:
            source = dataclasses.replace(source, path=job.origin)
        info = dataclasses.replace(
            found.video,
            name=job.name,
            path=job.origin or found.video.path,
            source=source,
            frame_names=video.frame_names,
            timestamps=frame_times(video, found.video.num_frames),
            part=video.part,
        )
        result = dataclasses.replace(given.name_objects(found), video=info, **given.hashes)
        if job.overlay is not None:
            job.overlay.unlink(missing_ok=True)  # an older overlay would show another result
        with _describing_memory_error(f" while {job.result} was written", "Use a smaller --set max_sequences=N."):
            write_result(result, job.result)
        return result

    def _describe_windows(self, video: Video, run: VideoRun) -> Callable[[], str] | None:
        """Return the text about the current window, None if the complete video is one window."""
        length, cuts = self._options.config.window, self._options.config.cuts
        if length is None and not cuts:
            return None
        is_known = length is not None and not cuts and video.num_frames
        total = f" of {-(-(video.num_frames or 0) // (length or 1))}" if is_known else ""
        return lambda: f"window {run.num_windows + 1}{total}, {counted(run.num_visible, 'object')}"

    @cached_property
    def _segmenter(self) -> Segmenter:
        with pause_collector():
            from vis_cli.engine.segmenter import Segmenter

        options = self._options
        try:
            segmenter = Segmenter(
                self._choose_model(),
                config=options.config,
                run=options.run,
                messages=self._reporter,
                detects=options.detects,
            )
            if not options.given.has_detections:
                segmenter.require_categories(options.given.only)
        except VisError as error:
            raise UsageError(str(error)) from error
        return segmenter

    @cached_property
    def _production(self) -> Production:
        """Return the model and the settings of a new result, without building the network."""
        with pause_collector():
            from vis_cli.engine.production import expected_production

        options = self._options
        try:
            model, config = expected_production(
                options.model,
                options.config,
                detector=options.detector,
                propagator=options.propagator,
                detections=options.given.has_detections,
                detects=options.detects,
                precision=options.run.precision,
            )
        except VisError as error:
            raise UsageError(str(error)) from error
        return Production(model, dataclasses.asdict(config), part=options.part)

    def _choose_model(self) -> str | LoadedModel[VideoNetwork]:
        """Return the name of the model, or the composition of --detector and --propagator."""
        options = self._options
        detector = options.detector if options.detects else None
        if detector is None and options.propagator is None:
            return options.model
        from vis_cli.zoo.composition import load_network, needed_detector

        if not options.detects:
            detector = needed_detector(options.model, options.propagator)
        return load_network(options.model, detector=detector, propagator=options.propagator, device=options.run.device)

    def _report_nothing(self, job: Job, excluded: Mapping[str, int]) -> None:
        """Print that no object was found, and which categories --only excludes, with their numbers."""
        wanted = " or ".join(self._options.given.only) or "object"
        problem = f"no {wanted} has a score above {self._options.config.detection_score_threshold:g} in the key frames"
        if excluded:
            ordered = sorted(excluded.items(), key=lambda item: (-item[1], item[0]))
            others = shorten([f"{name} ({number})" for name, number in ordered])
            problem += f". Found, but excluded by --only: {others}"
        self._reporter.note(f"{job.source}: {problem}. {REMEDY_FOR_NOTHING}")

    def _report_score_source(self, job: Job, used: object) -> None:
        asked = self._options.config.score_source
        if used != asked:
            self._reporter.warn(
                f"{job.source}: score_source is {used} instead of {asked}, because this detector cannot classify the "
                "masks in other frames"
            )

    def _report_outcome(self, report: VideoReport, number: str) -> None:
        """Print the number of instances, their categories and their best scores in one line."""
        outcome: str = report.status
        if report.status != "failed":
            found, frames = counted(report.shown_instances or 0, "instance"), counted(report.frames or 0, "frame")
            left_out = f"{report.num_left_out} less likely left out" if report.num_left_out else ""
            seconds = "skipped" if report.seconds is None else f"{report.seconds:.1f} s"
            notes = ", ".join(note for note in (left_out, seconds) if note)
            categories = describe_categories(report.categories)
            outcome = f"{found} in {frames} ({notes}){': ' if categories else ''}{categories}"
        self._reporter.note(f"{number}{report.video}: {outcome}")


def _summary_of(job: Job) -> ResultSummary:
    """Return the summary of an existing result, if possible without parsing its masks."""
    return read_summary(job.result) or summarize_result(_read_stored(job))


def _read_stored(job: Job) -> VideoResult:
    with _describing_memory_error(f" while {job.result} was read"):
        return read_result(job.result)


def discard_partial(job: Job) -> None:
    """Remove the unfinished parts of a complete result. A process can end before it removes them."""
    if partial_folder(job.result).exists():
        with suppress(VisError), sole_writer(job):  # another process can write the result again
            remove_partial(job.result)


@contextmanager
def _describing_memory_error(stage: str, hint: str = "") -> Iterator[None]:
    """Add the stage and a remedy to an out-of-memory error of the body.

    Raises:
        VisError: The body ran out of memory.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not _is_shortage(error):
            raise
        raise VisError(f"out of memory{stage}", hint=hint) from error


def failure_of(error: Exception) -> VisError:
    """Return the error to print for an exception of the network."""
    return VisError(_reason(error))


def _is_shortage(error: Exception) -> bool:
    return isinstance(error, MemoryError) or any(words in str(error).lower() for words in OUT_OF_MEMORY)


def _reason(error: Exception) -> str:
    """Return the cause of a failed video in one line."""
    if _is_shortage(error) and not isinstance(error, VisError):
        return "out of memory"
    if isinstance(error, RuntimeError):
        return f"the network failed: {str(error).partition(chr(10))[0]}. Use --debug to print the traceback."
    if isinstance(error, OSError) and error.strerror:
        return error.strerror if error.filename is None else f"{error.filename}: {error.strerror}"
    return str(error)

"""One video after the other: what is there is kept, what fails is told, and the rest goes on.

Used by `segment` and by `eval --model`.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from vis_cli.commands.given_masks import read_given_masks
from vis_cli.commands.outputs import Job, default_name, existing_result
from vis_cli.commands.render import write_overlay
from vis_cli.config import RunConfig, SegmentConfig
from vis_cli.console import BatchProgress, Reporter, UsageError, VideoReport, counted
from vis_cli.errors import VisError
from vis_cli.records.result_json import write_result
from vis_cli.records.types import VideoResult
from vis_cli.records.video import Video, open_video

if TYPE_CHECKING:
    from vis_cli.engine.segmenter import Segmenter
    from vis_cli.network.weights import LoadedModel

OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "not enough memory")  # torch's words for it


@dataclasses.dataclass(frozen=True, slots=True)
class BatchOptions:
    """Hold what the command line says of a batch as a whole."""

    model: str  # a name or a folder
    config: SegmentConfig
    run: RunConfig
    overwrite: bool = False
    detector: str | None = None  # None: the model's own
    propagator: str | None = None


class Batch:
    """Segment many videos with one model and one set of choices."""

    def __init__(self, options: BatchOptions, reporter: Reporter) -> None:
        """Take the choices; the model is loaded when the first video needs it."""
        self._options = options
        self._reporter = reporter

    def run(self, jobs: Sequence[Job]) -> tuple[list[VideoReport], bool]:
        """Work through the jobs; return a report on each that ended, and whether Ctrl-C cut the batch short.

        Raises:
            UsageError: the model or the device cannot be had, which no video can change.
        """
        reports: list[VideoReport] = []
        with BatchProgress(len(jobs), self._reporter) as progress:
            try:
                for job in jobs:
                    progress.start_video(job.name)
                    reports.append(self._process(job, progress))
                    progress.end_video(reports[-1].frames or 0)
                    if len(jobs) > 1:
                        self._tell(reports[-1], f"[{len(reports)}/{len(jobs)}]")
            except KeyboardInterrupt as interruption:
                done = f"{len(reports)} of {len(jobs)} videos are done, and their results are kept"
                self._reporter.error(f"interrupted: {done}", interruption)
                return reports, True
        return reports, False

    def _process(self, job: Job, progress: BatchProgress) -> VideoReport:
        """Make what is missing of one video's outputs; what goes wrong with it is its own affair."""
        report = VideoReport(job.name, str(job.source), "done", outputs=job.outputs)
        started = time.perf_counter()
        try:
            result = None if self._options.overwrite else existing_result(job)
            if result is not None and all(output.exists() for output in job.outputs):
                reason = f"{job.result} exists, --overwrite makes it anew"
                report = dataclasses.replace(report, status="skipped", reason=reason)
            else:
                result = self._make_outputs(job, result, progress)
        except UsageError:
            raise
        except (VisError, OSError, MemoryError, RuntimeError) as error:
            reason = _reason(error)
            self._reporter.error(reason if str(job.source) in reason else f"{job.source}: {reason}", error)
            return dataclasses.replace(report, status="failed", outputs=(), reason=reason)
        seconds = time.perf_counter() - started if report.status == "done" else None
        return dataclasses.replace(
            report, frames=result.video.num_frames, instances=len(result.instances), seconds=seconds
        )

    def _make_outputs(self, job: Job, result: VideoResult | None, progress: BatchProgress) -> VideoResult:
        if job.name != default_name(job.source):
            self._reporter.note(f"{job.source}: written as {job.name}, as another input has the same name")
        video = open_video(job.source)
        self._warn(job, video.losses)
        told = len(video.losses)
        if result is None:
            result = self._segment(job, video, progress)
        if job.overlay is not None:
            write_overlay(result, video, job.overlay, instances=result.instances, progress=progress.update)
        self._warn(job, video.losses[told:])
        return result

    def _warn(self, job: Job, losses: Sequence[str]) -> None:
        for loss in losses:
            self._reporter.warn(f"{job.source}: {loss}")

    def _segment(self, job: Job, video: Video, progress: BatchProgress) -> VideoResult:
        guidance = None if job.masks is None else read_given_masks(job.masks, job.source)
        found = self._segmenter.segment(video, progress=progress.update, guidance=guidance)
        result = dataclasses.replace(found, video=dataclasses.replace(found.video, name=job.name))
        write_result(result, job.result)
        if job.overlay is not None:
            job.overlay.unlink(missing_ok=True)  # an older one would show another result
        return result

    @cached_property
    def _segmenter(self) -> Segmenter:
        from vis_cli.engine.segmenter import Segmenter

        options = self._options
        try:
            return Segmenter(self._choose_model(), config=options.config, run=options.run)
        except VisError as error:
            raise UsageError(str(error)) from error

    def _choose_model(self) -> str | LoadedModel:
        """Return the model's name, or the composition of the two that are named instead."""
        options = self._options
        if options.detector is None and options.propagator is None:
            return options.model
        from vis_cli.network.composition import load_network

        return load_network(options.model, detector=options.detector, propagator=options.propagator)

    def _tell(self, report: VideoReport, number: str) -> None:
        outcome: str = report.status
        if report.status == "done":
            found, frames = counted(report.instances or 0, "instance"), counted(report.frames or 0, "frame")
            outcome = f"{found} in {frames}, {report.seconds:.1f} s"
        self._reporter.note(f"{number} {report.video}: {outcome}")


def _reason(error: Exception) -> str:
    """Say in a line why a video failed."""
    if isinstance(error, MemoryError) or any(words in str(error).lower() for words in OUT_OF_MEMORY):
        return "out of memory; less is needed with a smaller --short-side, --max-instances or --feature-budget-mb"
    if isinstance(error, RuntimeError):
        return f"the network failed: {str(error).partition(chr(10))[0]} (--debug shows where)"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror if error.filename is None else f"{error.filename}: {error.strerror}"
    return str(error)

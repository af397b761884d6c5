"""Worker process of `vis batch`: segments one video after another with the same model. Used by `batch_run`."""

from __future__ import annotations

import dataclasses
import errno
import os
import time
from dataclasses import dataclass, field
from pathlib import Path

import cv2

from vis_cli.batch.driver import WorkItem
from vis_cli.batch.local_workers import Channel, Fatal, Running
from vis_cli.batch.tasks import Kind, Outcome
from vis_cli.commands.batch import Batch, BatchOptions
from vis_cli.commands.given_inputs import NOTHING_GIVEN
from vis_cli.commands.outputs import Job, make_job, protect_inputs
from vis_cli.commands.own_results import is_own
from vis_cli.console import Reporter, UsageError, VideoReport
from vis_cli.errors import VisError
from vis_cli.files.hashing import sha256_of
from vis_cli.records.header_length import read_length
from vis_cli.records.part import PartRequest, make_request
from vis_cli.records.result_head import ResultHead, read_head
from vis_cli.settings import SegmentSettings

IN_USE = ("another process writes it", "another process has written it")
IN_USE_SECONDS = 30.0  # until a worker whose machine has lost its driver has ended
DISK_FULL = tuple(os.strerror(number) for number in (errno.ENOSPC, errno.EDQUOT))
NETWORK_FAILED = "the network failed"  # start of the reason; CUDA is not usable after some of these errors
KEPT_BATCHES = 2  # loaded models: of videos with given masks, and of other videos


@dataclass(frozen=True, slots=True)
class WorkerSetup:
    """Options of all videos of a worker."""

    options: BatchOptions
    render: bool = False
    debug: bool = False


@dataclass(frozen=True)
class WorkerReporter(Reporter):
    """Printer of warnings only: the driver prints errors and progress. With `debug`, it also prints tracebacks."""

    urls: dict[str, str] = field(default_factory=dict)  # of a remote video, by the path of its copy

    def warn(self, message: str) -> None:
        """Print a warning with the URL of a remote video instead of the path of its copy."""
        for path, url in self.urls.items():
            message = message.replace(path, url)
        Reporter.warn(self, message)

    def error(self, message: str, cause: BaseException | None = None) -> None:
        """Print an error if `debug` is set."""
        if self.debug:
            Reporter.error(self, message, cause)


def serve(setup: WorkerSetup, index: int, channel: Channel) -> None:
    """Segment the videos of a worker. An error of the model or the device ends the batch."""
    cv2.setNumThreads(int(os.environ.get("OMP_NUM_THREADS", "0")) or -1)
    server = _Server(setup, index, channel)
    for item in channel.iter_items():
        try:
            outcome = server.process(item)
        except UsageError as error:
            channel.report(Fatal(str(error)))
            return
        channel.report(outcome)
        if outcome.kind == "crashed":
            return  # the driver starts a new process


class _Server:
    """Loaded models of a worker."""

    def __init__(self, setup: WorkerSetup, index: int, channel: Channel) -> None:
        self._setup = setup
        self._channel = channel
        run = dataclasses.replace(setup.options.run, device=own_device(setup.options.run.device, index))
        self._options = dataclasses.replace(setup.options, run=run)
        self._batches: dict[tuple[SegmentSettings, bool], Batch] = {}
        self._reporter = WorkerReporter(quiet=True, debug=setup.debug)

    def process(self, item: WorkItem) -> Outcome:
        """Segment one video. Wait if another process writes its result.

        Raises:
            UsageError: The model or the device is not available.
        """
        end = time.monotonic() + IN_USE_SECONDS
        while (outcome := self._segment(item)).kind == "in use" and time.monotonic() < end:
            time.sleep(1.0)
        return outcome

    def _segment(self, item: WorkItem) -> Outcome:
        batch = self._load(item.config, has_masks=item.task.masks is not None)
        self._channel.report("opening")
        self._reporter.urls.clear()
        if item.origin:
            self._reporter.urls[item.task.path] = item.origin
        source, part = Path(item.task.path), make_request(item.task.start, item.task.end)
        job = self._job(item)
        try:
            protect_inputs([job], (), () if job.masks is None else (job.masks,))
            _require_own(job, overwrite=self._options.overwrite)
        except VisError as error:
            return Outcome("failed", "invalid", str(error))
        self._channel.report(Running(_read_length(source, part, self._options.stream)))
        reports, is_interrupted = batch.for_part(part).run([job])
        if is_interrupted:
            raise KeyboardInterrupt
        return make_outcome(reports[0], read_head(item.result))

    def _job(self, item: WorkItem) -> Job:
        masks = None if item.task.masks is None else Path(item.task.masks)
        folder, stored = item.result.parent, read_head(item.result)
        job = make_job(
            Path(item.task.path), item.task.name, folder, render=self._setup.render, masks=masks, stored=stored
        )
        return dataclasses.replace(job, origin=Path(item.origin)) if item.origin else job

    def _load(self, config: SegmentSettings, *, has_masks: bool) -> Batch:
        key = (config, has_masks)
        batch = self._batches.pop(key, None)
        if batch is None:
            self._channel.report("loading")
            while len(self._batches) >= KEPT_BATCHES:
                del self._batches[next(iter(self._batches))]
            options = dataclasses.replace(self._options, config=config)
            if has_masks:  # nothing is detected
                options = dataclasses.replace(options, given=NOTHING_GIVEN, detects=False)
            batch = Batch(options, self._reporter)
            batch.segmenter  # noqa: B018 (loads the model before the time of the video starts)
        self._batches[key] = batch
        return batch


def own_device(device: str, index: int) -> str:
    """Return the device of a worker: of several GPUs, each worker gets one in turn."""
    if device not in ("auto", "cuda"):
        return device
    import torch

    number = torch.cuda.device_count()
    return f"cuda:{index % number}" if number > 1 else device


def make_outcome(report: VideoReport, head: ResultHead | None) -> Outcome:
    """Return the outcome of a video from its report and its result."""
    if report.status == "failed":
        reason = report.reason or ""
        return Outcome("failed", kind_of(reason), reason)
    result = report.outputs[0]
    return Outcome(
        "done",
        frames=report.frames,
        instances=report.instances,
        seconds=None if report.seconds is None else round(report.seconds, 3),
        fingerprint=None if head is None or head.source is None else head.source.fingerprint,
        model=None if head is None else head.model.sha256,
        output_bytes=sum(path.stat().st_size for path in report.outputs if path.exists()),
        output_sha256=sha256_of(result),
    )


def kind_of(reason: str) -> Kind:
    """Return the kind of a failure."""
    if any(text in reason for text in DISK_FULL):
        return "disk full"
    if reason.startswith("out of memory"):
        return "out of memory"
    if any(text in reason for text in IN_USE):
        return "in use"
    return "crashed" if reason.startswith(NETWORK_FAILED) else "invalid"


def _read_length(source: Path, part: PartRequest | None, stream: int | None) -> int | None:
    """Return the number of frames in the header of a video. None: it is unknown, or the video cannot be opened."""
    try:
        length = read_length(source, part, stream=stream)
    except (VisError, OSError):  # the batch reports it
        return None
    return None if length is None else length.num_frames


def _require_own(job: Job, *, overwrite: bool) -> None:
    """Check that the result with the name of a video does not belong to another video.

    Raises:
        VisError: It does, or the video cannot be read.
    """
    if not overwrite and job.stored is not None and not is_own(job.stored, job.source, origin=job.origin):
        hint = "Use --overwrite, or another -o DIR."
        raise VisError(f"cannot write {job.result}: it is the result of another video", hint=hint)

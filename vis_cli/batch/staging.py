"""Copies of remote videos for the workers, and uploads of their results. Used by `commands.batch_run`.

While a worker segments a video, the next one is downloaded. At most `VIDEOS_PER_WORKER` videos per worker are on the
scratch disk at the same time.
"""

from __future__ import annotations

import os
import queue
import shutil
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from vis_cli.batch.driver import Ended, PollingRunner, Runner, WorkItem
from vis_cli.batch.place import Place
from vis_cli.batch.scratch import Scratch
from vis_cli.batch.tasks import Kind, Outcome, VideoTask
from vis_cli.errors import VisError
from vis_cli.files import remote
from vis_cli.files.limits import MAX_NAME_BYTES
from vis_cli.files.names import safe_file_name
from vis_cli.files.urls import is_listable, is_masked, is_url, url_name

VIDEOS_PER_WORKER = 2  # one that is segmented, and one that is downloaded or uploaded
MAX_REFUSED = 3  # uploads in a row; then the batch stops, because each further video would be segmented in vain
POLL = 0.2  # seconds
PATIENCE = 5.0  # seconds for copies at the end
OVERLAY_SUFFIX = ".mp4"


@dataclass(frozen=True, slots=True)
class Staged:
    """A video whose files are local."""

    item: WorkItem  # as the driver knows it
    local: WorkItem  # for the worker
    folder: Path | None  # of the copies; None: there are none


@dataclass(frozen=True, slots=True)
class _Finished:
    """End of an attempt whose files are copied."""

    ended: Ended
    is_published: bool | None = None  # None: there was nothing to upload


class Stage:
    """Copies of the files of a video before and after its attempt."""

    def __init__(self, place: Place, scratch: Scratch, *, renders: bool, overwrites: bool) -> None:
        """Store where results belong, and whether the batch draws overlay videos and replaces results."""
        self._place = place
        self._scratch = scratch
        self._renders = renders
        self._overwrites = overwrites

    def fetch(self, item: WorkItem) -> Staged:
        """Copy the remote files of a video, and its existing result, to the scratch folder.

        Raises:
            VisError: A file cannot be read, the disk is full, or the result would replace an input.
        """
        if not (self._place.is_remote or is_remote(item.task)):
            return Staged(item, item, None)
        folder = self._scratch.make("video")
        try:
            return Staged(item, self._fetch_into(folder, item), folder)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise

    def publish(self, staged: Staged) -> None:
        """Upload the outputs of a video. The result is last, so that a video is complete if its result exists.

        Raises:
            VisError: An output cannot be written.
        """
        if self._place.is_remote:
            for local, path in reversed(self._outputs(staged.local, staged.item)):
                if local.exists():
                    self._place.publish(local, path)

    def with_addresses(self, staged: Staged, outcome: Outcome) -> Outcome:
        """Return the outcome with the URLs of the files in its reason instead of the paths of their copies."""
        names = [(staged.local.task.path, staged.item.task.path)]
        if staged.local.task.masks is not None and staged.item.task.masks is not None:
            names.append((staged.local.task.masks, staged.item.task.masks))
        if outcome.kind != "disk full":  # the disk is the scratch disk
            outputs = self._outputs(staged.local, staged.item)
            names += [(str(local), self._place.address_of(path)) for local, path in outputs]
        reason = outcome.reason
        for local_name, name in names:
            reason = reason.replace(local_name, name)
        return replace(outcome, reason=reason)

    def discard(self, staged: Staged) -> None:
        """Remove the copies."""
        if staged.folder is not None:
            shutil.rmtree(staged.folder, ignore_errors=True)

    def _fetch_into(self, folder: Path, item: WorkItem) -> WorkItem:
        task, result = item.task, item.result
        if self._place.is_remote:
            self._protect_inputs(item)
            result = folder / "results" / item.result.name
            result.parent.mkdir()
        path = _fetch_source(task.path, task.address, folder / "video")
        masks = None if task.masks is None else _fetch_source(task.masks, task.masks_address, folder / "masks")
        task = replace(task, path=path, masks=masks, address=None, masks_address=None)
        local = replace(item, task=task, result=result, origin=item.task.path if path != item.task.path else "")
        if self._place.is_remote and not self._overwrites:
            (result_copy, result_path), *overlays = self._outputs(local, item)
            if self._place.fetch(result_path, result_copy):
                for overlay_copy, overlay_path in overlays:
                    self._place.fetch(overlay_path, overlay_copy)
        return local

    def _protect_inputs(self, item: WorkItem) -> None:
        for _, path in self._outputs(item, item):
            address = self._place.address_of(path)
            if address in (item.task.path, item.task.masks):
                raise VisError(f"cannot write {address}: it is an input", hint="Use another -o DIR.")

    def _outputs(self, local: WorkItem, item: WorkItem) -> list[tuple[Path, Path]]:
        """Return the outputs of a video, each with its path in the place. The result is first."""
        pairs = [(local.result, item.result)]
        if self._renders:
            pairs.append((local.result.with_suffix(OVERLAY_SUFFIX), item.result.with_suffix(OVERLAY_SUFFIX)))
        return pairs


class StagedWorkers:
    """A `driver.Runner` that downloads videos for its workers, and uploads their results, in threads."""

    def __init__(self, workers: PollingRunner, stage: Stage, place: Place, *, number: int) -> None:
        """Store the workers.

        Args:
            workers: Workers of this machine.
            stage: It copies the files.
            place: It checks whether this driver may continue.
            number: Number of workers.
        """
        self._workers = workers
        self._stage = stage
        self._place = place
        self._capacity = VIDEOS_PER_WORKER * number
        self._num_open = 0  # videos from their start to their end
        self._num_refused = 0  # uploads in a row
        self._ready: deque[Staged] = deque()
        self._running: dict[str, Staged] = {}  # by name
        self._threads: list[threading.Thread] = []
        self._events: queue.SimpleQueue[Staged | _Finished | Exception] = queue.SimpleQueue()

    @property
    def num_free(self) -> int:
        """Return the number of videos that can be downloaded now."""
        return self._capacity - self._num_open

    def start(self, item: WorkItem) -> None:
        """Start to download a video."""
        self._num_open += 1
        self._in_thread(self._fetch, item)

    def wait(self) -> Ended:
        """Return the next attempt that ends. See `driver.Runner`.

        Raises:
            WorkerError: The workers cannot start.
            VisError: Another driver has taken over, or the storage refuses all uploads.
        """
        while True:
            self._place.check()
            while self._ready and self._workers.num_free:
                staged = self._ready.popleft()
                self._running[staged.item.task.name] = staged
                self._workers.start(staged.local)
            if (ended := self._next_event(timeout=0.0 if self._running else POLL)) is not None:
                return ended
            if self._running and (at_worker := self._workers.poll()) is not None:
                self._in_thread(self._finish, self._running.pop(at_worker.item.task.name), at_worker)

    def join(self) -> None:
        """Wait a short time for the threads. After an interruption, they may still copy files."""
        end = time.monotonic() + PATIENCE
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))

    def _in_thread(self, target: Callable[..., None], *arguments: object) -> None:
        """Call a function in a thread that does not delay the end of the program. `wait` raises its exception."""

        def call() -> None:
            try:
                target(*arguments)
            except Exception as error:  # otherwise the driver would wait for ever
                self._events.put(error)

        self._threads = [thread for thread in self._threads if thread.is_alive()]
        thread = threading.Thread(target=call, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _next_event(self, timeout: float) -> Ended | None:
        """Take a downloaded video, or return the end of an attempt."""
        try:
            event = self._events.get(timeout=timeout) if timeout else self._events.get_nowait()
        except queue.Empty:
            return None
        if isinstance(event, Staged):
            self._ready.append(event)
            return None
        if isinstance(event, Exception):
            raise event
        self._num_open -= 1
        if event.is_published is not None:
            self._num_refused = 0 if event.is_published else self._num_refused + 1
        if self._num_refused >= MAX_REFUSED:
            reason = event.ended.outcome.reason
            raise VisError(f"stopped: {reason}", hint="Then run the same command again to resume.")
        return event.ended

    def _fetch(self, item: WorkItem) -> None:
        """Download a video, and report it or the end of its attempt."""
        try:
            self._events.put(self._stage.fetch(item))
        except (VisError, OSError) as error:
            self._events.put(_Finished(Ended(item, failed_outcome(error), f"{os.uname().nodename}/0")))

    def _finish(self, staged: Staged, ended: Ended) -> None:
        """Upload the outputs of an attempt, and report its end."""
        outcome, is_published = self._stage.with_addresses(staged, ended.outcome), None
        if outcome.status == "done" and outcome.seconds is not None:
            try:
                self._stage.publish(staged)
                is_published = True
            except (VisError, OSError) as error:
                outcome, is_published = failed_outcome(error), False
        self._stage.discard(staged)
        self._events.put(_Finished(replace(ended, item=staged.item, outcome=outcome), is_published))


@contextmanager
def staged_workers(
    workers: PollingRunner, items: Sequence[WorkItem], stage: Stage, place: Place, *, number: int
) -> Iterator[Runner]:
    """Yield the workers themselves if all files are local, otherwise workers that copy remote files."""
    if not place.is_remote and not any(is_remote(item.task) for item in items):
        yield workers
        return
    staged = StagedWorkers(workers, stage, place, number=number)
    try:
        yield staged
    finally:
        staged.join()


def is_remote(task: VideoTask) -> bool:
    """Return whether a file of a video is remote."""
    return is_url(task.path) or (task.masks is not None and is_url(task.masks))


def failed_outcome(error: Exception) -> Outcome:
    """Return the outcome of an attempt whose files cannot be copied."""
    kind: Kind = "invalid"
    if isinstance(error, remote.ScratchFullError):
        kind = "disk full"
    elif isinstance(error, (remote.StorageError, remote.CredentialsError, OSError)):
        kind = "storage"
    return Outcome("failed", kind, str(error))


def _fetch_source(shown: str, address: str | None, folder: Path) -> str:
    """Return the local path of a file or folder, which is copied into `folder` if it is remote."""
    url = address or shown
    if not is_url(url):
        return shown
    if address is None and is_masked(shown):
        hint = "The manifest does not store secrets: add the list after --retry DIR."
        raise VisError(f"cannot read {shown}: its user, password or parameters are missing", hint=hint)
    folder.mkdir()
    name = safe_file_name(url_name(url), max_bytes=MAX_NAME_BYTES, fallback="video")
    local = folder / name
    if is_listable(url) and (url.endswith("/") or remote.is_folder(url)):
        remote.download_folder(url.rstrip("/"), local)
    else:
        remote.download(url, local)
    return str(local)

"""Driver of a batch: hands videos to workers, repeats failed attempts, and writes the manifest.

Used by `commands.batch_run`. A `Runner` has the workers: `LocalWorkers` are processes of this machine,
`RayWorkers` are actors of a Ray cluster.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Protocol

from vis_cli.batch.manifest import FOLDER, ManifestWriter, Row
from vis_cli.batch.tasks import REPEATED, Kind, Outcome, Shard, VideoTask
from vis_cli.errors import VisError
from vis_cli.files.atomic import named_failures
from vis_cli.files.locks import exclusive_lock, remove_leftovers
from vis_cli.settings import SegmentSettings

MAX_LOST = 3  # workers of one video that are lost with their machine before the video counts as the cause
DRIVER = "driver-"  # start of the name of the lock of a shard


class WorkerError(VisError):
    """The workers cannot start, for example because the model is not available. The batch stops."""


@dataclass(frozen=True, slots=True)
class WorkItem:
    """One attempt at one video, as a worker receives it."""

    task: VideoTask
    result: Path
    config: SegmentSettings
    settings: str  # hash of all that the result depends on, except the video
    attempt: int = 1
    is_last: bool = False  # whether a crash in this attempt is final
    num_lost: int = 0  # workers that were lost with this video in this run
    size: int | None = None  # of the video in bytes; None: a folder, or missing
    modified: int | None = None  # time of its last change in ns; of a remote video, a hash of its ETag if it has one
    origin: str = ""  # URL of a remote video whose local copy is segmented


@dataclass(frozen=True, slots=True)
class Ended:
    """End of an attempt, and the worker that made it."""

    item: WorkItem
    outcome: Outcome
    worker: str


class Runner(Protocol):
    """Workers on one machine or on several. A worker processes one video at a time."""

    @property
    def num_free(self) -> int:
        """Return the number of workers without a video."""

    def start(self, item: WorkItem) -> None:
        """Hand a video to a free worker."""

    def wait(self) -> Ended:
        """Return the next attempt that ends, also if its worker crashes. At least one attempt must be running.

        Raises:
            WorkerError: The workers cannot start.
        """


class PollingRunner(Runner, Protocol):
    """Workers that can be asked without waiting for the end of an attempt."""

    def poll(self) -> Ended | None:
        """Return an attempt that has ended, None after a short time without one.

        Raises:
            WorkerError: The workers cannot start.
        """


def drive(items: Iterable[WorkItem], runner: Runner, manifest: ManifestWriter) -> Iterator[Row]:
    """Process the videos, and yield the row of each attempt when it is in the manifest.

    Raises:
        WorkerError: The workers cannot start.
        VisError: The disk is full, or the manifest cannot be written.
    """
    queue = deque(items)
    started, num_running = time.monotonic(), 0
    while queue or num_running:
        while queue and runner.num_free:
            runner.start(queue.popleft())
            num_running += 1
        ended = runner.wait()
        num_running -= 1
        row = make_row(ended, time.monotonic() - started)
        manifest.append(row)
        yield row
        if row.outcome.kind == "disk full":
            raise VisError(f"stopped: {row.outcome.reason}", hint="Then run the same command again to resume.")
        if not row.is_final:
            queue.append(_again(ended.item, ended.outcome.kind))


def _again(item: WorkItem, kind: Kind) -> WorkItem:
    """Return the next attempt. A lost worker is not the fault of the video."""
    if kind == "lost":
        return replace(item, attempt=item.attempt + 1, num_lost=item.num_lost + 1)
    return replace(item, attempt=item.attempt + 1, is_last=True)


def make_row(ended: Ended, elapsed: float) -> Row:
    """Return the row of an attempt."""
    item, kind = ended.item, ended.outcome.kind
    may_follow = kind == "disk full" or (kind in REPEATED and not item.is_last)
    may_follow |= kind == "lost" and item.num_lost + 1 < MAX_LOST
    return Row(
        item.task.name,
        item.task.path,
        item.attempt,
        not may_follow,
        ended.outcome,
        item.settings,
        item.size,
        item.modified,
        ended.worker,
        round(elapsed, 3),
        datetime.now(timezone.utc).isoformat(timespec="seconds"),
    )


def next_attempt(item: WorkItem, last: Row | None) -> WorkItem:
    """Return the item with the number of its attempt. A crash in the last run counts."""
    if last is None:
        return item
    is_second = not last.is_final and last.outcome.kind in REPEATED
    return replace(item, attempt=last.attempt + 1, is_last=is_second)


def is_settled(item: WorkItem, last: Row | None, *, has: Callable[[Path], bool] = Path.exists) -> bool:
    """Return whether the last row of a video still holds: same video, same settings, and a result that exists.

    Args:
        item: The video.
        last: Its last row.
        has: It returns whether a result exists.
    """
    if last is None or not last.is_final or last.path != item.task.path or last.settings != item.settings:
        return False
    if (last.size, last.modified) != (item.size, item.modified) or last.outcome.kind == "storage":
        return False
    return last.outcome.status == "failed" or has(item.result)


def longest_first(items: Sequence[WorkItem], last: Mapping[str, Row]) -> list[WorkItem]:
    """Sort by length: a long video at the end would let the other workers wait. Unknown lengths follow, by file size.

    The length is from the list, or from an earlier row of the manifest.
    """

    def key(item: WorkItem) -> tuple[bool, int]:
        row = last.get(item.task.name)
        frames = item.task.frames or (None if row is None else row.outcome.frames)
        return frames is None, -(frames or item.size or 0)

    return sorted(items, key=key)


@contextmanager
def sole_driver(out: Path, shard: Shard) -> Iterator[None]:
    """Lock a shard of a batch until the body ends.

    Raises:
        VisError: Another driver works on this shard, or on shards of another number.
    """
    folder = out / FOLDER
    with named_failures(out):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            with exclusive_lock(folder / f"{DRIVER}{shard}"):
                _require_same_number(folder, shard)
                yield
        except VisError as error:
            if "another process writes it" not in error.problem:
                raise
            problem = f"cannot write to {out}: another `vis batch` works on shard {shard.index}/{shard.number}"
            raise VisError(problem, hint="Wait for its end, or use another -o DIR.") from error


def _require_same_number(folder: Path, shard: Shard) -> None:
    remove_leftovers(folder)
    for path in folder.glob(f".{DRIVER}*"):
        number = path.name.partition(".tmp-")[0].rpartition("-of-")[2]
        if number != str(shard.number):
            problem = f"cannot write to {folder.parent}: another `vis batch` with {number} shards works on it"
            raise VisError(problem, hint="Wait for its end, or use the same number in --shard.")

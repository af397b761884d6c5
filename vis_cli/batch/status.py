"""State of a batch from its plan and manifest: counts, rate, remaining time, slowest videos.

Used by `commands.batch_run`. It needs about 200 bytes per video.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from vis_cli.batch.manifest import Row, iter_part, list_parts, rank

NUM_SLOWEST = 5


@dataclass(frozen=True, slots=True)
class BatchStatus:
    """State of a batch."""

    num_videos: int
    num_done: int
    failed: Mapping[str, int]  # number of failed videos by kind of reason
    frames: int  # of done videos
    rate: float | None  # videos per second of all workers together; None: nothing is measured
    slowest: tuple[tuple[float, str], ...]  # seconds and name

    @property
    def num_missing(self) -> int:
        """Return the number of videos without a final row."""
        return max(0, self.num_videos - self.num_done - sum(self.failed.values()))

    @property
    def remaining_seconds(self) -> float | None:
        """Return the time for the missing videos at the mean rate."""
        return None if self.rate is None else self.num_missing / self.rate


def read_status(out: Path, names: Iterable[str]) -> BatchStatus:
    """Return the state of a batch.

    Args:
        out: Folder of the results.
        names: Names of all videos of the plan. Rows of other videos do not count.

    Raises:
        VisError: The manifest cannot be read.
    """
    states: dict[str, tuple[tuple[int, bool], bool, str, int] | None] = dict.fromkeys(names)
    num_rows = 0
    elapsed: dict[tuple[int, str], float] = {}  # seconds of each worker in each run
    slowest: list[tuple[float, str]] = []
    for run, row in _numbered(out):
        if row.name not in states:
            continue
        num_rows += 1
        elapsed[run, row.worker] = max(elapsed.get((run, row.worker), 0.0), row.elapsed)
        if row.outcome.seconds is not None:
            push = heapq.heappush if len(slowest) < NUM_SLOWEST else heapq.heappushpop
            push(slowest, (row.outcome.seconds, row.name))
        known = states[row.name]
        if known is None or rank(row) > known[0]:
            states[row.name] = (rank(row), row.is_final, row.outcome.kind, row.outcome.frames or 0)
    final = [state for state in states.values() if state is not None and state[1]]
    done = [state for state in final if not state[2]]
    failed = Counter(state[2] for state in final if state[2])
    num_workers = len({worker for _, worker in elapsed})
    worker_seconds = sum(elapsed.values())
    rate = num_workers * num_rows / worker_seconds if worker_seconds else None
    return BatchStatus(
        len(states),
        len(done),
        dict(sorted(failed.items())),
        sum(state[3] for state in done),
        rate,
        tuple(sorted(slowest, reverse=True)),
    )


def _numbered(out: Path) -> Iterator[tuple[int, Row]]:
    """Yield the rows with the index of their part."""
    for number, path in enumerate(list_parts(out)):
        for row in iter_part(path):
            yield number, row


@dataclass(frozen=True, slots=True)
class Measured:
    """Speed and output size of earlier attempts."""

    frames_per_second: float | None  # of one worker
    bytes_per_frame: float | None


def measure(rows: Iterable[Row]) -> Measured:
    """Return the mean speed of a worker, and the mean size of the outputs, over done videos."""
    done = [row.outcome for row in rows if row.outcome.status == "done" and row.outcome.frames]
    timed = [outcome for outcome in done if outcome.seconds]
    seconds = sum(outcome.seconds or 0.0 for outcome in timed)
    frames = sum(outcome.frames or 0 for outcome in done)
    size = sum(outcome.output_bytes or 0 for outcome in done)
    return Measured(
        sum(outcome.frames or 0 for outcome in timed) / seconds if seconds else None, size / frames if size else None
    )

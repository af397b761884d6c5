"""State of a batch from its plan and manifest: counts, rate, remaining time, slowest videos.

Used by `commands.batch_run`. It needs about 300 bytes per video.
"""

from __future__ import annotations

import heapq
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from math import nan
from multiprocessing import get_context
from operator import itemgetter
from pathlib import Path
from typing import Any, TypeAlias

from vis_cli.batch.json_lines import Block, blocks_of, read_values
from vis_cli.batch.manifest import Row, list_parts, rows_of
from vis_cli.batch.process_limits import num_cores

NUM_SLOWEST = 5
# Attempt, whether it is done, whether it is final, kind, frames. The state with the highest attempt is the last one.
State: TypeAlias = tuple[int, bool, bool, str, int]

_take_columns = itemgetter("name", "attempt", "is_final", "status", "kind", "frames", "seconds", "worker", "elapsed")
BLOCKS_PER_PROCESS = 4  # 16 MiB; a process starts in the time of about 8 MiB


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
    """Return the state of a batch. Several processes parse a large manifest.

    Args:
        out: Folder of the results.
        names: Names of all videos of the plan. Rows of other videos do not count.

    Raises:
        VisError: The manifest cannot be read.
    """
    blocks = [block for path in list_parts(out) for block in blocks_of(path)]
    if len(blocks) <= BLOCKS_PER_PROCESS:
        return merge_summaries(map(summarize, blocks), names)
    number = min(num_cores(), -(-len(blocks) // BLOCKS_PER_PROCESS))
    with ProcessPoolExecutor(number, mp_context=get_context("spawn")) as pool:
        return merge_summaries(pool.map(summarize, blocks), names)


@dataclass(frozen=True, slots=True)
class Summary:
    """Columns of the rows of one block. Columns need less memory than rows, and pass to another process faster."""

    part: str
    names: list[str]
    states: list[State]  # equal states are the same object
    seconds: array[float]  # of each attempt; NaN: it was not measured
    workers: list[str]
    elapsed: array[float]


def summarize(block: Block) -> Summary:
    """Return the columns of a block.

    Raises:
        VisError: The manifest cannot be read.
    """
    try:
        return _summarize(block.path.name, read_values(block))
    except (KeyError, TypeError):
        for _ in rows_of(block, read_values(block)):  # it raises the error with the number of the damaged line
            pass
        raise


def _summarize(part: str, values: Iterable[Any]) -> Summary:
    """Return columns of the JSON objects. Complete rows would take twice as long."""
    summary = Summary(part, [], [], array("d"), [], array("d"))
    shared: dict[State, State] = {}
    for name, attempt, is_final, status, kind, frames, seconds, worker, elapsed in map(_take_columns, values):
        if not type(name) is type(status) is type(kind) is type(worker) is str or type(attempt) is not int:
            raise TypeError("the row is damaged")
        if type(frames or 0) is not int or type(is_final) is not bool or type(elapsed) not in (int, float):
            raise TypeError("the row is damaged")
        state = (attempt, status == "done", is_final, kind, frames or 0)
        summary.names.append(name)
        summary.states.append(shared.setdefault(state, state))
        summary.seconds.append(nan if seconds is None else seconds)
        summary.workers.append(worker)
        summary.elapsed.append(elapsed)
    return summary


def merge_summaries(summaries: Iterable[Summary], names: Iterable[str]) -> BatchStatus:
    """Return the state of a batch. See `read_status`."""
    states: dict[str, State | None] = dict.fromkeys(names)
    shared: dict[State, State] = {}
    num_rows = 0
    elapsed: dict[tuple[str, str], float] = {}  # seconds of each worker in each run
    slowest: list[tuple[float, str]] = []
    for summary in summaries:
        columns = (summary.names, summary.states, summary.seconds, summary.workers, summary.elapsed)
        for name, state, seconds, worker, ended in zip(*columns, strict=True):
            if name not in states:
                continue
            num_rows += 1
            key = (summary.part, worker)
            if ended > elapsed.get(key, 0.0):
                elapsed[key] = ended
            if len(slowest) < NUM_SLOWEST:
                if seconds == seconds:
                    heapq.heappush(slowest, (seconds, name))
            elif seconds > slowest[0][0]:
                heapq.heapreplace(slowest, (seconds, name))
            known = states[name]
            if known is None or state[:2] > known[:2]:
                states[name] = shared.setdefault(state, state)
    return _describe(states, elapsed, num_rows, tuple(sorted(slowest, reverse=True)))


def _describe(
    states: Mapping[str, State | None],
    elapsed: Mapping[tuple[str, str], float],
    num_rows: int,
    slowest: tuple[tuple[float, str], ...],
) -> BatchStatus:
    failed: Counter[str] = Counter()
    num_done = num_frames = 0
    for state, count in Counter(states.values()).items():
        if state is None or not state[2]:
            continue
        *_, kind, frames = state
        if kind:
            failed[kind] += count
        else:
            num_done, num_frames = num_done + count, num_frames + frames * count
    num_workers = len({worker for _, worker in elapsed})
    worker_seconds = sum(elapsed.values())
    return BatchStatus(
        len(states),
        num_done,
        dict(sorted(failed.items())),
        num_frames,
        num_workers * num_rows / worker_seconds if worker_seconds else None,
        slowest,
    )


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

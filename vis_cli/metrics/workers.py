"""Jobs of an evaluation, spread over processes: one for each video or sequence.

Used by `metrics.davis` and `metrics.youtube_vis`.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import active_children, get_context, resource_tracker
from typing import TypeAlias, TypeVar

from vis_cli.errors import VisError

T = TypeVar("T")
Progress: TypeAlias = Callable[[str, int, int], None]  # stage, done, total

STAGE = "evaluate"
MIN_JOBS_PER_WORKER = 4  # fewer are done before another process has started


def run_jobs(jobs: Sequence[Callable[[], T]], *, num_workers: int | None, progress: Progress | None = None) -> list[T]:
    """Call the jobs and return what they return, in their order.

    Args:
        jobs: they and what they return must pickle, if there is more than one worker.
        num_workers: processes that the jobs are spread over; 1 stays in this one. None: `default_workers`.
        progress: called after each job.

    Raises:
        VisError: a job raised it, the jobs behind it then being dropped; or a process was ended from outside.
    """
    workers = default_workers(len(jobs)) if num_workers is None else num_workers
    if workers == 1:
        return _collect(map(_call, jobs), len(jobs), progress)
    # Spawned, not forked: a fork would copy the locks of a training's threads.
    others = set(active_children())
    pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"))
    try:
        with _ctrl_c_held():
            results = pool.map(_call, jobs)
        return _collect(results, len(jobs), progress)
    except KeyboardInterrupt:
        for process in set(active_children()) - others:
            process.terminate()
        raise
    except BrokenProcessPool as error:
        raise VisError("a process of the evaluation was ended, maybe for want of memory; use fewer workers") from error
    finally:
        pool.shutdown(cancel_futures=True)


def default_workers(num_jobs: int) -> int:
    """Return one worker for each core that this process may use, but no more than the jobs are worth."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cores, num_jobs // MIN_JOBS_PER_WORKER))


@contextmanager
def _ctrl_c_held() -> Iterator[None]:
    """Start processes that ignore Ctrl-C, which a terminal sends to all of them: this process ends the others.

    They inherit the blocked signal; in this process it arrives at the end of the body.
    """
    resource_tracker.ensure_running()  # it would unblock the signal when it starts
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _call(job: Callable[[], T]) -> T:
    return job()


def _collect(results: Iterator[T], total: int, progress: Progress | None) -> list[T]:
    collected = []
    for done, result in enumerate(results, start=1):
        collected.append(result)
        if progress is not None:
            progress(STAGE, done, total)
    return collected

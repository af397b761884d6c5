"""Parallel execution of an evaluation in several processes, with one job per video or sequence.

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
from typing import TypeVar

from vis_cli.errors import VisError
from vis_cli.progress import Progress

T = TypeVar("T")

STAGE = "evaluate"
MIN_JOBS_PER_WORKER = 4  # one process completes fewer jobs faster than another process starts


def run_jobs(jobs: Sequence[Callable[[], T]], *, num_workers: int | None, progress: Progress | None = None) -> list[T]:
    """Call the jobs and return their results in the order of the jobs.

    Args:
        jobs: Functions without arguments. With more than one worker, they and their results must be picklable.
        num_workers: Number of processes; 1 runs the jobs in this process. None is `default_workers`.
        progress: Function to call after each job.

    Raises:
        VisError: A job raised it, and the later jobs were cancelled; or the operating system stopped a process.
    """
    workers = default_workers(len(jobs)) if num_workers is None else num_workers
    if workers == 1:
        return _collect(map(_call, jobs), len(jobs), progress)
    # Spawned instead of forked, because a fork copies the locks of the threads of a training run.
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
        problem = "a process of the evaluation was stopped, for example because the memory was full"
        raise VisError(problem, hint="Use fewer workers.") from error
    finally:
        pool.shutdown(cancel_futures=True)


def default_workers(num_jobs: int) -> int:
    """Return the number of CPU cores that this process may use, or fewer for a small number of jobs."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cores, num_jobs // MIN_JOBS_PER_WORKER))


@contextmanager
def _ctrl_c_held() -> Iterator[None]:
    """Block Ctrl-C while the body starts processes, so that they ignore it and this process stops them instead.

    A terminal sends Ctrl-C to all processes. The new processes inherit the blocked signal. This process receives the
    signal at the end of the body.
    """
    resource_tracker.ensure_running()  # if it started later, it would unblock the signal
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

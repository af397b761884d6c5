"""Worker processes of this machine: a `driver.Runner`. Used by `commands.batch_run`.

Each worker is one child process that keeps the loaded model. A process that crashes, or that exceeds a limit and is
killed, is replaced at the next video. A child ends when its driver ends, even after SIGKILL.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from types import TracebackType
from typing import Literal, TypeAlias

from vis_cli.batch.driver import Ended, WorkerError, WorkItem
from vis_cli.batch.process_limits import Limits, memory_of
from vis_cli.batch.tasks import Kind, Outcome
from vis_cli.files.limits import MIB
from vis_cli.signals import install_handlers

POLL = 0.2  # seconds between two checks of the limits
PAUSE = 10.0  # seconds; a longer time between two checks means that the processes were stopped
PATIENCE = 10.0  # seconds for a worker to end before it is killed
MAX_FAILED_STARTS = 3  # in a row; then the batch stops, because the cause is not a video
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")

# A child reports its step. Only the steps of `ATTEMPT` count as an attempt at the video.
Step: TypeAlias = Literal["starting", "loading", "opening", "running"]
ATTEMPT: tuple[Step, ...] = ("opening", "running")


@dataclass(frozen=True, slots=True)
class Fatal:
    """Message of a child that cannot process any video."""

    reason: str


@dataclass(frozen=True, slots=True)
class Running:
    """Message of a child that has read the header of its video."""

    num_frames: int | None


class Channel:
    """The child's end of the connection to the driver."""

    def __init__(self, connection: Connection) -> None:
        """Store the connection."""
        self._connection = connection

    def iter_items(self) -> Iterator[WorkItem]:
        """Yield the videos until the driver has no more."""
        self._connection.send("starting")
        while (item := self._connection.recv()) is not None:
            yield item

    def report(self, message: Step | Running | Fatal | Outcome) -> None:
        """Report the step of the current video, or its outcome."""
        self._connection.send(message)


# Function of a child: it gets the index of its worker, counted from 0, and answers each item with an outcome.
Serve: TypeAlias = Callable[[int, Channel], None]


@dataclass(slots=True)
class _Worker:
    """One worker and its current process."""

    index: int
    process: SpawnProcess | None = None
    connection: Connection | None = None
    item: WorkItem | None = None
    step: Step = "starting"
    has_started: bool = False  # whether the process has sent a message
    deadline: float | None = None  # by the monotonic clock

    @property
    def name(self) -> str:
        return f"{os.uname().nodename}/{self.index}"


class LocalWorkers:
    """Worker processes. Use it as a context manager, which ends them."""

    def __init__(self, serve: Serve, number: int, limits: Limits, *, threads: int) -> None:
        """Store the function of the children. A process starts with the first video of its worker.

        Args:
            serve: It must be importable in another process.
            number: Number of workers.
            limits: Limits of each video.
            threads: CPU threads per worker.
        """
        self._serve = serve
        self._limits = limits
        self._threads = threads
        self._workers = [_Worker(index) for index in range(number)]
        self._context = multiprocessing.get_context("spawn")
        self._failed_starts = 0  # in a row
        self._checked = time.monotonic()  # time of the last check of the limits

    def __enter__(self) -> LocalWorkers:
        """Return the workers."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the processes. After an exception, the current videos are interrupted."""
        for worker in self._workers:
            if worker.process is None or worker.connection is None:
                continue
            if worker.item is None:
                with suppress(OSError):
                    worker.connection.send(None)
            else:
                worker.process.terminate()
        for worker in self._workers:
            if worker.process is not None:
                worker.process.join(PATIENCE)
                self._end(worker)

    @property
    def num_free(self) -> int:
        """Return the number of workers without a video."""
        return sum(worker.item is None for worker in self._workers)

    def start(self, item: WorkItem) -> None:
        """Hand a video to a free worker."""
        self._hand(next(worker for worker in self._workers if worker.item is None), item)

    def wait(self) -> Ended:
        """Return the next attempt that ends, also if its worker crashes. See `driver.Runner`."""
        self._checked = time.monotonic()
        while (ended := self.poll()) is None:
            pass
        return ended

    def poll(self) -> Ended | None:
        """Return an attempt that has ended, None after a short time without one. See `driver.PollingRunner`."""
        now = time.monotonic()
        self.extend_deadlines(now - self._checked)
        self._checked = now
        for worker in self._workers:
            if worker.item is not None and (outcome := self._outcome_of(worker)) is not None:
                ended = Ended(worker.item, outcome, worker.name)
                worker.item = None
                return ended
        busy = (worker.connection for worker in self._workers if worker.item is not None)
        wait([connection for connection in busy if connection is not None], timeout=POLL)
        return None

    def extend_deadlines(self, seconds: float) -> None:
        """Do not count a time in which the driver was stopped, and the workers with it, such as by a scheduler."""
        for worker in self._workers:
            if seconds > PAUSE and worker.deadline is not None:
                worker.deadline += seconds

    def _hand(self, worker: _Worker, item: WorkItem) -> None:
        if worker.process is None or not worker.process.is_alive():
            self._end(worker)
            self._spawn(worker)
        worker.item, worker.step = item, "starting"
        worker.deadline = time.monotonic() + self._limits.seconds if worker.has_started else None
        with suppress(OSError):  # the process has just ended: `_outcome_of` notices it
            if worker.connection is not None:
                worker.connection.send(item)

    def _spawn(self, worker: _Worker) -> None:
        ours, theirs = self._context.Pipe()
        arguments = (self._serve, worker.index, theirs)
        worker.process = self._context.Process(target=run_child, args=arguments, daemon=True)
        with _environment(dict.fromkeys(THREAD_VARIABLES, str(self._threads))):
            worker.process.start()
        theirs.close()  # so that the end of the child closes the connection
        worker.connection, worker.has_started = ours, False

    def _outcome_of(self, worker: _Worker) -> Outcome | None:
        """Return the outcome of a worker's video, None while it runs."""
        try:
            while worker.connection is not None and worker.connection.poll():
                if (outcome := self._take(worker, worker.connection.recv())) is not None:
                    return outcome
        except (EOFError, OSError):
            return self._crashed(worker)
        if worker.deadline is not None and time.monotonic() > worker.deadline:
            return self._kill(worker, "timed out", "the time limit is exceeded")
        memory = 0 if worker.process is None or worker.process.pid is None else memory_of(worker.process.pid)
        if memory > self._limits.memory_mb * MIB:
            return self._too_large(worker)
        return None

    def _too_large(self, worker: _Worker) -> Outcome | None:
        """Return the outcome of a video whose process needs too much memory, None if it gets another process."""
        step, item = worker.step, worker.item
        outcome = self._kill(
            worker, "out of memory", f"the worker needs more than {self._limits.memory_mb:,} MiB (--memory-limit)"
        )
        if step in ATTEMPT or item is None:
            return outcome
        hint = "Use a larger --memory-limit, or fewer --workers."
        self._start_again(worker, item, f"it needs more than {self._limits.memory_mb:,} MiB", hint)
        return None

    def _take(self, worker: _Worker, message: object) -> Outcome | None:
        """Take a message of a child. Return the outcome if it is one."""
        worker.has_started = True
        if isinstance(message, Outcome):
            self._failed_starts = 0
            return message
        if isinstance(message, Fatal):
            raise WorkerError(message.reason)
        now = time.monotonic()
        if isinstance(message, Running):
            worker.step = "running"
            size = None if worker.item is None else worker.item.size
            worker.deadline = now + self._limits.seconds_for(message.num_frames, size)
        elif message == "opening":
            worker.step, worker.deadline = "opening", now + self._limits.seconds
        elif message == "loading":
            worker.step, worker.deadline = "loading", None  # the weights may be downloaded
        return None

    def _crashed(self, worker: _Worker) -> Outcome | None:
        """Return the outcome of a video whose process has ended, None if it gets another process."""
        step, item = worker.step, worker.item
        code = self._end(worker)
        if step in ATTEMPT or item is None:
            return Outcome("failed", "crashed", f"the worker crashed ({describe_exit(code)})")
        hint = "Use fewer --workers, or try one video with `vis segment`."
        self._start_again(worker, item, describe_exit(code), hint)
        return None

    def _start_again(self, worker: _Worker, item: WorkItem, cause: str, hint: str) -> None:
        """Give a video to another process, because the last one ended before it opened the video.

        Raises:
            WorkerError: This happened too often in a row.
        """
        self._failed_starts += 1
        if self._failed_starts >= MAX_FAILED_STARTS:
            problem = f"cannot start a worker: it ended {self._failed_starts} times ({cause})"
            raise WorkerError(problem, hint=hint)
        self._hand(worker, item)

    def _kill(self, worker: _Worker, kind: Kind, reason: str) -> Outcome:
        if worker.process is not None:
            worker.process.kill()
        self._end(worker)
        return Outcome("failed", kind, reason)

    def _end(self, worker: _Worker) -> int | None:
        """Close the process of a worker, and return its exit code."""
        process, worker.process = worker.process, None
        if worker.connection is not None:
            worker.connection.close()
            worker.connection = None
        if process is None:
            return None
        process.join(1.0)
        if process.is_alive():
            process.kill()
            process.join()
        code = process.exitcode
        process.close()
        return code


def describe_exit(code: int | None) -> str:
    """Return the exit code of a process in words."""
    if code is None or code >= 0:
        return f"exit code {code}"
    name = signal.Signals(-code).name if -code in signal.Signals._value2member_map_ else f"signal {-code}"
    return f"{name}; the memory of the machine may be full" if -code == signal.SIGKILL else name


def run_child(serve: Serve, index: int, connection: Connection) -> None:
    """Run a worker in a child process. The driver handles Ctrl-C; SIGTERM interrupts the current video."""
    install_handlers()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with suppress(EOFError, BrokenPipeError, KeyboardInterrupt):
        serve(index, Channel(connection))


def _end_with_parent() -> None:
    """End this process when its driver ends. The kernel then frees its locks."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    """Set environment variables for the processes that start in the body."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value

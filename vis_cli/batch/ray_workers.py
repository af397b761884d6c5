"""Workers on a Ray cluster: a `driver.PollingRunner`. Used by `commands.batch_run`.

Each worker is an actor, to which the driver sends one item at a time. The driver notices when an actor or its machine
is lost: the item gets another attempt, and the actor is replaced as soon as the cluster has room. The driver owns the
actors: they end with it, even after SIGKILL.
"""

from __future__ import annotations

import math
import os
import pickle
import time
from collections import deque
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any

from vis_cli.batch.driver import Ended, WorkerError, WorkItem
from vis_cli.batch.local_workers import MAX_FAILED_STARTS, Fatal, Serve
from vis_cli.batch.manifest import FOLDER
from vis_cli.batch.process_limits import Limits
from vis_cli.batch.ray_actor import VERSION, ActorSetup, Check, RayActor, Ready
from vis_cli.batch.ray_cluster import connected, list_nodes
from vis_cli.batch.ray_plan import WorkerShare, divide
from vis_cli.batch.tasks import Outcome
from vis_cli.files.locks import create, release
from vis_cli.files.names import printable
from vis_cli.messages import Messages

POLL = 0.2  # seconds
PATIENCE = 30.0  # seconds without a worker until the user learns the cause
MARKER = "workers"  # start of the name of the file that the workers must see
NO_MEMORY = "NODE_OUT_OF_MEMORY"  # in the message of Ray


@dataclass(frozen=True, slots=True)
class RayOptions:
    """Cluster and limits of the workers."""

    address: str
    number: int | None  # of workers; None: by the CPU cores and GPUs of the cluster
    limits: Limits
    shares_memory: bool  # divide the memory of each machine by its workers, instead of the limit


@dataclass(slots=True)
class _Worker:
    """One actor, and what it does now."""

    index: int
    actor: Any
    answer: Any  # reference to the result of its current method; None: it is free
    is_ready: bool = False
    item: WorkItem | None = None
    host: str = "?"
    failed_starts: int = 0  # in a row

    @property
    def name(self) -> str:
        return f"{self.host}/{self.index}"


class RayWorkers:
    """Actors of a Ray cluster. Use it as a context manager, which ends them."""

    def __init__(self, serve: Serve, options: RayOptions, out: Path, at_most: int, messages: Messages) -> None:
        """Store the function of the children.

        Args:
            serve: It must be importable on all machines.
            options: Cluster and limits.
            out: Folder of the results, which all machines must see.
            at_most: Largest number of workers that are useful.
            messages: For the reason of a long time without a worker.
        """
        self._serve = serve
        self._options = options
        self._out = out.absolute()
        self._at_most = at_most
        self._messages = messages
        self._given: deque[WorkItem] = deque()  # items that wait for an actor that is ready
        self._workers: list[_Worker] = []
        self._stack = ExitStack()
        self._ready_at = math.inf  # time at which a worker was ready

    def __enter__(self) -> RayWorkers:
        """Connect to the cluster, and request the actors.

        Raises:
            WorkerError: There is no cluster, or it has no CPU core.
        """
        with ExitStack() as stack:
            self._ray = stack.enter_context(connected(self._options.address))
            folder = self._out / FOLDER
            folder.mkdir(parents=True, exist_ok=True)
            marker = create(folder, MARKER)
            stack.callback(release, marker)
            self._check = Check(VERSION, str(marker.path), None, str(Path.cwd()))
            self._share = self._divide()
            self._workers = [_Worker(index, None, None) for index in range(self._share.number)]
            self._ready_at = time.monotonic()
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the actors. After an exception, the current videos are interrupted."""
        for worker in self._workers:
            self._kill(worker)
        self._stack.close()

    @property
    def num_free(self) -> int:
        """Return the number of items that can be taken. An item may wait until its actor is ready."""
        return len(self._workers) - len(self._given) - sum(worker.item is not None for worker in self._workers)

    def start(self, item: WorkItem) -> None:
        """Take a video. The next actor that is ready gets it."""
        if self._check.example is None and os.path.exists(item.task.path):  # noqa: PTH110
            self._check = replace(self._check, example=item.task.path)
        self._given.append(item)

    def wait(self) -> Ended:
        """Return the next attempt that ends, also if its worker is lost. See `driver.Runner`."""
        while (ended := self.poll()) is None:
            pass
        return ended

    def poll(self) -> Ended | None:
        """Return an attempt that has ended, None after a short time without one. See `driver.PollingRunner`."""
        self._hand_out()
        answers = {worker.answer: worker for worker in self._workers if worker.answer is not None}
        done, _ = self._ray.wait(list(answers), num_returns=1, timeout=POLL) if answers else ([], [])
        for answer in done:
            if (ended := self._take(answers[answer])) is not None:
                return ended
        if any(worker.is_ready for worker in self._workers):
            self._ready_at = time.monotonic()
        elif time.monotonic() - self._ready_at > PATIENCE:
            self._ready_at = math.inf  # the user is told once
            self._messages.warn(f"the Ray cluster has no free worker yet: each needs {self._needs()}")
        return None

    def _hand_out(self) -> None:
        """Start the actors that are missing, and give the items to those that are ready."""
        for worker in self._workers:
            if worker.actor is None:
                self._spawn(worker)
            if worker.is_ready and worker.item is None and self._given:
                worker.item = self._given.popleft()
                worker.answer = worker.actor.process.remote(worker.item)

    def _spawn(self, worker: _Worker) -> None:
        share, options = self._share, self._options
        setup = ActorSetup(self._serve, options.limits, share.threads, options.shares_memory)
        actor = self._ray.remote(num_cpus=share.cores, num_gpus=share.gpus, max_restarts=0)(RayActor)
        worker.actor = actor.remote(pickle.dumps(setup), self._num_local)
        worker.answer, worker.is_ready = worker.actor.check.remote(self._check), False

    def _take(self, worker: _Worker) -> Ended | None:
        """Take the answer of an actor. Return the attempt if it ended one."""
        exceptions = self._ray.exceptions
        item, answer = worker.item, worker.answer
        worker.item = worker.answer = None
        try:
            value = self._ray.get(answer)
        except (exceptions.RayActorError, exceptions.OutOfMemoryError, exceptions.NodeDiedError) as error:
            return self._lost(worker, item, error)
        except exceptions.RayError as error:
            raise WorkerError(f"a worker of Ray failed: {_last_line(error)}") from error
        if isinstance(value, Fatal):
            raise WorkerError(value.reason)
        if isinstance(value, Ready):
            if value.problem:
                raise WorkerError(value.problem, hint=value.hint)
            worker.host, worker.is_ready, worker.failed_starts = value.host, True, 0
            return None
        if item is None or not isinstance(value, Outcome):
            raise ValueError(f"unexpected answer {value!r}")
        return Ended(item, value, worker.name)

    def _lost(self, worker: _Worker, item: WorkItem | None, error: BaseException) -> Ended | None:
        """Remove an actor that has ended. Return the attempt at its video, if it had one."""
        self._kill(worker)
        if item is None:
            worker.failed_starts += 1
            if "No module named 'vis_cli" in str(error):
                hint = f"Install vis {VERSION} on all machines of the cluster."
                raise WorkerError("a worker of Ray has no package vis_cli, or another version", hint=hint)
            if worker.failed_starts >= MAX_FAILED_STARTS:
                problem = f"cannot start a worker of Ray: it ended {worker.failed_starts} times ({_last_line(error)})"
                raise WorkerError(problem, hint="Read the logs of Ray in /tmp/ray/session_latest/logs.")
            return None
        if NO_MEMORY in str(error) or isinstance(error, self._ray.exceptions.OutOfMemoryError):
            outcome = Outcome("failed", "out of memory", f"Ray ended the worker {worker.name}: its machine was full")
        else:
            outcome = Outcome("failed", "lost", f"the worker {worker.name} or its machine was lost")
        return Ended(item, outcome, worker.name)

    def _kill(self, worker: _Worker) -> None:
        if worker.actor is not None:
            with suppress(self._ray.exceptions.RayError):
                self._ray.kill(worker.actor)
        worker.actor, worker.answer, worker.is_ready = None, None, False

    def _divide(self) -> WorkerShare:
        nodes = list_nodes(self._ray)
        share = divide(list(nodes.values()), self._options.number, at_most=self._at_most)
        if share is None:
            raise WorkerError("the Ray cluster has no CPU core", hint="Start Ray without --num-cpus=0.")
        self._num_local = {name: max(1, share.fits(node)) for name, node in nodes.items()}
        return share

    def _needs(self) -> str:
        share = self._share
        cores = f"{share.cores:.2g} CPU cores" if share.cores != 1 else "1 CPU core"
        return f"{cores} and {share.gpus:.2g} GPUs" if share.gpus else cores


def _last_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return printable(lines[-1] if lines else type(error).__name__, limit=300)

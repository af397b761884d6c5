"""Ray actor of one worker: checks its machine, and keeps one child process with the model. Used by `ray_workers`.

The child is that of the local workers, with the same limits: a decoder that crashes ends the child, not the actor.
"""

from __future__ import annotations

import os
import pickle
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from vis_cli.batch.driver import WorkerError, WorkItem
from vis_cli.batch.local_workers import Fatal, LocalWorkers, Serve
from vis_cli.batch.process_limits import Limits, memory_share
from vis_cli.batch.tasks import Outcome

VERSION: str = sys.modules["vis_cli"].__version__  # an import of the package would count as one of torch


@dataclass(frozen=True, slots=True)
class Check:
    """What a worker must see of its driver."""

    version: str  # of vis
    marker: str  # path of a file that the driver has just created in the folder of the results
    example: str | None  # path of a video that the driver sees
    folder: str  # current folder of the driver


@dataclass(frozen=True, slots=True)
class Ready:
    """Answer of a worker: where it is, and why it cannot work ("": it can)."""

    host: str
    problem: str = ""
    hint: str = ""


@dataclass(frozen=True, slots=True)
class ActorSetup:
    """What an actor needs to start its child. The driver pickles it, because Ray would report its errors in pages."""

    serve: Serve
    limits: Limits
    threads: int
    shares_memory: bool  # divide the memory of the machine by its workers, instead of `limits.memory_mb`


class RayActor:
    """One worker. Ray runs its methods one after another."""

    def __init__(self, setup: bytes, num_local: Mapping[str, int]) -> None:
        """Store the setup.

        Args:
            setup: A pickled `ActorSetup`.
            num_local: Number of workers on each node, by its id. A node can have joined the cluster later.
        """
        import ray

        self._setup = setup
        self._num_local = num_local.get(ray.get_runtime_context().get_node_id(), max(num_local.values()))
        self._workers: LocalWorkers | None = None
        vars(sys.modules["__main__"]).pop("__file__", None)  # else a child would import the main module of Ray

    def check(self, wanted: Check) -> Ready:
        """Return the name of this machine, and what is missing on it."""
        with suppress(OSError):  # relative paths of a model, if the machines share the folder
            os.chdir(wanted.folder)
        return check_machine(wanted)

    def process(self, item: WorkItem) -> Outcome | Fatal:
        """Segment one video in the child. The first video starts it."""
        if self._workers is None:
            setup: ActorSetup = pickle.loads(self._setup)
            limits = setup.limits
            if setup.shares_memory:
                limits = Limits(limits.seconds, limits.frame_seconds, memory_share(self._num_local))
            self._workers = LocalWorkers(setup.serve, 1, limits, threads=setup.threads)
        self._workers.start(item)
        try:
            return self._workers.wait().outcome
        except WorkerError as error:
            return Fatal(str(error))


def check_machine(wanted: Check) -> Ready:
    """Return the name of this machine, and what is missing on it."""
    host = os.uname().nodename
    if wanted.version != VERSION:
        problem = f"the worker on {host} has version {VERSION} of vis, the driver has {wanted.version}"
        return Ready(host, problem, "Install the same version on all machines.")
    if problem := _folder_problem(Path(wanted.marker)):
        folder = Path(wanted.marker).parents[1]
        hint = "Use an -o DIR on storage that all machines share."
        return Ready(host, f"the worker on {host} {problem} {folder}", hint)
    if wanted.example is not None and not os.path.exists(wanted.example):  # noqa: PTH110
        problem = f"the worker on {host} does not see the video {wanted.example}"
        return Ready(host, problem, "Put the videos on storage that all machines share, under the same path.")
    return Ready(host)


def _folder_problem(marker: Path) -> str:
    if not marker.exists():
        return "does not see the folder"
    try:
        with tempfile.TemporaryFile(dir=marker.parent):
            return ""
    except OSError as error:
        return f"cannot write ({error.strerror}) to the folder"

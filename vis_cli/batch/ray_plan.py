"""Division of a Ray cluster into workers: their number, and the CPU cores and GPUs of each. Used by `ray_workers`.

All workers get the same number of threads, so that a result does not depend on the worker.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from vis_cli.batch.process_limits import CORES_PER_WORKER


@dataclass(frozen=True, slots=True)
class Node:
    """CPU cores and GPUs of one machine, as Ray counts them."""

    cores: int
    gpus: int = 0


@dataclass(frozen=True, slots=True)
class WorkerShare:
    """Share of each worker. Less than 1 core or GPU means that several workers use it."""

    number: int  # of workers
    cores: float
    gpus: float

    @property
    def threads(self) -> int:
        """Return the number of CPU threads per worker."""
        return max(1, int(self.cores))

    def fits(self, node: Node) -> int:
        """Return the number of workers that a node has room for."""
        by_cores = math.floor(node.cores / self.cores + 1e-6)
        return min(by_cores, math.floor(node.gpus / self.gpus + 1e-6)) if self.gpus else by_cores


def divide(nodes: Sequence[Node], wanted: int | None, *, at_most: int) -> WorkerShare | None:
    """Return the share of each worker, as large as possible. None: no node has a CPU core.

    Args:
        nodes: Nodes of the cluster. If some have GPUs, only they get workers.
        wanted: Number of workers. None: one per GPU; without a GPU, one per 4 CPU cores of a node.
        at_most: Largest number of workers that are useful.
    """
    nodes = [node for node in nodes if node.cores]
    nodes = [node for node in nodes if node.gpus] or nodes
    if not nodes:
        return None
    default = sum(node.gpus or max(1, node.cores // CORES_PER_WORKER) for node in nodes)
    number = max(1, min(wanted or default, at_most))
    num_gpus = sum(node.gpus for node in nodes)
    gpus = 1 / math.ceil(number / num_gpus) if num_gpus else 0.0
    for cores in range(max(node.cores for node in nodes), 0, -1):
        share = WorkerShare(number, cores, gpus)
        if sum(map(share.fits, nodes)) >= number:
            return share
    parts = 2  # workers per core
    while sum(map(WorkerShare(number, 1 / parts, gpus).fits, nodes)) < number:
        parts += 1
    return WorkerShare(number, 1 / parts, gpus)

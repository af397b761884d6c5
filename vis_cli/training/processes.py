"""Processes of a run, which `torchrun` starts. Without `torchrun`, a run has one process. Used by `trainer`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist

from vis_cli.errors import VisError
from vis_cli.training.pairs import Share

T = TypeVar("T")

PATIENCE = timedelta(hours=12)  # the other processes wait while the first one validates


@dataclass(frozen=True, slots=True)
class Processes:
    """This process and the number of processes of the run."""

    rank: int  # index of this process, from 0
    number: int  # number of processes
    device: torch.device

    @property
    def is_first(self) -> bool:
        """Check whether this is the process that writes and reports."""
        return self.rank == 0

    def gather(self, value: T) -> list[T]:
        """Return the values of all processes in the order of their ranks. All processes have to call it."""
        if self.number == 1:
            return [value]
        gathered: list[T | None] = [None] * self.number
        dist.all_gather_object(gathered, value)
        return gathered  # type: ignore[return-value]

    def share(self, batch_size: int, micro_batch_size: int | None) -> Share:
        """Divide a batch into parts of `micro_batch_size` clips, and return the parts of this process.

        Args:
            batch_size: Clips per step, over all processes.
            micro_batch_size: Clips per part. None: one part per process.

        Raises:
            VisError: The batch cannot be divided evenly.
        """
        size = micro_batch_size or max(1, batch_size // self.number)
        parts = batch_size // size
        if parts * size != batch_size or parts % self.number:
            raise VisError(
                f"batch_size {batch_size} in parts of {size} clips cannot be divided evenly among {self.number} "
                "processes. Change batch_size or micro_batch_size."
            )
        count = parts // self.number
        return Share(parts, self.rank * count, count)


@contextmanager
def join_processes(device: torch.device) -> Iterator[Processes]:
    """Connect the processes that `torchrun` started, and disconnect them at the end.

    With several GPUs, `cuda` stands for the GPU with the local rank of the process.
    """
    number = int(os.environ.get("WORLD_SIZE", "1"))
    if number == 1:
        yield Processes(0, 1, device)
        return
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=PATIENCE)
    try:
        yield Processes(dist.get_rank(), number, device)
    finally:
        dist.destroy_process_group()

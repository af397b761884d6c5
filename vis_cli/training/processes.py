"""The processes that share a run, as `torchrun` starts them; alone, a run is one process. Used by the trainer."""

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

PATIENCE = timedelta(hours=12)  # the others wait while the first process validates


@dataclass(frozen=True, slots=True)
class Processes:
    """Know this process's place among those of the run."""

    rank: int
    number: int
    device: torch.device

    @property
    def is_first(self) -> bool:
        """Tell whether this process writes and reports."""
        return self.rank == 0

    def gather(self, value: T) -> list[T]:
        """Return the value of every process, in their order; all of them must call it."""
        if self.number == 1:
            return [value]
        gathered: list[T | None] = [None] * self.number
        dist.all_gather_object(gathered, value)
        return gathered  # type: ignore[return-value]

    def share(self, batch_size: int, micro_batch_size: int | None) -> Share:
        """Cut a batch into parts of `micro_batch_size` clips, None: one a process, and deal them out.

        Raises:
            VisError: they do not come out even.
        """
        size = micro_batch_size or max(1, batch_size // self.number)
        parts = batch_size // size
        if parts * size != batch_size or parts % self.number:
            raise VisError(
                f"batch_size {batch_size} in parts of {size} cannot be shared evenly by {self.number} processes; "
                "change batch_size or micro_batch_size"
            )
        count = parts // self.number
        return Share(parts, self.rank * count, count)


@contextmanager
def join_processes(device: torch.device) -> Iterator[Processes]:
    """Join the processes that `torchrun` started, and leave them at the end; without it this is the only one.

    Of several GPUs, `cuda` means the one of the process's local rank.
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

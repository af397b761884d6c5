"""One step of a run: losses, gradients and the optimizer. Used by `trainer` and `check`.

The batch of a step is divided into parts that fit in memory. The gradients of the parts of all processes are averaged.
The random numbers of a part depend only on the seed, the step and the part. The number of processes therefore does not
change the result.
"""

from __future__ import annotations

import math
from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from vis_cli.errors import VisError
from vis_cli.network.detector import SampleSizes
from vis_cli.network.precision import has_native_bfloat16
from vis_cli.network.seq_mask_rcnn import SeqMaskRCNN
from vis_cli.training.config import TrainConfig
from vis_cli.training.objective import clip_losses
from vis_cli.training.optimizer import set_rates
from vis_cli.training.processes import Processes
from vis_cli.training.schedule import guidance_fractions, learning_rate
from vis_cli.training.shortage import REMEDY, OutOfMemoryError, is_shortage
from vis_cli.training.structures import TrainClip


class JointLoss(nn.Module):
    """A network with its loss, as one module for DistributedDataParallel."""

    def __init__(self, model: SeqMaskRCNN) -> None:
        super().__init__()
        self.model = model

    def forward(
        self, clips: list[TrainClip], config: TrainConfig, step: int, generator: torch.Generator
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the total loss of the clips and its terms."""
        losses = clip_losses(
            self.model,
            clips,
            guidance=guidance_fractions(step, config),
            cross_entropy_weight=config.cross_entropy_weight,
            generator=generator,
            sizes=SampleSizes(
                config.anchors_per_frame, config.regions_per_frame, config.proposals, config.rpn_fraction
            ),
            detect_fraction=config.detect_fraction,
            truncate=config.truncate,
        )
        total = torch.stack([self._anchor(), *(loss.float() for loss in losses.values())]).sum()
        return total, losses

    def _anchor(self) -> Tensor:
        """Return a zero that depends on all trained parameters, so that each of them has a gradient in each part."""
        trained = [parameter.sum() for parameter in self.model.parameters() if parameter.requires_grad]
        return 0.0 * torch.stack(trained).sum()


@dataclass(frozen=True, slots=True)
class PartReport:
    """Result of one part of a step."""

    total: float
    losses: dict[str, float]
    clips: str  # names of the clips, for error messages


def wrap(model: SeqMaskRCNN, processes: Processes) -> nn.Module:
    """Return the joint loss of a network. Its gradients are averaged over the processes."""
    loss = JointLoss(model)
    return loss if processes.number == 1 else DistributedDataParallel(loss)


def train_step(
    loss: nn.Module,
    optimizer: torch.optim.Optimizer,
    parts: list[list[TrainClip]],
    config: TrainConfig,
    step: int,
    processes: Processes,
) -> dict[str, float]:
    """Train one step with the parts of this process.

    Args:
        loss: Result of `wrap`.
        optimizer: Optimizer of the network.
        parts: Clips of each part, on the CPU.
        config: Settings of the step.
        step: Index of the step, from 0.
        processes: All processes of the run.

    Returns:
        Mean losses of all parts, the norm of the gradient and the learning rate.

    Raises:
        VisError: A loss or the gradient is not finite. The network is unchanged.
        OutOfMemoryError: The gradient does not fit into memory. The network is unchanged.
    """
    optimizer.zero_grad(set_to_none=True)
    try:
        own = [_add_gradient(loss, parts, i, config, step, processes) for i in range(len(parts))]
    except (MemoryError, RuntimeError) as error:
        if not is_shortage(error):
            raise
        own = []
    if not own:  # outside of the handler, because its exception keeps the memory of the step
        optimizer.zero_grad(set_to_none=True)
        raise OutOfMemoryError(f"out of memory at step {step} with {len(parts[0])} clips at once", hint=f"{REMEDY}.")
    reports = [report for gathered in processes.gather(own) for report in gathered]
    for report in reports:
        if not math.isfinite(report.total):
            raise VisError(f"loss is {report.total} at step {step}; clips: {report.clips}")
    norm = torch.nn.utils.clip_grad_norm_(loss.parameters(), config.optim.clip_norm).item()
    if not math.isfinite(norm):
        raise VisError(f"the gradient is {norm} at step {step}; clips: {', '.join(r.clips for r in reports)}")
    rate = learning_rate(step, config.num_steps, config.optim)
    set_rates(optimizer, config.optim, rate)
    optimizer.step()
    return {**_mean_losses(reports), "grad_norm": norm, "lr": rate}


def autocast_dtype(precision: str, device: torch.device) -> torch.dtype | None:
    """Return bfloat16, or None for float32. "auto" is bfloat16 on devices that compute in it."""
    if precision != "auto":
        return {"bfloat16": torch.bfloat16, "float32": None}[precision]
    return torch.bfloat16 if has_native_bfloat16(device) else None


def seed_part(seed: int, step: int, part: int) -> torch.Generator:
    """Seed the global generators of torch, and return a generator for the guidance.

    Args:
        seed: Seed of the run.
        step: Index of the step.
        part: Index of the part among the parts of all processes.
    """
    state = np.random.SeedSequence([seed, step, part]).generate_state(2, np.uint32)
    torch.manual_seed(int(state[0]))
    return torch.Generator().manual_seed(int(state[1]))


def _add_gradient(
    loss: nn.Module, parts: list[list[TrainClip]], i: int, config: TrainConfig, step: int, processes: Processes
) -> PartReport:
    """Add the gradient of a part. The last part averages the gradients over the processes."""
    device, dtype = processes.device, autocast_dtype(config.precision, processes.device)
    generator = seed_part(config.seed, step, processes.rank * len(parts) + i)
    clips = [clip.to(device) for clip in parts[i]]
    waits = isinstance(loss, DistributedDataParallel) and i + 1 < len(parts)
    with loss.no_sync() if waits else nullcontext():  # type: ignore[operator]
        with torch.autocast(device.type, dtype=dtype or torch.bfloat16, enabled=dtype is not None):
            total, losses = loss(clips, config, step, generator)
        torch.autograd.backward(total / len(parts))
    values = {name: value.item() for name, value in losses.items()}
    return PartReport(total.item(), values, ", ".join(clip.name for clip in clips))


def _mean_losses(reports: list[PartReport]) -> dict[str, float]:
    """Average the total over all parts, and each term over the parts that have it."""
    means = {"loss": sum(report.total for report in reports) / len(reports)}
    for name in dict.fromkeys(name for report in reports for name in report.losses):
        values = [report.losses[name] for report in reports if name in report.losses]
        means[name] = sum(values) / len(values)
    return means

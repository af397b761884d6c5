"""A run's whole state on disk: weights, their average, optimiser, step and random state.

Used by the trainer; a resumed run equals an unbroken one.
"""

from __future__ import annotations

from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from vis_cli.errors import VisError
from vis_cli.network.seq_mask_rcnn import SeqMaskRCNN
from vis_cli.records.atomic import atomic_path

CHECKPOINT_NAME = "checkpoint.pt"


class WeightAverage:
    """Keep the exponential moving average of a model's parameters."""

    def __init__(self, model: SeqMaskRCNN, decay: float) -> None:
        self.decay = decay
        self.values = {name: p.detach().clone() for name, p in model.named_parameters()}

    @torch.no_grad()
    def update(self, model: SeqMaskRCNN, step: int) -> None:
        """Move the average towards the model; faster in the first steps."""
        decay = min(self.decay, (1 + step) / (10 + step))
        parameters: list[torch.Tensor] = [parameter for _, parameter in model.named_parameters()]
        torch._foreach_lerp_(list(self.values.values()), parameters, 1.0 - decay)

    @torch.no_grad()
    def copy_to(self, model: SeqMaskRCNN) -> None:
        """Set the model's parameters to their average."""
        for name, parameter in model.named_parameters():
            parameter.copy_(self.values[name])


def write_checkpoint(
    out: Path,
    model: SeqMaskRCNN,
    average: WeightAverage,
    optimizer: torch.optim.Optimizer,
    step: int,
    generator: torch.Generator,
) -> None:
    """Write the state after `step` steps, complete or not at all.

    Raises:
        VisError: the folder cannot be written.
    """
    state = {
        "step": step,
        "model": model.state_dict(),
        "average": average.values,
        "optimizer": optimizer.state_dict(),
        "generator": generator.get_state(),
        "torch": torch.get_rng_state(),
    }
    with atomic_path(out / CHECKPOINT_NAME) as temporary:
        torch.save(state, temporary)


def read_checkpoint(
    out: Path, model: SeqMaskRCNN, average: WeightAverage, optimizer: torch.optim.Optimizer, generator: torch.Generator
) -> int:
    """Restore the state that `write_checkpoint` wrote and return its step.

    Raises:
        VisError: there is no readable checkpoint of this model in `out`.
    """
    path = out / CHECKPOINT_NAME
    try:
        state: dict[str, Any] = torch.load(path, weights_only=True, map_location="cpu")
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
    except FileNotFoundError as error:
        raise VisError(f"{path} does not exist; run without --resume first") from error
    except (RuntimeError, ValueError, KeyError, UnpicklingError, EOFError) as error:
        raise VisError(f"{path} is not a checkpoint of this model ({str(error).splitlines()[0]})") from error
    average.values = state["average"]
    generator.set_state(state["generator"])
    torch.set_rng_state(state["torch"])
    return int(state["step"])

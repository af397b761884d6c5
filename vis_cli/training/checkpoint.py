"""A run's whole state on disk: weights, their average, optimiser, step and the best figure so far.

Used by the trainer; a resumed run equals an unbroken one. Random draws are functions of seed and step: none are kept.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from vis_cli.errors import VisError
from vis_cli.files.atomic import atomic_path
from vis_cli.network.damage import DAMAGE
from vis_cli.network.seq_mask_rcnn import SeqMaskRCNN
from vis_cli.training.optimizer import load_optimizer

_NUMBERED = re.compile(r"checkpoint-(\d+)\.pt")


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


@dataclass(slots=True)
class RunState:
    """Hold what a run changes as it goes."""

    model: SeqMaskRCNN
    average: WeightAverage
    optimizer: torch.optim.Optimizer
    step: int = 0  # steps done
    best_score: float | None = None  # of the validations
    validated: int = 0  # steps done at the last of them


def write_checkpoint(out: Path, state: RunState, *, keep: int) -> None:
    """Write the state, complete or not at all, then remove all but the last `keep` checkpoints.

    Raises:
        VisError: it cannot be written, for want of space perhaps; those before it are as they were.
    """
    path = out / f"checkpoint-{state.step:06d}.pt"
    content = {
        "step": state.step,
        "best_score": state.best_score,
        "validated": state.validated,
        "model": state.model.state_dict(),
        "average": state.average.values,
        "optimizer": state.optimizer.state_dict(),
    }
    with atomic_path(path) as temporary:
        try:
            torch.save(content, temporary)
        except RuntimeError as error:  # what torch makes of a full disk
            raise OSError(f"is there space left? {str(error).splitlines()[0]}") from error
    for old in _list_checkpoints(out)[:-keep]:
        old.unlink(missing_ok=True)


def last_checkpoint(out: Path) -> Path | None:
    """Return the checkpoint that a run would go on from."""
    found = _list_checkpoints(out)
    return found[-1] if found else None


def read_checkpoint(out: Path, state: RunState) -> None:
    """Restore the state that `write_checkpoint` wrote last.

    Raises:
        VisError: there is no readable checkpoint of this model in `out`.
    """
    path = last_checkpoint(out)
    if path is None:
        raise VisError(f"{out} holds no checkpoint; run without --resume first")
    try:
        content: dict[str, Any] = torch.load(path, weights_only=True, map_location="cpu")
        state.model.load_state_dict(content["model"])
        load_optimizer(state.optimizer, content["optimizer"])
        state.average.values = {
            name: content["average"][name].to(value.device) for name, value in state.average.values.items()
        }
        state.step, state.best_score = int(content["step"]), content["best_score"]
        state.validated = int(content.get("validated", state.step))  # checkpoints of before were written afterwards
    except DAMAGE as error:
        hint = "; an older one beside it works if this one is removed" if len(_list_checkpoints(out)) > 1 else ""
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise VisError(f"{path} is not a checkpoint of this model ({reason}){hint}") from error


def _list_checkpoints(out: Path) -> list[Path]:
    """List the numbered checkpoints, the oldest first."""
    return sorted(
        (path for path in out.glob("checkpoint-*.pt") if _NUMBERED.fullmatch(path.name)),
        key=lambda path: int(path.stem.partition("-")[2]),
    )

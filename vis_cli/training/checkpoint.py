"""A run's whole state on disk: weights, their average, optimiser, step and the best figure so far.

Used by the trainer; a resumed run equals an unbroken one. Random draws are functions of seed and step: none are kept.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from vis_cli.errors import VisError
from vis_cli.files.atomic import atomic_path
from vis_cli.files.limits import MAX_STEPS
from vis_cli.network.seq_mask_rcnn import SeqMaskRCNN
from vis_cli.training.optimizer import load_optimizer
from vis_cli.zoo.torch_file import load_torch_file, take_tensors
from vis_cli.zoo.weights_file import listed, require_finite

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
        if not old.is_dir():
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
    hint = " Remove it to resume from the checkpoint before it." if len(_list_checkpoints(out)) > 1 else ""
    try:
        restore(path, load_torch_file(path), state)
    except VisError as error:
        raise VisError(f"{error}{hint}") from error


def restore(path: Path, content: Any, state: RunState) -> None:
    """Check all of a checkpoint's content, then take it over.

    Args:
        path: Of the checkpoint, for the message.
        content: What the file holds.
        state: Of the run.

    Raises:
        VisError: A part is missing, damaged, or that of another model; the state is as it was.
    """
    if not isinstance(content, Mapping):
        raise VisError(f"cannot resume from {path}: it is not a checkpoint of a run.")
    missing = [name for name in ("step", "best_score", "model", "average", "optimizer") if name not in content]
    if missing:
        raise VisError(f"cannot resume from {path}: it has no {missing[0]}, so it is not a checkpoint of a run.")
    step = _take_step(path, content, "step")
    validated = _take_step(path, content, "validated") if "validated" in content else step  # older ones lack it
    best_score = content["best_score"]
    if best_score is not None and not (type(best_score) in (int, float) and math.isfinite(best_score)):
        raise VisError(f"cannot resume from {path}: its best_score is not a number.")
    model = _take_like(path, content["model"], state.model.state_dict(), "model")
    average = _take_like(path, content["average"], state.average.values, "average")
    load_optimizer(state.optimizer, content["optimizer"], path)
    state.model.load_state_dict(model)
    state.average.values = {name: average[name].to(value.device) for name, value in state.average.values.items()}
    state.step, state.validated, state.best_score = step, validated, best_score


def _take_step(path: Path, content: Mapping[str, Any], name: str) -> int:
    value = content[name]
    if type(value) is not int or not 0 <= value <= MAX_STEPS:
        raise VisError(f"cannot resume from {path}: its {name} is not a number from 0 to {MAX_STEPS:,}.")
    return value


def _take_like(path: Path, value: Any, wanted: Mapping[str, torch.Tensor], what: str) -> dict[str, torch.Tensor]:
    """Return the tensors of a part of a checkpoint, which must have the names, shapes and types of `wanted`."""
    tensors = take_tensors(value, path, what)
    other = [name for name in {**wanted, **tensors} if not _are_alike(wanted.get(name), tensors.get(name))]
    if other:
        raise VisError(
            f"cannot resume from {path}: it is not a checkpoint of this model: {what}: {listed(other)} is missing, "
            "left over, or of another shape or type."
        )
    require_finite(tensors, path)
    return tensors


def _are_alike(a: torch.Tensor | None, b: torch.Tensor | None) -> bool:
    return a is not None and b is not None and a.shape == b.shape and a.dtype == b.dtype


def _list_checkpoints(out: Path) -> list[Path]:
    """List the numbered checkpoints, the oldest first."""
    return sorted(
        (path for path in out.glob("checkpoint-*.pt") if _NUMBERED.fullmatch(path.name)),
        key=lambda path: int(path.stem.partition("-")[2]),
    )

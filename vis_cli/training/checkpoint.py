"""Checkpoints of a run: weights, their average, the state of the optimizer, the step and the best score.

Used by `run` and `trainer`. A resumed run gives the same result as an uninterrupted run. Random numbers depend only on
the seed and the step, so a checkpoint contains no state of a generator.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from vis_cli.errors import VisError
from vis_cli.files.atomic import atomic_path
from vis_cli.files.limits import MAX_STEPS
from vis_cli.network.seq_mask_rcnn import SeqMaskRCNN
from vis_cli.training.optimizer import load_optimizer
from vis_cli.zoo.torch_file import load_torch_file, take_tensors
from vis_cli.zoo.weights_file import listed, require_finite

Tensors: TypeAlias = tuple[Tensor, ...] | list[Tensor]

_NUMBERED = re.compile(r"checkpoint-(\d+)\.pt")


def average_weights(model: SeqMaskRCNN, decay: float) -> AveragedModel:
    """Return the exponential moving average of a model's parameters, to update after each step.

    Args:
        model: The network at its start.
        decay: Decay per step, from 0 to 1. The first steps use less: (1 + step) / (10 + step).
    """

    def update(averages: Tensors, parameters: Tensors, num_averaged: Tensor | int) -> None:
        step = int(num_averaged) - 1
        torch._foreach_lerp_(averages, parameters, 1.0 - min(decay, (1 + step) / (10 + step)))

    average = AveragedModel(model, multi_avg_fn=update)
    _set_step(average, 0)
    return average


def _set_step(average: AveragedModel, step: int) -> None:
    """Set the steps in an average. The start counts as a step, otherwise torch would replace it at the first one."""
    average.n_averaged.fill_(1 + step)


@dataclass(slots=True)
class RunState:
    """The state of a run, which each step changes."""

    model: SeqMaskRCNN
    average: AveragedModel
    optimizer: torch.optim.Optimizer
    step: int = 0  # number of completed steps
    best_score: float | None = None  # best score of the validations, from 0 to 1
    validated: int = 0  # number of completed steps at the last validation


def write_checkpoint(out: Path, state: RunState, *, keep: int) -> None:
    """Write a checkpoint, then remove all checkpoints except the last `keep`.

    Raises:
        VisError: The checkpoint cannot be written, for example because the disk is full. The others are unchanged.
    """
    path = out / f"checkpoint-{state.step:06d}.pt"
    content = {
        "step": state.step,
        "best_score": state.best_score,
        "validated": state.validated,
        "model": state.model.state_dict(),
        "average": _averaged_parameters(state),
        "optimizer": state.optimizer.state_dict(),
    }
    with atomic_path(path) as temporary:
        try:
            torch.save(content, temporary)
        except RuntimeError as error:  # torch raises this if the disk is full
            raise OSError(f"the disk can be full: {str(error).splitlines()[0]}") from error
    for old in _list_checkpoints(out)[:-keep]:
        if not old.is_dir():
            old.unlink(missing_ok=True)


def last_checkpoint(out: Path) -> Path | None:
    """Return the checkpoint from which a run resumes, or None."""
    found = _list_checkpoints(out)
    return found[-1] if found else None


def read_checkpoint(out: Path, state: RunState) -> None:
    """Restore the state of the last checkpoint.

    Raises:
        VisError: `out` contains no readable checkpoint of this network.
    """
    path = last_checkpoint(out)
    if path is None:
        raise VisError(f"cannot resume from {out}: no checkpoint. Start the run without --resume.")
    hint = "Remove it to resume from the previous checkpoint." if len(_list_checkpoints(out)) > 1 else ""
    try:
        restore(path, load_torch_file(path), state)
    except VisError as error:
        raise error.with_hint(hint) from error


def restore(path: Path, content: Any, state: RunState) -> None:
    """Check the complete content of a checkpoint, then copy it to the state.

    Args:
        path: File of the checkpoint, for the message.
        content: Content of the file.
        state: State of the run.

    Raises:
        VisError: A part is missing, is damaged or belongs to another network. The state is unchanged.
    """
    if not isinstance(content, Mapping):
        raise VisError(f"cannot resume from {path}: it is not a checkpoint of a run. Remove it.")
    missing = [name for name in ("step", "best_score", "model", "average", "optimizer") if name not in content]
    if missing:
        raise VisError(f"cannot resume from {path}: {missing[0]} is missing from this checkpoint of a run. Remove it.")
    step = _take_step(path, content, "step")
    validated = (
        _take_step(path, content, "validated") if "validated" in content else step
    )  # missing in older checkpoints
    best_score = content["best_score"]
    if best_score is not None and not (type(best_score) in (int, float) and math.isfinite(best_score)):
        raise VisError(f"cannot resume from {path}: its best_score is not a number.")
    model = _take_like(path, content["model"], state.model.state_dict(), "model")
    average = _take_like(path, content["average"], _averaged_parameters(state), "average")
    load_optimizer(state.optimizer, content["optimizer"], path)
    state.model.load_state_dict(model)
    state.average.module.load_state_dict(model | average)
    _set_step(state.average, step)
    state.step, state.validated, state.best_score = step, validated, best_score


def _averaged_parameters(state: RunState) -> dict[str, Tensor]:
    return {name: parameter.detach() for name, parameter in state.average.module.named_parameters()}


def _take_step(path: Path, content: Mapping[str, Any], name: str) -> int:
    value = content[name]
    if type(value) is not int or not 0 <= value <= MAX_STEPS:
        raise VisError(f"cannot resume from {path}: its {name} is not a number from 0 to {MAX_STEPS:,}.")
    return value


def _take_like(path: Path, value: Any, wanted: Mapping[str, Tensor], what: str) -> dict[str, Tensor]:
    """Return the tensors of a part of a checkpoint, which need the names, shapes and types of `wanted`."""
    tensors = take_tensors(value, path, what)
    other = [name for name in {**wanted, **tensors} if not _are_alike(wanted.get(name), tensors.get(name))]
    if other:
        raise VisError(
            f"cannot resume from {path}: it belongs to another model: {what}: {listed(other)} is missing, is "
            "unknown, or has another shape or type."
        )
    require_finite(tensors, path)
    return tensors


def _are_alike(a: Tensor | None, b: Tensor | None) -> bool:
    return a is not None and b is not None and a.shape == b.shape and a.dtype == b.dtype


def _list_checkpoints(out: Path) -> list[Path]:
    """List the numbered checkpoints, from the oldest to the newest."""
    return sorted(
        (path for path in out.glob("checkpoint-*.pt") if _NUMBERED.fullmatch(path.name)),
        key=lambda path: int(path.stem.partition("-")[2]),
    )

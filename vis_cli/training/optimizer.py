"""Optimizer of a run, AdamW or SGD, and the learning rates of its parameter groups. Used by `run` and `step`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vis_cli.errors import VisError
from vis_cli.network.seq_mask_rcnn import SeqMaskRCNN
from vis_cli.training.config import OptimConfig
from vis_cli.zoo.torch_file import DAMAGE, take_tensors
from vis_cli.zoo.weights_file import require_finite

DECODER = "decoder"  # of the Seq-Prop head: the layers after the memory readout
STEP = "step"
GATHERED: dict[type, set[str]] = {  # state of each parameter
    torch.optim.AdamW: {STEP, "exp_avg", "exp_avg_sq"},
    torch.optim.SGD: {"momentum_buffer"},
}
DECODER_MODULES = ("conv_merge.", "res_merge.", "refine3.", "refine2.", "predict.")


def build_optimizer(model: SeqMaskRCNN, optim: OptimConfig) -> torch.optim.Optimizer:
    """Build the optimizer, with one group per part of the network and kind of parameter."""
    groups: dict[tuple[str, bool], list[Tensor]] = {}
    trained = [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]
    for name, parameter in trained:
        groups.setdefault((_part_of(name, optim), parameter.ndim > 1), []).append(parameter)
    described = [
        {
            "params": parameters,
            "part": part,
            "weight_decay": optim.weight_decay if is_matrix or optim.decay_all else 0.0,
        }
        for (part, is_matrix), parameters in groups.items()
    ]
    if optim.kind == "sgd":
        return torch.optim.SGD(described, lr=optim.learning_rate, momentum=optim.momentum)
    return torch.optim.AdamW(described, lr=optim.learning_rate, fused=True)


def set_rates(optimizer: torch.optim.Optimizer, optim: OptimConfig, rate: float) -> None:
    """Set the learning rate of each group: `rate` times the multiplier of its part."""
    multipliers: dict[str, float | None] = {
        "backbone": optim.backbone_lr_mult,
        "fpn": optim.unnormed_lr_mult,
        "detector_fpn": optim.unnormed_lr_mult,
        "prop_head": optim.unnormed_lr_mult,
        DECODER: optim.decoder_lr_mult,
    }
    for group in optimizer.param_groups:
        multiplier = multipliers.get(group["part"])
        group["lr"] = rate if multiplier is None else rate * multiplier


def _part_of(name: str, optim: OptimConfig) -> str:
    """Return the part of the network that a parameter belongs to: its module, or a decoder with its own multiplier."""
    module, _, rest = name.partition(".")
    if optim.decoder_lr_mult is not None and module == "prop_head" and rest.startswith(DECODER_MODULES):
        return DECODER
    return module


def load_optimizer(optimizer: torch.optim.Optimizer, state: Any, path: Path) -> None:
    """Restore the state of the optimizer. Its settings stay the settings of the config.

    Args:
        optimizer: Optimizer of the run.
        state: Result of `state_dict` of the optimizer.
        path: The checkpoint, for the message.

    Raises:
        VisError: The state belongs to another optimizer or to other parameters, or a value is not finite.
    """
    own = [{k: v for k, v in group.items() if k != "params"} for group in optimizer.param_groups]
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    names = GATHERED[type(optimizer)]
    gathered = state.get("state") if isinstance(state, Mapping) else None
    if not isinstance(gathered, Mapping) or not set(gathered) <= set(range(len(parameters))):
        raise VisError(f"cannot resume from {path}: its optimizer has other parameters.")
    for index, values in gathered.items():
        if isinstance(values, Mapping) and values.get("momentum_buffer", 0) is None:  # SGD without momentum
            continue
        tensors = take_tensors(values, path, f"optimizer: parameter {index}")
        shapes = [value.shape for name, value in tensors.items() if name != STEP]
        if set(tensors) != names or any(shape != parameters[index].shape for shape in shapes):
            raise VisError(f"cannot resume from {path}: its optimizer has another kind, or other parameters.")
        if STEP in tensors and tensors[STEP].numel() != 1:
            raise VisError(f"cannot resume from {path}: its optimizer has a step that is not a number.")
        require_finite(tensors, path)
    try:
        optimizer.load_state_dict(state)
    except DAMAGE as error:
        raise VisError(f"cannot resume from {path}: its optimizer has other groups of parameters.") from error
    for group, settings in zip(optimizer.param_groups, own, strict=True):
        group.update(settings)

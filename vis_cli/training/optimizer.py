"""The optimiser of a run, AdamW or SGD, and the rates of its parts; used by the trainer."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from vis_cli.network.seq_mask_rcnn import SeqMaskRCNN
from vis_cli.training.config import OptimConfig


def build_optimizer(model: SeqMaskRCNN, optim: OptimConfig) -> torch.optim.Optimizer:
    """Build the optimiser over what learns, a group for each part and kind of parameter."""
    groups: dict[tuple[str, bool], list[Tensor]] = {}
    trained = [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]
    for name, parameter in trained:
        groups.setdefault((name.partition(".")[0], parameter.ndim > 1), []).append(parameter)
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
    """Give each part its share of a rate."""
    shares = {"backbone": optim.backbone_share, "fpn": optim.unnormed_share, "prop_head": optim.unnormed_share}
    for group in optimizer.param_groups:
        group["lr"] = rate * shares.get(group["part"], 1.0)


def load_optimizer(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Restore what the optimiser had gathered; its settings stay those of the run's config.

    Raises:
        ValueError: the state is that of another optimiser or of other parameters.
    """
    own = [{k: v for k, v in group.items() if k != "params"} for group in optimizer.param_groups]
    optimizer.load_state_dict(state)
    for group, settings in zip(optimizer.param_groups, own, strict=True):
        group.update(settings)

"""The network as a run starts with it: pretrained parts, frozen parts, the Seq-Prop head; used by the trainer."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from vis_cli.errors import VisError
from vis_cli.network.backbones import freeze_first_stage
from vis_cli.network.seq_mask_rcnn import SeqMaskRCNN
from vis_cli.training.config import ScheduleConfig, TrainConfig
from vis_cli.training.initialise import scale_laterals, start_as_label_copier
from vis_cli.training.pairs import BatchPlan, ClipDataset, ClipShapes
from vis_cli.training.pretrained import load_coco, load_imagenet, load_trained
from vis_cli.zoo.weights import require_size

Note = Callable[[str], None]

START_BATCHES = 4  # whose frames the Seq-Prop head is fitted to at the start


def build_model(config: TrainConfig, note: Note | None = None) -> SeqMaskRCNN:
    """Build the network in training mode with the start that the config names.

    Args:
        config: of the run.
        note: is told what a model that is the start does not bring.

    Raises:
        VisError: the start cannot be had.
    """
    require_size(config.model)
    model = SeqMaskRCNN(config.model)
    scale_laterals(model)
    if config.init == "imagenet":
        load_imagenet(model)
    elif config.init == "coco":
        load_coco(model)
    elif config.init != "none":
        anew = load_trained(model, config.init)
        if anew and note is not None:
            note(f"{config.init} does not bring all of the model; these start anew: {', '.join(anew)}")
    if config.init != "none" and config.freeze_first_stage:
        freeze_first_stage(model.backbone)
    _freeze(model, config)
    _require_query_frames(model, config)
    model.to(memory_format=torch.channels_last).train()
    if not config.norm_eval:
        _free_norms(model.backbone)
    return model


@torch.no_grad()
def start_prop_head(model: SeqMaskRCNN, config: TrainConfig, dataset: ClipDataset) -> None:
    """Start the Seq-Prop head from what the backbone says of some frames like those of the run."""
    shapes = ClipShapes(config.canvases[:1], config.num_frames)
    plan = BatchPlan(START_BATCHES, config.batch_size, lambda step: shapes, config.seed)
    images = [torch.cat([dataset[key].images for key in keys]) for keys in plan]
    start_as_label_copier(model.prop_head, torch.cat([model.encode_frames(batch).pyramid[0] for batch in images]))


def _freeze(model: SeqMaskRCNN, config: TrainConfig) -> None:
    names = [name for name, _ in model.named_parameters()]
    for field in ("train_only", "freeze"):
        for part in getattr(config, field):
            if not any(name.startswith(part) for name in names):
                raise VisError(f"{field} is {part}, but no part of the network is named so")
    for name, parameter in model.named_parameters():
        learns = not config.train_only or name.startswith(config.train_only)
        frozen = bool(config.freeze) and name.startswith(config.freeze)
        parameter.requires_grad_(parameter.requires_grad and learns and not frozen)
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise VisError("no part of the network learns; look at train_only, freeze and freeze_first_stage")


def _require_query_frames(model: SeqMaskRCNN, config: TrainConfig) -> None:
    """See that the Seq-Prop head, where it learns, has a frame to propagate into."""
    fewest = min(config.changed(change).num_frames for change in (*config.schedule, ScheduleConfig(from_step=0)))
    if fewest < 2 and any(parameter.requires_grad for parameter in model.prop_head.parameters()):
        raise VisError(
            f'num_frames is {fewest}, but propagation learns from 2 or more; give them, or freeze = ["prop_head"]'
        )


def _free_norms(module: nn.Module) -> None:
    """Let the batch norms that learn take their statistics from the batch; frozen ones keep theirs."""
    for child in module.modules():
        if isinstance(child, nn.modules.batchnorm._BatchNorm) and child.weight.requires_grad:
            child.train()

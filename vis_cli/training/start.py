"""Network at the start of a run: pretrained weights, frozen parts and the Seq-Prop head. Used by `run`."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import nn

from vis_cli.errors import VisError
from vis_cli.network.backbones import freeze_first_stage
from vis_cli.network.seq_mask_rcnn import SeqMaskRCNN
from vis_cli.training.config import ScheduleConfig, TrainConfig
from vis_cli.training.initialise import scale_laterals, start_as_label_copier
from vis_cli.training.pairs import BatchPlan, ClipDataset, ClipShapes
from vis_cli.training.pretrained import load_coco, load_imagenet, load_trained
from vis_cli.training.structures import TrainClip
from vis_cli.zoo.weights import require_size

Note = Callable[[str], None]

START_BATCHES = 4  # number of batches for the start of the Seq-Prop head


def build_model(config: TrainConfig, note: Note | None = None) -> SeqMaskRCNN:
    """Build the network in training mode with the weights of `init`.

    Args:
        config: Settings of the run.
        note: Is called with one line about the parts of the network that `init` does not contain.

    Raises:
        VisError: The weights cannot be loaded, or the settings do not fit the network.
    """
    require_size(config.model)
    model = SeqMaskRCNN(config.model)
    scale_laterals(model)
    if config.init == "imagenet":
        load_imagenet(model)
    elif config.init == "coco":
        load_coco(model)
    elif config.init != "none":
        random = load_trained(model, config.init)
        if random and note is not None:
            note(f"{config.init} does not contain these parts, which start from random weights: {', '.join(random)}")
    if config.init != "none" and config.freeze_first_stage:
        freeze_first_stage(model.backbone)
    _freeze(model, config)
    _require_query_frames(model, config)
    if config.prop_norms and not _trains_prop_head(model):
        raise VisError('needs a trained Seq-Prop head. Remove prop_norms, or train "prop_head".', field="prop_norms")
    model.to(memory_format=torch.channels_last).train()
    if not config.norm_eval:
        _free_norms(model.backbone)
    return model


@torch.no_grad()
def start_prop_head(model: SeqMaskRCNN, config: TrainConfig, dataset: ClipDataset) -> None:
    """Start the Seq-Prop head as a label copier, fitted to P2 of some frames of the run."""
    images = [torch.cat([clip.images for clip in clips]) for clips in first_batches(config, dataset, START_BATCHES)]
    start_as_label_copier(model.prop_head, torch.cat([model.encode_frames(batch).pyramid[0] for batch in images]))


def first_batches(config: TrainConfig, dataset: ClipDataset, num: int) -> Iterator[list[TrainClip]]:
    """Yield batches of clips on the CPU, on the first canvas of the run. Each call yields the same clips."""
    shapes = ClipShapes(config.canvases[:1], config.num_frames)
    for keys in BatchPlan(num, config.batch_size, lambda step: shapes, config.seed):
        yield [dataset[key] for key in keys]


def _freeze(model: SeqMaskRCNN, config: TrainConfig) -> None:
    names = [name for name, _ in model.named_parameters()]
    for field in ("train_only", "freeze"):
        for part in getattr(config, field):
            if not any(name.startswith(part) for name in names):
                raise VisError(
                    f"contains {part}, but the network has no such part", field=field, hint=f"Known: {_parts(names)}."
                )
    for name, parameter in model.named_parameters():
        is_selected = not config.train_only or name.startswith(config.train_only)
        is_frozen = bool(config.freeze) and name.startswith(config.freeze)
        parameter.requires_grad_(parameter.requires_grad and is_selected and not is_frozen)
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise VisError("all parts of the network are frozen. Change train_only, freeze or freeze_first_stage.")


def _parts(names: list[str]) -> str:
    return ", ".join(dict.fromkeys(name.partition(".")[0] for name in names))


def _require_query_frames(model: SeqMaskRCNN, config: TrainConfig) -> None:
    """Check that a clip has a query frame if the Seq-Prop head is trained."""
    fewest = min(config.changed(change).num_frames for change in (*config.schedule, ScheduleConfig(from_step=0)))
    if fewest < 2 and _trains_prop_head(model):
        raise VisError(
            f'num_frames is {fewest}, but the Seq-Prop head needs at least 2. Use more, or set freeze = ["prop_head"].'
        )


def _trains_prop_head(model: SeqMaskRCNN) -> bool:
    return any(parameter.requires_grad for parameter in model.prop_head.parameters())


def _free_norms(module: nn.Module) -> None:
    """Let trained batch norms use the statistics of the batch. Frozen ones keep their running statistics."""
    for child in module.modules():
        if isinstance(child, nn.modules.batchnorm._BatchNorm) and child.weight.requires_grad:
            child.train()

"""Image of the propagation in some clips during the training. Used by `trainer`."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vis_cli.network.aggregation import soft_aggregate
from vis_cli.network.memory import MemoryRule
from vis_cli.network.propagation import Propagation, encode_clip, propagate_masks
from vis_cli.network.seq_mask_rcnn import SeqMaskRCNN
from vis_cli.network.structures import FrameFeatures, select_frames
from vis_cli.training.contact_sheet import draw_contact_sheet
from vis_cli.training.structures import ClipTargets, TrainClip


def draw_preview(model: SeqMaskRCNN, clips: Sequence[TrainClip]) -> NDArray[np.uint8]:
    """Return an RGB image with one row per clip: its ground-truth masks, then the masks propagated from frame 0.

    Args:
        model: Network in evaluation mode.
        clips: Clips on the device of the network.
    """
    rows = [shown for clip in clips for shown in (clip.to(torch.device("cpu")), _propagated(model, clip))]
    return draw_contact_sheet(rows, columns=2)


@torch.inference_mode()
def _propagated(model: SeqMaskRCNN, clip: TrainClip) -> TrainClip:
    """Return the clip with propagated masks instead of ground-truth masks."""
    first = clip.targets[0]
    rows = [int((first.instance_ids == value).nonzero()[0]) for value in clip.guided_ids]
    features = model.encode_frames(clip.images)
    masks = [first.masks[rows]]
    if rows:
        masks += _propagate(model, features, first.masks[rows].float())
    else:
        masks += [first.masks[rows]] * (len(clip.images) - 1)
    targets = tuple(_as_targets(found.cpu(), first.labels[rows].cpu(), clip.guided_ids.cpu()) for found in masks)
    return dataclasses.replace(clip.to(torch.device("cpu")), targets=targets, ignore=(torch.zeros(0, 4),) * len(masks))


def _propagate(model: SeqMaskRCNN, features: FrameFeatures, masks: Tensor) -> list[Tensor]:
    """Return the binary masks (N, H, W) of frames 1 to T-1, propagated from the masks of frame 0."""
    guidance = model.memorize(select_frames(features, [0]), masks)
    frames = encode_clip(model, [select_frames(features, [t]) for t in range(1, len(features.c2))])
    propagated = []
    for step in propagate_masks(model, frames, [Propagation(0, guidance, MemoryRule())]):
        probs = soft_aggregate(step.separate[0])
        step.masks = [probs[1:]]
        owner = probs.argmax(dim=0)  # (H, W), 0 is background
        propagated.append(torch.stack([(owner == i + 1).to(torch.uint8) for i in range(len(masks))]))
    return propagated


def _as_targets(masks: Tensor, labels: Tensor, ids: Tensor) -> ClipTargets:
    return ClipTargets(torch.zeros(len(masks), 4), labels, masks, ids)

"""The joint loss of a batch of clips, L = L_cls + L_box + L_mask + L_prop plus the losses of the RPN.

Used by `step`. The last frame of each clip trains the detector. The propagation from the first frame to all others
trains the Seq-Prop head. Reference: Propose-Reduce, Sec. 3.1.3.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from vis_cli.network.aggregation import aggregate_logits
from vis_cli.network.detection_losses import FrameTargets, detection_losses
from vis_cli.network.detector import SampleSizes
from vis_cli.network.losses import aggregated_cross_entropy, soft_iou_loss
from vis_cli.network.memory import MemoryRule
from vis_cli.network.propagation import Propagation, encode_clip, propagate_masks
from vis_cli.network.seq_mask_rcnn import SeqMaskRCNN
from vis_cli.network.structures import FrameFeatures, select_frames, select_objects
from vis_cli.training.structures import ClipTargets, TrainClip

MAX_PERTURBATION = 0.08  # of perturbed masks, as a fraction of the side of the object


@dataclass(frozen=True, slots=True)
class GuidanceFractions:
    """Fractions of the guidance masks, from 0 to 1. All other masks are predictions of the network (the paper)."""

    ground_truth: float = 0.0
    perturbed: float = 0.0


@dataclass(frozen=True, slots=True)
class GuidedObjects:
    """The G guided objects of all clips, in the order of the clips."""

    clip: Tensor  # (G,) index of the clip
    counts: list[int]  # objects of each clip
    masks: Tensor  # (T, G, H, W) uint8 ground-truth masks; empty where the object is not visible


def clip_losses(
    model: SeqMaskRCNN,
    clips: list[TrainClip],
    *,
    guidance: GuidanceFractions,
    cross_entropy_weight: float,
    generator: torch.Generator,
    sizes: SampleSizes,
    detect_fraction: float = 1.0,
    truncate: int | None = None,
) -> dict[str, Tensor]:
    """Compute the loss terms of a batch of clips with one canvas and length.

    Args:
        model: The network, on the device of the clips.
        clips: The batch (B).
        guidance: Fractions of the guidance masks.
        cross_entropy_weight: Weight of the pixel-wise loss of propagated masks, at least 0.
        generator: CPU generator of the guidance.
        sizes: Numbers of anchors, regions and proposals that train the detector.
        detect_fraction: Fraction of the clips that train the detector, from 0 to 1. Its loss takes as much time as all
            other computation.
        truncate: Query frames after which the memory is detached from the gradient. None: never.
    """
    batch, frames = len(clips), len(clips[0].images)
    images = torch.cat([clip.images for clip in clips])  # (B*T, 3, H, W)
    features = model.encode_frames(images)
    losses: dict[str, Tensor] = {}
    trained = [i for i in range(batch) if clips[i].detect][: math.ceil(detect_fraction * batch)]
    if trained:
        last = select_frames(features, [i * frames + frames - 1 for i in trained])
        losses |= detection_losses(model.detector, last, [_frame_targets(clips[i]) for i in trained], sizes)
    objects = _guided_objects(clips)
    if len(objects.clip) and any(parameter.requires_grad for parameter in model.prop_head.parameters()):
        start = _guidance_masks(model, select_frames(features, range(0, batch * frames, frames)), clips, objects)
        masks = _mix_guidance(start, objects.masks[0].float(), guidance, generator)
        losses |= _propagation_losses(model, features, objects, masks, frames, cross_entropy_weight, truncate)
    return losses


def _frame_targets(clip: TrainClip) -> FrameTargets:
    target = clip.targets[-1]
    return FrameTargets(
        target.boxes,
        target.labels,
        target.masks,
        clip.ignore[-1],
        clip.labelled,
        scores=target.scores,
        has_mask=target.has_mask,
        background_weight=clip.background_weight,
        doubtful=clip.doubtful,
    )


def _guided_objects(clips: list[TrainClip]) -> GuidedObjects:
    masks, index, counts = [], [], []
    height, width = clips[0].images.shape[-2:]
    device = clips[0].images.device
    for i, clip in enumerate(clips):
        counts.append(len(clip.guided_ids))
        for object_id in clip.guided_ids.tolist():
            index.append(i)
            masks.append(torch.stack([_mask_of(target, object_id, height, width) for target in clip.targets]))
    stacked = (
        torch.stack(masks, dim=1) if masks else torch.zeros(len(clips[0].targets), 0, height, width, device=device)
    )
    return GuidedObjects(torch.tensor(index, dtype=torch.int64, device=device), counts, stacked)


def _mask_of(target: ClipTargets, object_id: int, height: int, width: int) -> Tensor:
    found = torch.nonzero(target.instance_ids == object_id)[:, 0]
    if len(found) == 0:
        return torch.zeros((height, width), dtype=torch.uint8, device=target.masks.device)
    mask: Tensor = target.masks[found[0]]
    return mask


@torch.no_grad()
def _guidance_masks(model: SeqMaskRCNN, first: FrameFeatures, clips: list[TrainClip], objects: GuidedObjects) -> Tensor:
    """Predict the soft masks (G, H, W) of the guided objects in frame 0 from their ground-truth boxes."""
    predictions = []
    for i, clip in enumerate(clips):
        target = clip.targets[0]
        found = [int((target.instance_ids == g).nonzero()[0]) for g in clip.guided_ids]
        rows = torch.tensor(found, dtype=torch.int64, device=target.boxes.device)
        labels = target.labels[rows].clamp(min=1)
        predictions.append(model.detector.paste_masks(select_frames(first, [i]), [target.boxes[rows]], labels))
    return torch.cat(predictions)


def _mix_guidance(
    predictions: Tensor, masks: Tensor, fractions: GuidanceFractions, generator: torch.Generator
) -> Tensor:
    draw = torch.rand(len(masks), generator=generator)
    mixed = predictions.clone()
    for i, value in enumerate(draw.tolist()):
        if value < fractions.ground_truth:
            mixed[i] = masks[i]
        elif value < fractions.ground_truth + fractions.perturbed:
            mixed[i] = _perturb(masks[i], generator)
    return mixed


def _perturb(mask: Tensor, generator: torch.Generator) -> Tensor:
    """Grow or shrink and shift a mask (H, W) by at most `MAX_PERTURBATION` of its side."""
    side = float(mask.sum().sqrt())
    reach = max(1, int(side * MAX_PERTURBATION))
    radius, dy, dx = (int(torch.randint(-reach, reach + 1, (1,), generator=generator)) for _ in range(3))
    kernel = 2 * abs(radius) + 1
    signed = mask if radius >= 0 else 1.0 - mask
    grown = F.max_pool2d(signed[None, None], kernel, 1, abs(radius))[0, 0]
    return torch.roll(grown if radius >= 0 else 1.0 - grown, (dy, dx), dims=(0, 1))


def _propagation_losses(
    model: SeqMaskRCNN,
    features: FrameFeatures,
    objects: GuidedObjects,
    masks: Tensor,
    num_frames: int,
    cross_entropy_weight: float,
    truncate: int | None,
) -> dict[str, Tensor]:
    """Propagate the guided objects of all clips through the query frames, with the code of the inference."""
    clip = objects.clip
    frames = [select_frames(features, range(t, len(features.c2), num_frames)) for t in range(num_frames)]
    guidance = model.memorize(select_objects(frames[0], clip), masks)
    propagation = Propagation(0, guidance, MemoryRule(detach_every=truncate))
    iou_terms, entropy_terms = [], []
    for step in propagate_masks(model, encode_clip(model, frames[1:], clip), [propagation]):
        separate = [probs for probs in torch.split(step.separate[0], objects.counts) if len(probs)]
        logits = [aggregate_logits(probs) for probs in separate]  # per clip
        aggregated = torch.cat([torch.softmax(part, dim=0)[1:] for part in logits])
        step.masks = [aggregated]
        truth = objects.masks[step.frame.index]
        iou_terms.append(_visible_mean(soft_iou_loss(aggregated, truth), aggregated, truth))
        parts = torch.split(truth, [n for n in objects.counts if n])
        entropy_terms += [aggregated_cross_entropy(a, b) for a, b in zip(logits, parts, strict=True)]
    losses = {"loss_prop": torch.stack(iou_terms).mean()}
    if cross_entropy_weight > 0.0:
        losses["loss_prop_pixels"] = cross_entropy_weight * torch.stack(entropy_terms).mean()
    return losses


def _visible_mean(losses: Tensor, probs: Tensor, truth: Tensor) -> Tensor:
    """Average over the objects. An object that is not visible adds the fraction of the frame that its mask covers."""
    visible = (truth.flatten(1) > 0).any(dim=1)
    claimed = probs.flatten(1).mean(dim=1)
    return torch.where(visible, losses, claimed).mean()

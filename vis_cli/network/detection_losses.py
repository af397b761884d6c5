"""The detector's training on one frame of each clip: sampled regions and their losses.

See docs/explanation/authors-implementation.md#fact-45.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torchvision.models.detection._utils import BalancedPositiveNegativeSampler
from torchvision.ops import box_iou

from vis_cli.network.detector import CROWD_COVER, Detector, SampleSizes, covered_by
from vis_cli.network.losses import box_regression_loss, mask_loss, partial_cross_entropy
from vis_cli.network.structures import FrameFeatures

POSITIVE_SHARE = 0.25
POSITIVE_IOU = 0.5


@dataclass(frozen=True, slots=True)
class FrameTargets:
    """Hold what is labelled in one frame."""

    boxes: Tensor  # (N, 4) xyxy
    labels: Tensor  # (N,) in 1..C
    masks: Tensor  # (N, H, W) uint8
    ignore: Tensor  # (M, 4) crowd regions
    labelled: Tensor  # (C+1,) bool: classes labelled exhaustively


@dataclass(frozen=True, slots=True)
class Regions:
    """Hold the sampled regions of one frame."""

    boxes: Tensor  # (R, 4)
    labels: Tensor  # (R,) in 0..C
    matched: Tensor  # (R,) index of the object, 0 for background


def detection_losses(
    detector: Detector, features: FrameFeatures, targets: list[FrameTargets], sizes: SampleSizes
) -> dict[str, Tensor]:
    """Return loss_rpn_objectness, loss_rpn_box, loss_cls, loss_box and loss_mask of B frames."""
    detector.rpn.learn_from(sizes)
    rpn_targets = [{"boxes": t.boxes, "ignore": t.ignore, "exhaustive": t.labelled.all()} for t in targets]
    proposals, rpn_losses = detector.propose(features, rpn_targets)
    with torch.no_grad():
        regions = [_sample_regions(p.detach(), t, sizes.regions) for p, t in zip(proposals, targets, strict=True)]
    logits, deltas = detector.classify(features, [r.boxes for r in regions])
    labels = torch.cat([r.labels for r in regions])
    labelled = torch.cat([t.labelled.expand(len(r.boxes), -1) for r, t in zip(regions, targets, strict=True)])
    return {
        "loss_rpn_objectness": rpn_losses["loss_objectness"],
        "loss_rpn_box": rpn_losses["loss_rpn_box_reg"],
        "loss_cls": partial_cross_entropy(logits, labels, labelled),
        "loss_box": _box_loss(detector, deltas, regions, targets),
        "loss_mask": _mask_loss(detector, features, regions, targets),
    }


def _sample_regions(proposals: Tensor, target: FrameTargets, most: int) -> Regions:
    boxes = torch.cat([target.boxes, proposals])
    if len(target.boxes):
        iou, matched = box_iou(target.boxes, boxes).max(dim=0)
        labels = torch.where(iou >= POSITIVE_IOU, target.labels[matched], torch.zeros_like(matched))
    else:
        matched = torch.zeros(len(boxes), dtype=torch.int64, device=boxes.device)
        labels = matched
    in_crowd = (labels == 0) & (covered_by(boxes, target.ignore) > CROWD_COVER)
    sampler = BalancedPositiveNegativeSampler(most, POSITIVE_SHARE)
    positive, negative = sampler([torch.where(in_crowd, -torch.ones_like(labels), labels)])
    chosen = torch.nonzero(positive[0] | negative[0])[:, 0]
    return Regions(boxes[chosen], labels[chosen], matched[chosen])


def _box_loss(detector: Detector, deltas: Tensor, regions: list[Regions], targets: list[FrameTargets]) -> Tensor:
    goals = [
        detector.box_coder.encode_single(t.boxes[r.matched], r.boxes) if len(t.boxes) else torch.zeros_like(r.boxes)
        for r, t in zip(regions, targets, strict=True)
    ]
    labels = torch.cat([r.labels for r in regions])
    positive = torch.nonzero(labels > 0)[:, 0]
    regressors = deltas.reshape(len(labels), -1, 4)  # (R, 1 or C+1, 4)
    slot = labels[positive] if detector.class_specific else torch.zeros_like(positive)
    return box_regression_loss(regressors[positive, slot], torch.cat(goals)[positive], len(labels))


def _mask_loss(
    detector: Detector, features: FrameFeatures, regions: list[Regions], targets: list[FrameTargets]
) -> Tensor:
    boxes = [r.boxes[r.labels > 0] for r in regions]
    labels = torch.cat([r.labels[r.labels > 0] for r in regions])
    masks = [t.masks[r.matched[r.labels > 0]] for r, t in zip(regions, targets, strict=True)]
    logits = detector.mask_logits(features, boxes, labels)
    return mask_loss(logits, torch.cat(masks), torch.cat(boxes))

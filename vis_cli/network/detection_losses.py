"""Training of the detector on one frame per clip: sampled regions and their losses.

See docs/explanation/authors-implementation.md#fact-45.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torchvision.models.detection._utils import BalancedPositiveNegativeSampler
from torchvision.ops import box_iou

from vis_cli.network.detector import CROWD_COVER, DOUBTFUL_IOU, Detector, SampleSizes, best_iou, covered_by
from vis_cli.network.losses import box_regression_loss, mask_loss, partial_cross_entropy
from vis_cli.network.structures import FrameFeatures, select_frames

POSITIVE_SHARE = 0.25
POSITIVE_IOU = 0.5


@dataclass(frozen=True, slots=True)
class FrameTargets:
    """Annotations of one frame."""

    boxes: Tensor  # (N, 4) xyxy
    labels: Tensor  # (N,) in 1..C
    masks: Tensor  # (N, H, W) uint8
    ignore: Tensor  # (M, 4) crowd regions
    labelled: Tensor  # (C+1,) bool: classes labelled exhaustively
    scores: Tensor | None = None  # (N,) in 0..1: weight of each object in the losses; None: all 1
    has_mask: Tensor | None = None  # (N,) bool: only these have a mask loss; None: all
    background_weight: float = 1.0  # of regions without an object
    doubtful: Tensor | None = None  # (D, 4): regions that overlap one of these boxes train nothing

    @property
    def weights(self) -> Tensor:
        """Return the weights (N,) of the objects."""
        return self.boxes.new_ones(len(self.boxes)) if self.scores is None else self.scores


@dataclass(frozen=True, slots=True)
class Regions:
    """Sampled regions of one frame."""

    boxes: Tensor  # (R, 4)
    labels: Tensor  # (R,) in 0..C
    matched: Tensor  # (R,) index of the object, 0 for background
    weights: Tensor  # (R,) of the region in the losses


def detection_losses(
    detector: Detector, features: FrameFeatures, targets: list[FrameTargets], sizes: SampleSizes
) -> dict[str, Tensor]:
    """Return loss_rpn_objectness, loss_rpn_box, loss_cls, loss_box and loss_mask of B frames."""
    detector.rpn.learn_from(sizes)
    proposals, rpn_losses = _propose(detector, features, targets, sizes.rpn_fraction)
    with torch.no_grad():
        regions = [_sample_regions(p.detach(), t, sizes.regions) for p, t in zip(proposals, targets, strict=True)]
    logits, deltas = detector.classify(features, [r.boxes for r in regions])
    labels = torch.cat([r.labels for r in regions])
    labelled = torch.cat([t.labelled.expand(len(r.boxes), -1) for r, t in zip(regions, targets, strict=True)])
    weights = torch.cat([r.weights for r in regions])
    return {
        "loss_rpn_objectness": rpn_losses["loss_objectness"],
        "loss_rpn_box": rpn_losses["loss_rpn_box_reg"],
        "loss_cls": partial_cross_entropy(logits, labels, labelled, weights),
        "loss_box": _box_loss(detector, deltas, regions, targets),
        "loss_mask": _mask_loss(detector, features, regions, targets),
    }


def _propose(
    detector: Detector, features: FrameFeatures, targets: list[FrameTargets], rpn_fraction: float
) -> tuple[list[Tensor], dict[str, Tensor]]:
    """Return the proposals of all frames. The first frames train the RPN."""
    num_taught = math.ceil(rpn_fraction * len(targets))
    rest = range(num_taught, len(targets))
    rpn_targets = [_rpn_target(target) for target in targets[:num_taught]]
    if not rest:
        return detector.propose(features, rpn_targets)
    proposals, losses = detector.propose(select_frames(features, range(num_taught)), rpn_targets)
    with torch.no_grad():
        proposals += detector.propose(select_frames(features, rest))[0]
    return proposals, losses


def _rpn_target(target: FrameTargets) -> dict[str, Tensor]:
    return {
        "boxes": target.boxes,
        "ignore": target.ignore,
        "doubtful": target.ignore[:0] if target.doubtful is None else target.doubtful,
        "exhaustive": target.labelled.all(),
        "weights": target.weights,
        "background_weight": target.weights.new_tensor(target.background_weight),
    }


def _sample_regions(proposals: Tensor, target: FrameTargets, most: int) -> Regions:
    boxes = torch.cat([target.boxes, proposals])
    if len(target.boxes):
        iou, matched = box_iou(target.boxes, boxes).max(dim=0)
        labels = torch.where(iou >= POSITIVE_IOU, target.labels[matched], torch.zeros_like(matched))
    else:
        iou = boxes.new_zeros(len(boxes))
        matched = torch.zeros(len(boxes), dtype=torch.int64, device=boxes.device)
        labels = matched
    unknown = covered_by(boxes, target.ignore) > CROWD_COVER
    if target.doubtful is not None:
        unknown |= best_iou(boxes, target.doubtful) >= DOUBTFUL_IOU
    sampler = BalancedPositiveNegativeSampler(most, POSITIVE_SHARE)
    positive, negative = sampler([torch.where(unknown & (labels == 0), -torch.ones_like(labels), labels)])
    chosen = torch.nonzero(positive[0] | negative[0])[:, 0]
    background = torch.full_like(iou, target.background_weight)
    weights = torch.where(labels > 0, target.weights[matched], background) if len(target.boxes) else background
    return Regions(boxes[chosen], labels[chosen], matched[chosen], weights[chosen])


def _box_loss(detector: Detector, deltas: Tensor, regions: list[Regions], targets: list[FrameTargets]) -> Tensor:
    goals = [
        detector.box_coder.encode_single(t.boxes[r.matched], r.boxes) if len(t.boxes) else torch.zeros_like(r.boxes)
        for r, t in zip(regions, targets, strict=True)
    ]
    labels = torch.cat([r.labels for r in regions])
    weights = torch.cat([r.weights for r in regions])
    positive = torch.nonzero(labels > 0)[:, 0]
    regressors = deltas.reshape(len(labels), -1, 4)  # (R, 1 or C+1, 4)
    slot = labels[positive] if detector.class_specific else torch.zeros_like(positive)
    return box_regression_loss(
        regressors[positive, slot], torch.cat(goals)[positive], len(labels), weights=weights[positive]
    )


def _mask_loss(
    detector: Detector, features: FrameFeatures, regions: list[Regions], targets: list[FrameTargets]
) -> Tensor:
    taught = [_with_mask(r, t) for r, t in zip(regions, targets, strict=True)]
    boxes = [r.boxes[rows] for r, rows in zip(regions, taught, strict=True)]
    labels = torch.cat([r.labels[rows] for r, rows in zip(regions, taught, strict=True)])
    masks = [t.masks[r.matched[rows]] for r, t, rows in zip(regions, targets, taught, strict=True)]
    logits = detector.mask_logits(features, boxes, labels)
    return mask_loss(logits, torch.cat(masks), torch.cat(boxes))


def _with_mask(regions: Regions, target: FrameTargets) -> Tensor:
    """Return (R,) bool: the regions of objects whose mask is known."""
    positive = regions.labels > 0
    if target.has_mask is None or len(target.has_mask) == 0:
        return positive
    return positive & target.has_mask[regions.matched]

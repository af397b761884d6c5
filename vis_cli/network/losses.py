"""Losses as free functions of tensors (Propose-Reduce, Sec. 3.1.3); used by `training.objective`.

See docs/explanation/authors-implementation.md#fact-45 and #fact-46.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.ops import roi_align

IOU_EPS = 1e-6  # in the denominator of the soft IoU
MASK_SIZE = 28
BOX_BETA = 1.0  # threshold of smooth L1 from quadratic to linear


def soft_iou_loss(probs: Tensor, masks: Tensor) -> Tensor:
    """Return the soft IoU loss of each object: 1 - sum min(p, g) / sum max(p, g).

    Large and small objects have the same weight.

    Args:
        probs: (N, H, W) from 0 to 1, after soft aggregation.
        masks: (N, H, W) from 0 to 1.

    Returns:
        (N,) from 0 to 1.
    """
    probs, masks = probs.float().flatten(1), masks.float().flatten(1)
    overlap = torch.minimum(probs, masks).sum(dim=1)
    union = torch.maximum(probs, masks).sum(dim=1)
    return 1.0 - overlap / (union + IOU_EPS)


def aggregated_cross_entropy(logits: Tensor, masks: Tensor) -> Tensor:
    """Return the mean pixel cross-entropy of one clip's objects against background.

    Args:
        logits: (N+1, H, W) aggregated logits, background first.
        masks: (N, H, W) binary and disjoint.
    """
    target = torch.cat([torch.full_like(masks[:1], 0.5, dtype=torch.float32), masks.float()]).argmax(dim=0)
    return F.cross_entropy(logits[None], target[None])


def partial_cross_entropy(logits: Tensor, labels: Tensor, labelled: Tensor, weights: Tensor | None = None) -> Tensor:
    """Return the mean classification loss of R regions in images whose annotations lack some classes.

    A background region can contain an object of an unlabelled class. Therefore the probabilities of unlabelled classes
    are added to the probability of the background.

    Args:
        logits: (R, C+1), background first.
        labels: (R,) in 0..C.
        labelled: (R, C+1) bool: the annotations of the image contain all objects of the class.
        weights: (R,) of the regions; None: all 1. The sum of the weighted losses is divided by R.
    """
    log_probs = F.log_softmax(logits.float(), dim=1)
    allowed = ~labelled
    allowed[:, 0] = True
    background = log_probs.masked_fill(~allowed, float("-inf")).logsumexp(dim=1)
    chosen = log_probs.gather(1, labels[:, None])[:, 0]
    losses = -torch.where(labels == 0, background, chosen)
    return (losses if weights is None else losses * weights).sum() / max(1, len(labels))


def box_regression_loss(
    deltas: Tensor, targets: Tensor, num_regions: int, *, beta: float = BOX_BETA, weights: Tensor | None = None
) -> Tensor:
    """Return the smooth L1 loss of P positive regions, weighted, summed, and divided by the number of all regions.

    Args:
        deltas: (P, 4).
        targets: (P, 4).
        num_regions: Number of positive and negative regions.
        beta: Threshold from the quadratic to the linear part.
        weights: (P,); None: all 1.
    """
    losses = F.smooth_l1_loss(deltas, targets, beta=beta, reduction="none").sum(dim=1)
    return (losses if weights is None else losses * weights).sum() / max(1, num_regions)


def mask_loss(logits: Tensor, masks: Tensor, boxes: Tensor) -> Tensor:
    """Return the binary cross-entropy of mask logits.

    Args:
        logits: (P, 28, 28), inside of the boxes.
        masks: (P, H, W) masks of the complete frame.
        boxes: (P, 4) xyxy.
    """
    if len(logits) == 0:
        return logits.sum()
    index = torch.arange(len(boxes), dtype=boxes.dtype, device=boxes.device)[:, None]
    rois = torch.cat([index, boxes], dim=1)
    targets = roi_align(masks[:, None].float(), rois, (MASK_SIZE, MASK_SIZE), 1.0)[:, 0]
    return F.binary_cross_entropy_with_logits(logits.float(), targets)

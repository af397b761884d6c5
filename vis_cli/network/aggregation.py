"""Soft aggregation of the objects of one key frame; used by propagation and its loss.

See docs/explanation/authors-implementation.md#fact-23.
"""

from __future__ import annotations

import torch
from torch import Tensor

PROBABILITY_EPS = 1e-7  # clamp before the logit, as released


def aggregate_logits(probs: Tensor) -> Tensor:
    """Return (N+1, H, W) float32 logits of background and N objects from their separate probabilities (N, H, W)."""
    probs = probs.float()
    background = torch.prod(1.0 - probs, dim=0, keepdim=True)
    joint = torch.cat([background, probs]).clamp(PROBABILITY_EPS, 1.0 - PROBABILITY_EPS)
    return torch.log(joint / (1.0 - joint))


def soft_aggregate(probs: Tensor) -> Tensor:
    """Return (N+1, H, W) probabilities that sum to one over background (index 0) and N objects."""
    return torch.softmax(aggregate_logits(probs), dim=0)

"""What changes from step to step: the learning rate and where the guidance masks come from; used by `step`."""

from __future__ import annotations

import math

from vis_cli.training.config import OptimConfig, TrainConfig
from vis_cli.training.objective import GuidanceShares


def learning_rate(step: int, steps: int, optim: OptimConfig) -> float:
    """Return the rate at a step: linear warm-up, then half a cosine to `final_lr_fraction`, or steps down."""
    done = min(1.0, step / max(1, steps))
    ramp = min(1.0, (step + 1) / max(1, optim.warmup_steps))
    warm = optim.warmup_start + (1.0 - optim.warmup_start) * ramp
    if optim.decay == "steps":
        share = optim.gamma ** sum(done >= milestone for milestone in optim.milestones)
    else:
        share = optim.final_lr_fraction + (1.0 - optim.final_lr_fraction) * 0.5 * (1.0 + math.cos(math.pi * done))
    return optim.learning_rate * warm * share


def guidance_shares(step: int, config: TrainConfig) -> GuidanceShares:
    """Return the shares of true and perturbed masks, changing linearly over the first half of the run."""
    done = min(1.0, 2.0 * step / max(1, config.num_steps))
    given = config.perturbed_guidance
    ends = (config.ground_truth_guidance, given if isinstance(given, tuple) else (given, given))
    true, perturbed = (start + (end - start) * done for start, end in ends)
    return GuidanceShares(true, min(perturbed, 1.0 - true))

"""Values that change with the step: the learning rate and the kinds of guidance masks. Used by `step`."""

from __future__ import annotations

import math

from vis_cli.training.config import OptimConfig, TrainConfig
from vis_cli.training.objective import GuidanceFractions


def learning_rate(step: int, steps: int, optim: OptimConfig) -> float:
    """Return the learning rate of a step: linear warm-up, and a cosine or steps down.

    Args:
        step: Step of the run, from 0.
        steps: Number of steps of the run.
        optim: Settings of the optimizer.
    """
    done = min(1.0, step / max(1, steps))
    ramp = min(1.0, (step + 1) / max(1, optim.warmup_steps))
    warm = optim.warmup_start + (1.0 - optim.warmup_start) * ramp
    if optim.decay == "steps":
        factor = optim.gamma ** sum(done >= milestone for milestone in optim.milestones)
    else:
        factor = optim.final_lr_fraction + (1.0 - optim.final_lr_fraction) * 0.5 * (1.0 + math.cos(math.pi * done))
    return optim.learning_rate * warm * factor


def guidance_fractions(step: int, config: TrainConfig) -> GuidanceFractions:
    """Return the fractions of the guidance masks, which change linearly over the first half of the run."""
    done = min(1.0, 2.0 * step / max(1, config.num_steps))
    ends = (config.ground_truth_guidance, config.perturbed_guidance)
    ground_truth, perturbed = (start + (end - start) * done for start, end in ends)
    return GuidanceFractions(ground_truth, min(perturbed, 1.0 - ground_truth))

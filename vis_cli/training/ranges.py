"""Smallest and largest value of every number in a training config.

Used by `config`. The maxima are far above real runs: they stop typing errors and damaged files before these fill the
memory or the process table.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from vis_cli.errors import VisError
from vis_cli.files.limits import MAX_STEPS

Range: TypeAlias = tuple[float, float]

MAX_CANVASES = 1000
MAX_CLIP_PIXELS = 2**26  # of one clip, all frames: 67 million are 32 frames of 1920x1080, 800 MB as float32
FRACTION: Range = (0.0, 1.0)
ABOVE_0 = math.ulp(0.0)  # the smallest positive number

SOURCE_RANGES: Mapping[str, Range] = {
    "weight": (0.0, 1e6),
    "min_score": FRACTION,
    "background_weight": (0.0, 1e6),
    "repeat_rare": FRACTION,
}
OPTIM_RANGES: Mapping[str, Range] = {
    "learning_rate": (ABOVE_0, 100.0),
    "backbone_lr_mult": (0.0, 1000.0),
    "unnormed_lr_mult": (0.0, 1000.0),
    "decoder_lr_mult": (0.0, 1000.0),
    "momentum": (0.0, 1.0),
    "weight_decay": (0.0, 100.0),
    "warmup_steps": (0, MAX_STEPS),
    "warmup_start": FRACTION,
    "final_lr_fraction": FRACTION,
    "milestones": FRACTION,
    "gamma": (0.0, 1000.0),
    "clip_norm": (ABOVE_0, 1e9),
    "ema_decay": FRACTION,
}
SCHEDULE_RANGES: Mapping[str, Range] = {"from_step": (0, MAX_STEPS), "from_epoch": (0.0, 1e6)}
TRAIN_RANGES: Mapping[str, Range] = {
    "steps": (1, MAX_STEPS),
    "epochs": (ABOVE_0, 1e6),
    "batch_size": (1, 65_536),
    "micro_batch_size": (1, 65_536),
    "canvases": (1, 4096),  # pixels of a side
    "num_frames": (1, 1000),
    "max_gap": (1, 1_000_000),
    "max_guided": (1, 1000),
    "detect_fraction": FRACTION,
    "rpn_fraction": FRACTION,
    "anchors_per_frame": (1, 100_000),
    "regions_per_frame": (1, 100_000),
    "proposals": (1, 100_000),
    "max_pastes": (0, 1000),
    "scale_jitter": (ABOVE_0, 1000.0),
    "ground_truth_guidance": FRACTION,
    "perturbed_guidance": FRACTION,
    "cross_entropy_weight": (0.0, 1e6),
    "truncate": (1, MAX_STEPS),
    "seed": (0, 2**63 - 1),  # of torch
    "num_workers": (0, 1024),  # processes
    "checkpoint_every": (1, MAX_STEPS),
    "keep_checkpoints": (1, 1_000_000),
    "report_every": (1, MAX_STEPS),
}


def require_ranges(config: object, ranges: Mapping[str, Range]) -> None:
    """Check each number of a config; a field that is a list has each of its numbers checked, and None is valid.

    Raises:
        VisError: A number is outside of its range, or is not finite.
    """
    for name, (low, high) in ranges.items():
        for value in _numbers(getattr(config, name)):
            if not low <= value <= high:
                raise VisError(f"{name} is {value}. Use a value {_described(low, high)}")


def _numbers(value: Any) -> Iterator[float]:
    if isinstance(value, tuple):
        for part in value:
            yield from _numbers(part)
    elif value is not None:
        yield value


def _described(low: float, high: float) -> str:
    return f"above 0 and up to {high:,}" if low == ABOVE_0 else f"from {low:,} to {high:,}"

"""Images that calibrate the network for int8: frames of the sample videos, which each installation contains.

The reasons are in docs/explanation/openvino.md#int8.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vis_cli.engine.frames import network_size, resize_frame
from vis_cli.network.config import ModelConfig
from vis_cli.network.openvino.quantize import NUM_IMAGES
from vis_cli.records.video import open_video

SAMPLES = ("cat.mp4", "launchpad.mp4")


def calibration_images(config: ModelConfig) -> Iterator[Tensor]:
    """Yield the images (1, 3, h, w), RGB 0..255, at the input size of a model."""
    per_video = NUM_IMAGES // len(SAMPLES)
    for name in SAMPLES:
        frames = list(open_video(_samples_dir() / name).iter_frames())
        for index in np.linspace(0, len(frames) - 1, per_video).round().astype(int).tolist():
            yield _as_input(frames[index], config)


def _as_input(frame: NDArray[np.uint8], config: ModelConfig) -> Tensor:
    height, width = frame.shape[:2]
    size = network_size((height, width), short_side=config.short_side, long_side=config.long_side)
    return torch.from_numpy(resize_frame(frame, size)).permute(2, 0, 1)[None].float()


def _samples_dir() -> Path:
    """Return the folder of the sample videos: inside the installed package, or next to it in a checkout."""
    package = Path(__file__).resolve().parents[1]
    inside = package / "sample_videos"
    return inside if inside.is_dir() else package.parent / "sample_videos"

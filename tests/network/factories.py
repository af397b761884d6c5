"""Small networks for tests: seconds to build, every part there."""

from __future__ import annotations

import torch

from vis_cli.network.config import ModelConfig
from vis_cli.network.detector import SampleSizes
from vis_cli.network.seq_mask_rcnn import SeqMaskRCNN
from vis_cli.records.types import Category

SIZES = SampleSizes(anchors=128, regions=64, proposals=(1000, 400))  # that a detector may learn from


def make_config(**changes: object) -> ModelConfig:
    """Return a narrow `lite` with three categories."""
    fields: dict[str, object] = {
        "name": "tiny",
        "backbone": "efficientnet_lite2",
        "categories": (Category(1, "cat"), Category(2, "dog"), Category(3, "object")),
        "short_side": 64,
        "long_side": 96,
        "pixel_mean": (127.5, 127.5, 127.5),
        "pixel_std": (127.5, 127.5, 127.5),
        "fpn_channels": 16,
        "box_channels": 32,
        "mask_convs": 1,
        "class_specific": False,
        "encoder_channels": 16,
        "key_channels": 8,
        "value_channels": 8,
        "decoder_channels": 8,
    }
    return ModelConfig(**(fields | changes))  # type: ignore[arg-type]


def make_model(**changes: object) -> SeqMaskRCNN:
    """Return a seeded network in eval mode."""
    torch.manual_seed(0)
    return SeqMaskRCNN(make_config(**changes)).eval()

"""Small networks for tests: seconds to build, every part there."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vis_cli.network.backbones import LiteBackbone
from vis_cli.network.config import ModelConfig
from vis_cli.network.detector import SampleSizes
from vis_cli.network.seq_mask_rcnn import SeqMaskRCNN
from vis_cli.records.types import Category

SIZES = SampleSizes(anchors=128, regions=64, proposals=(1000, 400))  # that a detector may learn from


class NarrowBody(nn.Module):
    """Five convolutions under the names of the layers of EfficientNet-Lite2."""

    def __init__(self) -> None:
        super().__init__()
        self.conv_stem = nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(8)
        self.blocks = nn.ModuleList(nn.Conv2d(8, 8, 3, stride=2, padding=1) for _ in range(4))

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return C2..C5 at strides 4, 8, 16, 32."""
        features = [self.bn1(self.conv_stem(images)).relu()]
        for block in self.blocks:
            features.append(block(features[-1]).relu())
        return features[1:]


class NarrowBackbone(LiteBackbone):
    """Backbone of 2,600 parameters."""

    channels = (8, 8, 8, 8)

    def __init__(self) -> None:
        nn.Module.__init__(self)
        self.body = NarrowBody()


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

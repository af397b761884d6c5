"""Backbones that return C2..C5; built by `seq_mask_rcnn` from the model config's name."""

from __future__ import annotations

from collections.abc import Callable

import timm
import torch
from torch import Tensor, nn
from torchvision.models import resnet
from torchvision.models._utils import IntermediateLayerGetter


class LiteBackbone(nn.Module):
    """EfficientNet-Lite2 without its classifier."""

    channels = (24, 48, 120, 352)
    first_stage = ("body.conv_stem.", "body.bn1.", "body.blocks.0.", "body.blocks.1.")

    def __init__(self) -> None:
        super().__init__()
        self.body = timm.create_model("tf_efficientnet_lite2", features_only=True, out_indices=(1, 2, 3, 4))

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return C2..C5 at strides 4, 8, 16, 32 of (B, 3, h, w)."""
        features: list[Tensor] = self.body(images)
        return features


class ResNetBackbone(nn.Module):
    """A torchvision ResNet or ResNeXt, stride on the 3x3 convolution."""

    channels = (256, 512, 1024, 2048)
    first_stage = ("body.conv1.", "body.bn1.", "body.layer1.")

    def __init__(self, body: resnet.ResNet) -> None:
        super().__init__()
        layers = {f"layer{i}": f"c{i + 1}" for i in range(1, 5)}
        self.body = IntermediateLayerGetter(body, layers)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return C2..C5 at strides 4, 8, 16, 32 of (B, 3, h, w)."""
        return list(self.body(images).values())


BACKBONES: dict[str, Callable[[], LiteBackbone | ResNetBackbone]] = {
    "efficientnet_lite2": LiteBackbone,
    "r50": lambda: ResNetBackbone(resnet.resnet50()),
    "r101": lambda: ResNetBackbone(resnet.resnet101()),
    "x101": lambda: ResNetBackbone(resnet.resnext101_64x4d()),
}


def build_backbone(name: str) -> LiteBackbone | ResNetBackbone:
    """Build the named backbone with random weights.

    Raises:
        ValueError: no backbone has that name.
    """
    if name not in BACKBONES:
        raise ValueError(f"no backbone is named {name!r}")
    return BACKBONES[name]()


def freeze_norms(module: nn.Module) -> None:
    """Let every batch norm use its running statistics, in training too (norm_eval).

    See docs/explanation/authors-implementation.md#fact-4.
    """
    for child in module.modules():
        if isinstance(child, torch.nn.modules.batchnorm._BatchNorm):
            child.eval()


def freeze_first_stage(backbone: LiteBackbone | ResNetBackbone) -> None:
    """Freeze the pretrained layers up to C2 (frozen_stages = 1).

    See docs/explanation/authors-implementation.md#fact-4.
    """
    for name, parameter in backbone.named_parameters():
        parameter.requires_grad_(not name.startswith(backbone.first_stage))

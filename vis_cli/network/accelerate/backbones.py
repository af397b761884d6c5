"""Backbones for inference: each convolution includes its norm, activation and shortcut. Used by `accelerate`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias, cast

from timm.models._efficientnet_blocks import DepthwiseSeparableConv, InvertedResidual
from torch import Tensor, nn
from torchvision.models.resnet import Bottleneck

from vis_cli.network.accelerate.fused_conv import Activation, FusedConv

Names: TypeAlias = tuple[tuple[str, str], ...]

# Names of the convolutions of each block and of their norms, in order.
BOTTLENECK: Names = (("conv1", "bn1"), ("conv2", "bn2"), ("conv3", "bn3"))
MOBILE: dict[type[nn.Module], Names] = {
    DepthwiseSeparableConv: (("conv_dw", "bn1"), ("conv_pw", "bn2")),
    InvertedResidual: (("conv_pw", "bn1"), ("conv_dw", "bn2"), ("conv_pwl", "bn3")),
}


class FusedChain(nn.Module):
    """A residual block whose convolutions follow each other, and whose last one adds the shortcut."""

    def __init__(self, convs: list[FusedConv], shortcut: nn.Module | None) -> None:
        """Prepare the block.

        Args:
            convs: In order.
            shortcut: Computes what the last convolution adds from the input of the block. None: nothing is added.
        """
        super().__init__()
        self.convs, self.shortcut = nn.ModuleList(convs), shortcut

    def forward(self, x: Tensor) -> Tensor:
        """Return the output of the block."""
        residual = None if self.shortcut is None else self.shortcut(x)
        for conv in self.convs[:-1]:
            x = conv(x)
        out: Tensor = self.convs[-1](x, residual)
        return out


def fuse_norms(module: nn.Module) -> None:
    """Replace each known residual block in a module, and each convolution that a batch norm follows."""
    previous: tuple[str, nn.Conv2d] | None = None
    for name, child in list(module.named_children()):
        if (block := _fused_block(child)) is not None:
            setattr(module, name, block)
        elif previous is not None and isinstance(child, nn.BatchNorm2d) and (activation := _activation(child)):
            setattr(module, previous[0], FusedConv(previous[1], child, activation))
            setattr(module, name, nn.Identity())
        else:
            fuse_norms(child)
        previous = (name, child) if isinstance(child, nn.Conv2d) else None


def _fused_block(block: nn.Module) -> FusedChain | None:
    """Return a block that computes the same, None for an unknown block."""
    if type(block) is Bottleneck:
        shortcut = nn.Sequential() if block.downsample is None else cast("nn.Module", block.downsample)
        fuse_norms(shortcut)
        return FusedChain([FusedConv(conv, norm, "relu") for conv, norm in _pairs(block, BOTTLENECK)], shortcut)
    if type(block) not in MOBILE or _has_other_layers(block):
        return None
    convs = []
    for conv, norm in _pairs(block, MOBILE[type(block)]):
        if (activation := _activation(norm)) is None:
            return None
        convs.append(FusedConv(conv, norm, activation))
    return FusedChain(convs, nn.Sequential() if block.has_skip else None)


def _pairs(block: nn.Module, names: Names) -> Iterator[tuple[nn.Conv2d, nn.BatchNorm2d]]:
    """Yield the convolutions of a block and their norms."""
    for conv, norm in names:
        yield cast("nn.Conv2d", getattr(block, conv)), cast("nn.BatchNorm2d", getattr(block, norm))


def _has_other_layers(block: nn.Module) -> bool:
    """Return whether a block of EfficientNet has more than convolutions and norms."""
    between = [getattr(block, name, nn.Identity()) for name in ("aa", "se")]
    return getattr(block, "conv_s2d", None) is not None or not all(isinstance(layer, nn.Identity) for layer in between)


def _activation(norm: nn.BatchNorm2d) -> Activation | None:
    """Return the activation that is a part of a batch norm of timm. None: a convolution cannot include it."""
    activation = getattr(norm, "act", None)
    if activation is None or isinstance(activation, nn.Identity):
        return "none"
    if isinstance(activation, nn.ReLU6):
        return "hardtanh"
    return "relu" if isinstance(activation, nn.ReLU) else None

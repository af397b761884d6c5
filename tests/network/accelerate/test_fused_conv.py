"""A fused convolution computes what a convolution, a norm, a sum and an activation compute one after the other."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from timm.layers import BatchNormAct2d, Conv2dSame
from torch import Tensor, nn
from torchvision.models.resnet import resnet18, resnet50

from vis_cli.network.accelerate import fused_conv
from vis_cli.network.accelerate.backbones import FusedChain, fuse_norms
from vis_cli.network.accelerate.fused_conv import Activation, FusedConv
from vis_cli.network.backbones import LiteBackbone


def with_statistics(module: nn.Module) -> nn.Module:
    """Give each batch norm different statistics for each channel."""
    generator = torch.Generator().manual_seed(5)
    for norm in module.modules():
        if isinstance(norm, nn.BatchNorm2d):
            for values, low, high in (
                (norm.running_var, 0.5, 2.0),
                (norm.running_mean, -1.0, 1.0),
                (norm.weight.data, 0.5, 1.5),
                (norm.bias.data, -1.0, 1.0),
            ):
                assert values is not None
                values.copy_(torch.rand(values.shape, generator=generator) * (high - low) + low)
    return module.eval().requires_grad_(False)


def make_input(*size: int) -> Tensor:
    values = torch.randn(size, generator=torch.Generator().manual_seed(7))
    return values.contiguous(memory_format=torch.channels_last)


CONVS = {
    "3x3": nn.Conv2d(8, 12, 3, 1, 1, bias=False),
    "1x1 with a bias": nn.Conv2d(8, 12, 1),
    "strided": nn.Conv2d(8, 12, 3, 2, 1, bias=False),
    "same": Conv2dSame(8, 12, 5, 2, 0, bias=False),
    "depthwise": nn.Conv2d(8, 8, 3, 1, 1, groups=8, bias=False),
    "dilated": nn.Conv2d(8, 12, 3, 1, 2, dilation=2),
}
ACTIVATIONS = {"none": lambda x: x, "relu": F.relu, "hardtanh": F.relu6}


@torch.inference_mode()
@pytest.mark.parametrize("has_operator", [True, False])
@pytest.mark.parametrize("has_residual", [True, False])
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("name", CONVS)
def test_outputs(
    monkeypatch: pytest.MonkeyPatch, name: str, activation: Activation, has_residual: bool, has_operator: bool
) -> None:
    if not has_operator:
        monkeypatch.setattr(fused_conv, "_operator_type", lambda x: None)
    conv, x = CONVS[name].eval(), make_input(2, 8, 17, 20)
    norm = with_statistics(nn.BatchNorm2d(conv.out_channels))
    expected = 4 * norm(conv(x))  # some values exceed 6
    norm.weight.mul_(4)
    norm.bias.mul_(4)
    residual = make_input(*expected.shape) if has_residual else None
    expected = ACTIVATIONS[activation](expected if residual is None else expected + residual)
    actual = FusedConv(conv, norm, activation)(x, residual)
    torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-4)
    assert activation != "hardtanh" or float(actual.max()) == 6.0


@torch.inference_mode()
@pytest.mark.parametrize("backbone", [LiteBackbone().body, resnet50(), resnet18()], ids=["lite", "r50", "r18"])
def test_no_norm_remains_in_a_backbone_and_its_outputs_are_the_same(backbone: nn.Module) -> None:
    with_statistics(backbone)
    x = make_input(1, 3, 64, 96)
    expected = backbone(x)
    fuse_norms(backbone)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in backbone.modules())
    for before, after in zip(_listed(expected), _listed(backbone(x)), strict=True):
        torch.testing.assert_close(after, before, rtol=0, atol=1e-5 * float(before.abs().max()))


@torch.inference_mode()
def test_a_block_with_other_layers_keeps_them() -> None:
    block = LiteBackbone().body.blocks[1][0]
    block.se = nn.Sigmoid()
    whole = with_statistics(nn.Sequential(block))
    expected = whole(make_input(1, 16, 32, 32))
    fuse_norms(whole)
    assert not isinstance(whole[0], FusedChain)
    torch.testing.assert_close(whole(make_input(1, 16, 32, 32)), expected, rtol=1e-4, atol=1e-4)


def test_a_norm_with_an_activation_that_no_convolution_includes_stays() -> None:
    norm = BatchNormAct2d(12, act_layer=nn.SiLU)
    whole = nn.Sequential(nn.Conv2d(8, 12, 3), norm)
    fuse_norms(whole)
    assert whole[1] is norm


def test_a_convolution_with_another_padding_is_refused() -> None:
    with pytest.raises(ValueError, match="zero padding"):
        FusedConv(nn.Conv2d(8, 12, 3, padding=1, padding_mode="reflect"), None)


def _listed(outputs: Tensor | list[Tensor]) -> list[Tensor]:
    return [outputs] if isinstance(outputs, Tensor) else outputs

"""A convolution for inference that also does the steps after it: norm, residual and activation. Used by `accelerate`.

The norm becomes a part of the weights. On a CPU, oneDNN adds the residual and applies the activation before it writes
an output, so that the output is written once instead of up to four times.
"""

from __future__ import annotations

from typing import Literal, cast

import torch
import torch.nn.functional as F
from timm.layers.conv2d_same import Conv2dSame
from timm.layers.padding import pad_same
from torch import Tensor, nn

Activation = Literal["none", "relu", "hardtanh"]

SIX = 6.0  # the upper limit of ReLU6
SCALARS: dict[Activation, list[float]] = {"none": [], "relu": [], "hardtanh": [0.0, SIX]}


class FusedConv(nn.Module):
    """A convolution with the batch norm, the residual and the activation that follow it."""

    weight: Tensor
    bias: Tensor | None

    def __init__(self, conv: nn.Conv2d, norm: nn.BatchNorm2d | None, activation: Activation = "none") -> None:
        """Take over the weights of a convolution and of the batch norm that follows it.

        Args:
            conv: In evaluation mode.
            norm: It uses its running statistics.
            activation: `hardtanh` is ReLU6.
        """
        super().__init__()
        if isinstance(conv.padding, str) or conv.padding_mode != "zeros":
            raise ValueError(f"no convolution with zero padding of a known size: {conv}")
        weight, bias = fold_norm(conv, norm)
        self.register_buffer("weight", weight.contiguous(memory_format=torch.channels_last), persistent=False)
        self.register_buffer("bias", bias, persistent=False)
        self.stride, self.dilation, self.groups = list(conv.stride), list(conv.dilation), conv.groups
        self.is_same = isinstance(conv, Conv2dSame)  # the padding depends on the size of the input
        self.padding = [0, 0] if self.is_same else list(conv.padding)
        self.activation: Activation = activation

    def forward(self, x: Tensor, residual: Tensor | None = None) -> Tensor:
        """Return the activation of the convolution (B, out, h', w') of x (B, in, h, w), plus a residual of its size."""
        if self.is_same:
            x = pad_same(x, list(self.weight.shape[-2:]), self.stride, self.dilation)
        where = (self.padding, self.stride, self.dilation, self.groups)
        return fused_conv(x, self.weight, self.bias, where, activation=self.activation, residual=residual)


def fused_conv(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    where: tuple[list[int], list[int], list[int], int],
    *,
    activation: Activation = "none",
    residual: Tensor | None = None,
) -> Tensor:
    """Convolve, add a residual and apply an activation.

    Args:
        x: (B, in, h, w).
        weight: (out, in / groups, kh, kw).
        bias: (out,).
        where: Padding, stride, dilation and number of groups.
        activation: `hardtanh` is ReLU6.
        residual: (B, out, h', w').

    Returns:
        (B, out, h', w').
    """
    kind = _operator_type(x)
    if kind is None:
        padding, stride, dilation, groups = where
        out = F.conv2d(x, weight, bias, stride, padding, dilation, groups)
        return activate(out if residual is None else out + residual, activation)
    operator = torch.ops.mkldnn._convolution_pointwise
    arguments = (weight.to(kind), None if bias is None else bias.to(kind), *where)
    if residual is None:
        return cast("Tensor", operator(x.to(kind), *arguments, activation, SCALARS[activation], ""))
    added = residual.to(kind).contiguous(memory_format=torch.channels_last)
    unary = "relu" if activation == "relu" else None  # the only one that oneDNN applies after a sum
    out = operator.binary(x.to(kind), added, *arguments, "add", 1.0, unary, [], "")
    return out if unary is not None else activate(out, activation)


def activate(x: Tensor, activation: Activation) -> Tensor:
    """Apply an activation in place."""
    if activation == "none":
        return x
    return x.clamp_(min=0.0) if activation == "relu" else x.clamp_(0.0, SIX)


def fold_norm(conv: nn.Conv2d, norm: nn.BatchNorm2d | None) -> tuple[Tensor, Tensor | None]:
    """Return the weight and the bias of a convolution that includes the batch norm after it.

    A batch norm with fixed statistics multiplies and shifts each channel, as the weights of a convolution do.
    """
    bias = None if conv.bias is None else conv.bias.detach()
    if norm is None:
        return conv.weight.detach(), bias
    if norm.running_var is None or norm.running_mean is None:
        raise ValueError(f"a batch norm without running statistics: {norm}")
    scale = torch.rsqrt(norm.running_var.double() + norm.eps)
    shift = -norm.running_mean.double() * scale
    if norm.affine:
        scale, shift = scale * norm.weight.detach(), shift * norm.weight.detach() + norm.bias.detach()
    weight = conv.weight.detach().double() * scale[:, None, None, None]
    folded = shift if bias is None else shift + bias * scale
    return weight.to(conv.weight.dtype), folded.to(conv.weight.dtype)


def _operator_type(x: Tensor) -> torch.dtype | None:
    """Return the type in which the operator of oneDNN computes, None if it cannot replace `conv2d`."""
    if x.device.type != "cpu" or not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return None
    if not hasattr(torch.ops.mkldnn, "_convolution_pointwise"):
        return None
    kind = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else x.dtype
    if kind == torch.bfloat16 and torch.ops.mkldnn._is_mkldnn_bf16_supported():
        return kind
    return kind if kind == torch.float32 else None

"""The Seq-Prop head for inference: work that objects share is done once, and wide convolutions use Winograd.

Used by `accelerate`. Its outputs equal the outputs of `SeqPropHead` except for rounding.
"""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vis_cli.network.accelerate.readout import attend
from vis_cli.network.accelerate.winograd import WinogradConv3x3
from vis_cli.network.memory import read_memory
from vis_cli.network.seq_prop_head import ResBlock, SeqPropHead, resize_masks

DECODED_BUDGET_BYTES = 8 * 2**20  # of the features at stride 4 of the objects that a CPU decodes together


class AcceleratedSeqPropHead(nn.Module):
    """The methods of `SeqPropHead` for inference."""

    def __init__(self, head: SeqPropHead) -> None:
        """Take over the layers of a head, whose residual blocks are replaced."""
        super().__init__()
        replace_blocks(head)
        for refine in (head.refine3, head.refine2):
            refine.conv_skip = WinogradConv3x3(refine.conv_skip)  # type: ignore[assignment]  # the same call
        self.plain = head
        self.conv_merge = WinogradConv3x3(head.conv_merge)

    def memorize(self, p2: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
        """Encode N masks with their frame, as `SeqPropHead.memorize`."""
        encoder, small = self.plain.memory_encoder, resize_masks(masks, p2)
        x = p2 + self.plain.mask_conv(small)
        height, width = p2.shape[-2:]
        if len(p2) != 1 or len(masks) < 2 or height % 2 or width % 2:
            key, value = encoder(x)
        else:
            key, value = encoder.project(encoder.block1(x, self._shared_shortcut(p2, small, x)))
        return key, value

    def encode_query(self, p2: Tensor) -> tuple[Tensor, Tensor]:
        """Return key and value of a frame without masks, as `SeqPropHead.encode_query`."""
        return self.plain.encode_query(p2)

    def encode_skips(self, c3: Tensor, c2: Tensor) -> tuple[Tensor, Tensor]:
        """Return the object-independent features of the decoder, as `SeqPropHead.encode_skips`."""
        return self.plain.encode_skips(c3, c2)

    def read(self, query_key: Tensor, mem_key: Tensor, mem_value: Tensor) -> Tensor:
        """Return the readout of a memory, as `SeqPropHead.read`."""
        return read_memory(query_key.expand(len(mem_key), -1, -1, -1), mem_key, mem_value, attend)

    def decode(self, query_value: Tensor, skips: tuple[Tensor, Tensor], readout: Tensor) -> Tensor:
        """Return the foreground probability of each object, as `SeqPropHead.decode`."""
        coarse = self.plain.res_merge(self.conv_merge.forward_shared(readout, query_value))
        at_once = _decoded_at_once(skips[1], len(readout))
        return torch.cat([self._decode(skips, some) for some in coarse.split(at_once)])

    def _shared_shortcut(self, p2: Tensor, masks: Tensor, x: Tensor) -> Tensor:
        """Return the shortcut of the memory encoder's first block, and compute the part of P2 once for all objects.

        The convolutions of mask and shortcut are linear: the shortcut of P2 + mask_conv(mask) is the shortcut of P2
        plus one 9x9 convolution of the mask. The first row and column differ, because the shortcut pads x and not the
        mask. They are computed from x.
        """
        conv = self.plain.memory_encoder.block1.downsample
        (weight, bias), (mask_weight, mask_bias) = _weights(conv), _weights(self.plain.mask_conv)
        both = F.conv_transpose2d(weight, mask_weight)  # (F, 1, 9, 9)
        shared = F.conv2d(p2, weight, bias + weight.sum(dim=(2, 3)) @ mask_bias, 2, 1)
        shortcut = shared + F.conv2d(masks, both, None, 2, 4)
        shortcut[:, :, :1] = conv(x[:, :, :2])
        shortcut[:, :, :, :1] = conv(x[:, :, :, :2])
        return shortcut

    def _decode(self, skips: tuple[Tensor, Tensor], coarse: Tensor) -> Tensor:
        """Return the foreground probability (N, h, w) from the merged readout at stride 16, (N, D, h/16, w/16)."""
        decoded = self.plain.refine2(skips[1], self.plain.refine3(skips[0], coarse))
        logit = F.interpolate(self._foreground_logit(decoded), scale_factor=4, mode="bilinear", align_corners=False)
        return torch.sigmoid(logit)[:, 0]

    def _foreground_logit(self, decoded: Tensor) -> Tensor:
        """Return (N, 1, h, w) float32: the softmax of two classes is the sigmoid of their difference.

        A convolution with one output is faster as a product with its nine taps, which are then added where they belong.
        """
        weight, bias = (part[1] - part[0] for part in _weights(self.plain.predict))
        taps = F.relu(decoded).permute(0, 2, 3, 1) @ weight.flip(1, 2).flatten(1)  # (N, h, w, 9)
        by_tap = taps.float().flatten(1, 2).transpose(1, 2)  # (N, 9, h*w)
        logit: Tensor = F.fold(by_tap, decoded.shape[-2:], 3, padding=1) + bias
        return logit


class FusedResBlock(nn.Module):
    """A `ResBlock` whose convolutions apply ReLUs and add the shortcut. A known shortcut can be passed."""

    def __init__(self, block: ResBlock) -> None:
        super().__init__()
        self.conv1, self.conv2 = WinogradConv3x3(block.conv1), WinogradConv3x3(block.conv2)
        self.downsample = block.downsample

    def forward(self, x: Tensor, shortcut: Tensor | None = None) -> Tensor:
        """Return (B, out, h/stride, w/stride) from (B, in, h, w)."""
        if shortcut is None:
            shortcut = self.downsample(x)
        inner = self.conv1(x, rectified=True, activation="relu")
        out: Tensor = self.conv2(inner, residual=shortcut)
        return out


def replace_blocks(module: nn.Module) -> None:
    """Replace each residual block inside a module."""
    for name, child in module.named_children():
        if isinstance(child, ResBlock):
            setattr(module, name, FusedResBlock(child))
        else:
            replace_blocks(child)


def _weights(conv: nn.Module) -> tuple[Tensor, Tensor]:
    """Return the weight and the bias of a convolution that has both."""
    return cast("Tensor", conv.weight), cast("Tensor", conv.bias)


def _decoded_at_once(skip2: Tensor, num: int) -> int:
    """Return the number of objects to decode together; on a CPU, more objects only need more memory."""
    if skip2.device.type != "cpu" or len(skip2) > 1:
        return max(1, num)
    return max(1, DECODED_BUDGET_BYTES // (skip2.numel() * skip2.element_size()))

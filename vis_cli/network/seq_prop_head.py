"""The Seq-Prop head: memorize a frame with its masks, query another, decode its masks (Propose-Reduce, Sec. 3.1.3).

Used by `seq_mask_rcnn`; widths come from the model config, so the paper's head and the narrow one are this code.
See docs/explanation/authors-implementation.md#sequence-propagation-head.
"""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vis_cli.network.memory import read_memory
from vis_cli.network.winograd import Conv3x3

DECODED_BUDGET_BYTES = 32 * 2**20  # of a feature at stride 4 of all objects that a CPU decodes together


class ResBlock(nn.Module):
    """Two pre-activated 3x3 convolutions beside a shortcut; no ReLU at the end."""

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = Conv3x3(in_channels, out_channels, stride)
        self.conv2 = Conv3x3(out_channels, out_channels)
        changes_shape = stride != 1 or in_channels != out_channels
        self.downsample = Conv3x3(in_channels, out_channels, stride) if changes_shape else nn.Identity()

    def forward(self, x: Tensor, shortcut: Tensor | None = None) -> Tensor:
        """Return (B, out, h/stride, w/stride) from (B, in, h, w), given what the shortcut makes of x if it is known."""
        residual: Tensor = self.conv2(self.conv1(x, rectified=True), rectified=True)
        return (self.downsample(x) if shortcut is None else shortcut) + residual


class Encoder(nn.Module):
    """Two strided residual blocks from P2 to stride 16, then a key and a value."""

    def __init__(self, in_channels: int, hidden: int, key_channels: int, value_channels: int) -> None:
        super().__init__()
        self.block1 = ResBlock(in_channels, in_channels, 2)
        self.block2 = ResBlock(in_channels, hidden, 2)
        self.key = nn.Conv2d(hidden, key_channels, 1)
        self.value = nn.Conv2d(hidden, value_channels, 1)

    def forward(self, x: Tensor, shortcut: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return key (B, CK, h/4, w/4) and value (B, CV, h/4, w/4) from (B, F, h, w); `shortcut` is block1's."""
        x = self.block2(self.block1(x, shortcut))
        return self.key(x), self.value(x)


class Refine(nn.Module):
    """Join a skip feature of twice the resolution to what is decoded so far."""

    def __init__(self, skip_channels: int, channels: int) -> None:
        super().__init__()
        self.conv_skip = Conv3x3(skip_channels, channels)
        self.res_skip = ResBlock(channels, channels)
        self.res_merge = ResBlock(channels, channels)

    def encode_skip(self, feature: Tensor) -> Tensor:
        """Return the object-independent part (B, D, h, w) of a backbone feature."""
        skip: Tensor = self.res_skip(self.conv_skip(feature))
        return skip

    def forward(self, skip: Tensor, coarse: Tensor) -> Tensor:
        """Return (N, D, h, w) from skip (1 or N, D, h, w) and coarse (N, D, h/2, w/2)."""
        upsampled = F.interpolate(coarse, scale_factor=2, mode="bilinear", align_corners=False)
        merged: Tensor = self.res_merge(skip + upsampled)
        return merged


class SeqPropHead(nn.Module):
    """Propagate masks from memorised frames to a query frame."""

    def __init__(
        self,
        *,
        fpn_channels: int,
        c2_channels: int,
        c3_channels: int,
        encoder_channels: int,
        key_channels: int,
        value_channels: int,
        decoder_channels: int,
    ) -> None:
        super().__init__()
        self.mask_conv = nn.Conv2d(1, fpn_channels, 7, 1, 3)
        self.memory_encoder = Encoder(fpn_channels, encoder_channels, key_channels, value_channels)
        self.query_encoder = Encoder(fpn_channels, encoder_channels, key_channels, value_channels)
        self.conv_merge = Conv3x3(2 * value_channels, decoder_channels)
        self.res_merge = ResBlock(decoder_channels, decoder_channels)
        self.refine3 = Refine(c3_channels, decoder_channels)
        self.refine2 = Refine(c2_channels, decoder_channels)
        self.predict = Conv3x3(decoder_channels, 2)

    def memorize(self, p2: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
        """Encode N masks with their frame.

        Args:
            p2: (1 or N, F, h/4, w/4).
            masks: (N, H, W) in 0..1; smaller than four times P2 they are zero-padded right and bottom.

        Returns:
            Key (N, CK, h/16, w/16) and value (N, CV, h/16, w/16).

        Raises:
            ValueError: the masks are larger than the frame that P2 covers.
        """
        height, width = p2.shape[-2:]
        pad_h, pad_w = 4 * height - masks.shape[-2], 4 * width - masks.shape[-1]
        if pad_h < 0 or pad_w < 0:
            raise ValueError(f"masks {tuple(masks.shape[-2:])} exceed the frame {(4 * height, 4 * width)}")
        padded = F.pad(masks.float(), (0, pad_w, 0, pad_h)).unsqueeze(1)  # (N, 1, H, W)
        small = F.interpolate(padded, size=(height, width), mode="bilinear", align_corners=False).to(p2.dtype)
        x = p2 + self.mask_conv(small)
        shares = len(p2) == 1 < len(masks) and height % 2 == width % 2 == 0 and not torch.is_grad_enabled()
        key, value = self.memory_encoder(x, self._shared_shortcut(p2, small, x) if shares else None)
        return key, value

    def _shared_shortcut(self, p2: Tensor, masks: Tensor, x: Tensor) -> Tensor:
        """Return the shortcut of the memory encoder's first block, computing what all objects share of it once.

        Mask and shortcut convolution are linear: the shortcut of P2 + mask_conv(mask) is that of P2 plus one 9x9
        convolution of the mask. Not so in the first row and column, where the shortcut pads x and not the mask; they
        are taken from x.
        """
        conv = cast("Conv3x3", self.memory_encoder.block1.downsample)
        both = F.conv_transpose2d(conv.weight, self.mask_conv.weight)  # (F, 1, 9, 9)
        bias = conv.bias + conv.weight.sum(dim=(2, 3)) @ cast("Tensor", self.mask_conv.bias)
        shortcut = F.conv2d(p2, conv.weight, bias, 2, 1) + F.conv2d(masks, both, None, 2, 4)
        shortcut[:, :, :1] = conv(x[:, :, :2])
        shortcut[:, :, :, :1] = conv(x[:, :, :, :2])
        return shortcut

    def encode_query(self, p2: Tensor) -> tuple[Tensor, Tensor]:
        """Return key (B, CK, h/16, w/16) and value (B, CV, h/16, w/16) of a frame without masks."""
        key, value = self.query_encoder(p2)
        return key, value

    def encode_skips(self, c3: Tensor, c2: Tensor) -> tuple[Tensor, Tensor]:
        """Return the decoder's object-independent features at strides 8 and 4."""
        return self.refine3.encode_skip(c3), self.refine2.encode_skip(c2)

    def segment(
        self, query: tuple[Tensor, Tensor], skips: tuple[Tensor, Tensor], mem_key: Tensor, mem_value: Tensor
    ) -> Tensor:
        """Read the memory and decode.

        Args:
            query: key and value, (1 or N, C, h/16, w/16).
            skips: features at strides 8 and 4, (1 or N, D, ...).
            mem_key: (N, CK, T, h/16, w/16).
            mem_value: (N, CV, T, h/16, w/16).

        Returns:
            Foreground probability of each object alone, (N, h, w) float32.
        """
        num = mem_key.shape[0]
        readout = read_memory(query[0].expand(num, -1, -1, -1), mem_key, mem_value)
        coarse = self.res_merge(self.conv_merge.forward_shared(readout, query[1]))
        at_once = _decoded_at_once(skips[1], num)
        return torch.cat([self._decode(skips, some) for some in coarse.split(at_once)])

    def _decode(self, skips: tuple[Tensor, Tensor], coarse: Tensor) -> Tensor:
        """Return the foreground probability (N, h, w) from what was read at stride 16, (N, D, h/16, w/16)."""
        decoded = self.refine2(skips[1], self.refine3(skips[0], coarse))
        logit = F.interpolate(self._foreground_logit(decoded), scale_factor=4, mode="bilinear", align_corners=False)
        return torch.sigmoid(logit)[:, 0]

    def _foreground_logit(self, decoded: Tensor) -> Tensor:
        """Return (N, 1, h, w) float32: the softmax of two classes is the sigmoid of their difference.

        A convolution with one output is quicker as a product with its nine taps, each then added where it belongs.
        """
        weight, bias = (part[1] - part[0] for part in (self.predict.weight, self.predict.bias))
        taps = F.relu(decoded).permute(0, 2, 3, 1) @ weight.flip(1, 2).flatten(1)  # (N, h, w, 9)
        by_tap = taps.float().flatten(1, 2).transpose(1, 2)  # (N, 9, h*w)
        logit: Tensor = F.fold(by_tap, decoded.shape[-2:], 3, padding=1) + bias
        return logit


def _decoded_at_once(skip2: Tensor, num: int) -> int:
    """Count the objects to decode together; more than that would not be quicker on a CPU, but hold more memory."""
    if skip2.device.type != "cpu" or torch.is_grad_enabled() or len(skip2) > 1:
        return max(1, num)
    return max(1, DECODED_BUDGET_BYTES // (skip2.numel() * skip2.element_size()))

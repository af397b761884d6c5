"""The Seq-Prop head: memorize a frame with its masks, query another, decode its masks (Propose-Reduce, Sec. 3.1.3).

Used by `seq_mask_rcnn`; widths come from the model config, so the paper's head and the narrow one are this code.
See docs/explanation/authors-implementation.md#sequence-propagation-head.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vis_cli.network.memory import read_memory


class ResBlock(nn.Module):
    """Two pre-activated 3x3 convolutions with a shortcut; no ReLU at the end."""

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = conv3x3(in_channels, out_channels, stride)
        self.conv2 = conv3x3(out_channels, out_channels)
        changes_shape = stride != 1 or in_channels != out_channels
        self.downsample = conv3x3(in_channels, out_channels, stride) if changes_shape else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, out, h/stride, w/stride) from (B, in, h, w)."""
        residual: Tensor = self.conv2(F.relu(self.conv1(F.relu(x))))
        shortcut: Tensor = self.downsample(x)
        return shortcut + residual


class Encoder(nn.Module):
    """Two strided residual blocks from P2 to stride 16, then a key and a value."""

    def __init__(self, in_channels: int, hidden: int, key_channels: int, value_channels: int) -> None:
        super().__init__()
        self.block1 = ResBlock(in_channels, in_channels, 2)
        self.block2 = ResBlock(in_channels, hidden, 2)
        self.key = nn.Conv2d(hidden, key_channels, 1)
        self.value = nn.Conv2d(hidden, value_channels, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return key (B, CK, h/4, w/4) and value (B, CV, h/4, w/4) from (B, F, h, w)."""
        return self.project(self.block1(x))

    def project(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return key and value from the output of the first block, (B, F, h/2, w/2)."""
        x = self.block2(x)
        return self.key(x), self.value(x)


class Refine(nn.Module):
    """Add a skip feature of twice the resolution to the decoded feature."""

    def __init__(self, skip_channels: int, channels: int) -> None:
        super().__init__()
        self.conv_skip = conv3x3(skip_channels, channels)
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
    """Propagate masks from memorized frames to a query frame."""

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
        self.conv_merge = conv3x3(2 * value_channels, decoder_channels)
        self.res_merge = ResBlock(decoder_channels, decoder_channels)
        self.refine3 = Refine(c3_channels, decoder_channels)
        self.refine2 = Refine(c2_channels, decoder_channels)
        self.predict = conv3x3(decoder_channels, 2)

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
        return self.encode_memory(p2, resize_masks(masks, p2))

    def encode_memory(self, p2: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
        """Return key and value of masks (N, 1, h/4, w/4) that have the size of P2."""
        key, value = self.memory_encoder(p2 + self.mask_conv(masks))
        return key, value

    def encode_query(self, p2: Tensor) -> tuple[Tensor, Tensor]:
        """Return key (B, CK, h/16, w/16) and value (B, CV, h/16, w/16) of a frame without masks."""
        key, value = self.query_encoder(p2)
        return key, value

    def encode_skips(self, c3: Tensor, c2: Tensor) -> tuple[Tensor, Tensor]:
        """Return the decoder's object-independent features at strides 8 and 4."""
        return self.refine3.encode_skip(c3), self.refine2.encode_skip(c2)

    def read(self, query_key: Tensor, mem_key: Tensor, mem_value: Tensor) -> Tensor:
        """Read the memory.

        Args:
            query_key: (1 or N, CK, h/16, w/16).
            mem_key: (N, CK, T, h/16, w/16).
            mem_value: (N, CV, T, h/16, w/16).

        Returns:
            The readout (N, CV, h/16, w/16).
        """
        return read_memory(query_key.expand(len(mem_key), -1, -1, -1), mem_key, mem_value)

    def decode(self, query_value: Tensor, skips: tuple[Tensor, Tensor], readout: Tensor) -> Tensor:
        """Return the foreground probability (N, h, w) float32 of each object alone.

        Args:
            query_value: (1 or N, CV, h/16, w/16).
            skips: features at strides 8 and 4, (1 or N, D, ...).
            readout: (N, CV, h/16, w/16).
        """
        merged = self.conv_merge(torch.cat([readout, query_value.expand(len(readout), -1, -1, -1)], dim=1))
        decoded = self.refine2(skips[1], self.refine3(skips[0], self.res_merge(merged)))
        logits = self.predict(F.relu(decoded)).float()  # (N, 2, h/4, w/4), background and object
        upsampled = F.interpolate(logits, scale_factor=4, mode="bilinear", align_corners=False)
        return torch.softmax(upsampled, dim=1)[:, 1]


def resize_masks(masks: Tensor, p2: Tensor) -> Tensor:
    """Pad masks (N, H, W) with zeros to the frame that P2 covers, and resize them to P2's size: (N, 1, h/4, w/4).

    Raises:
        ValueError: the masks are larger than the frame.
    """
    height, width = p2.shape[-2:]
    pad_h, pad_w = 4 * height - masks.shape[-2], 4 * width - masks.shape[-1]
    if pad_h < 0 or pad_w < 0:
        raise ValueError(f"masks {tuple(masks.shape[-2:])} exceed the frame {(4 * height, 4 * width)}")
    padded = F.pad(masks.float(), (0, pad_w, 0, pad_h)).unsqueeze(1)  # (N, 1, H, W)
    return F.interpolate(padded, size=(height, width), mode="bilinear", align_corners=False).to(p2.dtype)


def conv3x3(in_channels: int, out_channels: int, stride: int = 1) -> nn.Conv2d:
    """Build a 3x3 convolution that keeps the size, or divides it by the stride."""
    return nn.Conv2d(in_channels, out_channels, 3, stride, 1)

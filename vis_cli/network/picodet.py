"""PicoDet-S, a small detector of COCO's 80 categories; used by `zoo.detectors.picodet_detector`.

Reference: Yu et al., PP-PicoDet: A Better Real-Time Object Detector on Mobile Devices, 2021 (arXiv 2111.00902). The
widths are the widths of the published weights. Batch norms are part of the convolutions.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

INPUT_SIDE = 416  # pixels; the image is resized to a square
STRIDES = (8, 16, 32, 64)
NUM_CLASSES = 80
NUM_BINS = 8  # a distance from the centre to a side is a distribution over 0, 1, ..., 7 strides
PIXEL_MEAN, PIXEL_STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)  # RGB from 0 to 255

STEM_CHANNELS = 24
# ESNet: channels of each stage, and channels of the hidden layer of each of its blocks.
STAGES = ((96, (44, 24, 24)), (192, (48, 60, 48, 60, 48, 48, 48)), (384, (96, 96, 96)))
NECK_CHANNELS = 96


def conv(inputs: int, outputs: int, kernel: int = 1, *, stride: int = 1) -> nn.Conv2d:
    """Return a convolution that keeps the size, divided by `stride`."""
    return nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2)


def depthwise(channels: int, kernel: int, *, stride: int = 1) -> nn.Conv2d:
    """Return a depthwise convolution that keeps the size, divided by `stride`."""
    return nn.Conv2d(channels, channels, kernel, stride, kernel // 2, groups=channels)


def separable(channels: int, *, stride: int = 1) -> nn.Sequential:
    """Return a depthwise 5x5 and a pointwise convolution, each with an activation."""
    return nn.Sequential(
        depthwise(channels, 5, stride=stride), nn.Hardswish(), conv(channels, channels), nn.Hardswish()
    )


class SqueezeExcite(nn.Module):
    """Weights of the channels from their means over the image."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.squeeze = conv(channels, channels // 4)
        self.excite = conv(channels // 4, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Scale the channels of (B, C, h, w)."""
        means = self.squeeze(x.mean(dim=(2, 3), keepdim=True)).relu()
        return x * nn.functional.hardsigmoid(self.excite(means))


class DownBlock(nn.Module):
    """First block of a stage of ESNet: it halves the size."""

    def __init__(self, inputs: int, hidden: int, outputs: int) -> None:
        super().__init__()
        half = outputs // 2
        self.short = nn.Sequential(depthwise(inputs, 3, stride=2), conv(inputs, half), nn.Hardswish())
        self.long = nn.Sequential(
            conv(inputs, hidden),
            nn.Hardswish(),
            depthwise(hidden, 3, stride=2),
            SqueezeExcite(hidden),
            conv(hidden, half),
            nn.Hardswish(),
        )
        self.mix = nn.Sequential(depthwise(outputs, 3), nn.Hardswish(), conv(outputs, outputs), nn.Hardswish())

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, inputs, h, w) to (B, outputs, h/2, w/2)."""
        mixed: Tensor = self.mix(torch.cat([self.short(x), self.long(x)], dim=1))
        return mixed


class GhostBlock(nn.Module):
    """Another block of a stage of ESNet: half of the channels pass unchanged."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        half = channels // 2
        self.narrow = nn.Sequential(conv(half, hidden), nn.Hardswish())
        self.ghost = depthwise(hidden, 3)
        self.weigh = SqueezeExcite(2 * hidden)
        self.widen = nn.Sequential(conv(2 * hidden, half), nn.Hardswish())
        self.shuffle = nn.ChannelShuffle(2)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, h, w) to the same shape."""
        kept, changed = x.chunk(2, dim=1)
        narrow = self.narrow(changed)
        changed = self.widen(self.weigh(torch.cat([narrow, self.ghost(narrow)], dim=1)))
        shuffled: Tensor = self.shuffle(torch.cat([kept, changed], dim=1))
        return shuffled


class CspBlock(nn.Module):
    """Join two pyramid levels (CSP: half of the channels skip the hidden layers)."""

    def __init__(self) -> None:
        super().__init__()
        half = NECK_CHANNELS // 2
        self.short = nn.Sequential(conv(2 * NECK_CHANNELS, half), nn.Hardswish())
        self.long = nn.Sequential(
            conv(2 * NECK_CHANNELS, half), nn.Hardswish(), conv(half, half), nn.Hardswish(), *separable(half)
        )
        self.join = nn.Sequential(conv(NECK_CHANNELS, NECK_CHANNELS), nn.Hardswish())

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Join two levels (B, 96, h, w)."""
        both = torch.cat([first, second], dim=1)
        joined: Tensor = self.join(torch.cat([self.long(both), self.short(both)], dim=1))
        return joined


class PicoDet(nn.Module):
    """Backbone ESNet, neck CSP-PAN, and one head per level."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            conv(3, STEM_CHANNELS, 3, stride=2), nn.Hardswish(), nn.MaxPool2d(3, stride=2, padding=1)
        )
        self.stages = nn.ModuleList()
        inputs = STEM_CHANNELS
        for channels, (first, *others) in STAGES:
            blocks = [DownBlock(inputs, first, channels), *(GhostBlock(channels, hidden) for hidden in others)]
            self.stages.append(nn.Sequential(*blocks))
            inputs = channels
        self.laterals = nn.ModuleList(
            nn.Sequential(conv(channels, NECK_CHANNELS), nn.Hardswish()) for channels, _ in STAGES
        )
        self.join_down = nn.ModuleList([CspBlock(), CspBlock()])  # coarse levels into finer ones
        self.halve4, self.join4 = separable(NECK_CHANNELS, stride=2), CspBlock()
        self.halve5, self.join5 = separable(NECK_CHANNELS, stride=2), CspBlock()
        self.coarsest = nn.ModuleList([separable(NECK_CHANNELS, stride=2), separable(NECK_CHANNELS, stride=2)])
        self.heads = nn.ModuleList(
            nn.Sequential(
                *separable(NECK_CHANNELS), *separable(NECK_CHANNELS), conv(NECK_CHANNELS, NUM_CLASSES + 4 * NUM_BINS)
            )
            for _ in STRIDES
        )
        mean, std = torch.tensor(PIXEL_MEAN), torch.tensor(PIXEL_STD)
        self.register_buffer("mean", mean.view(3, 1, 1), persistent=False)
        self.register_buffer("std", std.view(3, 1, 1), persistent=False)
        self.mean: Tensor
        self.std: Tensor

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Predict a box in each cell of each level.

        Args:
            image: (1, 3, 416, 416), RGB 0..255.

        Returns:
            Boxes (N, 4) xyxy in pixels of the input, not clipped, and scores (N, 80) from 0 to 1.
        """
        cells = [head(level)[0] for head, level in zip(self.heads, self._pyramid(image), strict=True)]
        boxes = [_boxes(cell[NUM_CLASSES:], stride) for cell, stride in zip(cells, STRIDES, strict=True)]
        scores = [cell[:NUM_CLASSES].flatten(1).T.sigmoid() for cell in cells]
        return torch.cat(boxes), torch.cat(scores)

    def _pyramid(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return the four levels of CSP-PAN, each (1, 96, 416/stride, 416/stride)."""
        x = self.stem((image - self.mean) / self.std)
        lateral = []
        for stage, reduce in zip(self.stages, self.laterals, strict=True):
            x = stage(x)
            lateral.append(reduce(x))
        middle = self.join_down[0](_double(lateral[2]), lateral[1])
        level3 = self.join_down[1](_double(middle), lateral[0])
        level4 = self.join4(self.halve4(level3), middle)
        level5 = self.join5(self.halve5(level4), lateral[2])
        level6 = self.coarsest[0](lateral[2]) + self.coarsest[1](level5)
        return level3, level4, level5, level6


def _double(level: Tensor) -> Tensor:
    return interpolate(level, scale_factor=2.0, mode="nearest")


def _boxes(logits: Tensor, stride: int) -> Tensor:
    """Return the boxes (h*w, 4) of the cells of a level.

    Args:
        logits: (4 * NUM_BINS, h, w): distributions of the distances to the left, top, right and bottom side.
        stride: Pixels of a cell.
    """
    height, width = logits.shape[1:]
    bins = torch.arange(NUM_BINS, dtype=torch.float32, device=logits.device)
    distances = logits.flatten(1).T.float().reshape(-1, 4, NUM_BINS).softmax(dim=2) @ bins  # (h*w, 4)
    rows = torch.arange(height, device=logits.device).repeat_interleave(width)
    columns = torch.arange(width, device=logits.device).repeat(height)
    centres = torch.stack([columns, rows], dim=1) + 0.5
    return torch.cat([centres - distances[:, :2], centres + distances[:, 2:]], dim=1) * stride

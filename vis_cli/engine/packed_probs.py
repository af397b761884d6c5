"""Mask probabilities in little memory, until `exclusive` decides to which instance a pixel belongs."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torchvision.ops import masks_to_boxes

LEVELS = 255  # a probability is stored in one byte
FAST = 1  # level of zlib


@dataclass(frozen=True, slots=True)
class PackedProbs:
    """Mask probabilities of one object in one frame, compressed. They are 0 outside of the box."""

    data: bytes  # uint8 (y1 - y0, x1 - x0), 0..LEVELS
    box: tuple[int, int, int, int]  # x0, y0, x1, y1
    size: tuple[int, int]  # (h, w)

    def unpack(self) -> Tensor:
        """Return the probabilities (h, w), float32 from 0 to 1."""
        x0, y0, x1, y1 = self.box
        crop = np.frombuffer(zlib.decompress(self.data), dtype=np.uint8).reshape(y1 - y0, x1 - x0)
        probs = torch.zeros(self.size)
        probs[y0:y1, x0:x1] = torch.from_numpy(crop.astype(np.float32) / LEVELS)
        return probs


def pack_probs(probs: Tensor, threshold: float) -> list[PackedProbs | None]:
    """Compress mask probabilities. One pixel around the mask is included, so that they can be resized.

    Args:
        probs: (N, h, w) float32 from 0 to 1, on any device.
        threshold: A probability above it is foreground.

    Returns:
        N packed masks; None for an empty mask.
    """
    above = probs > threshold
    rows = above.flatten(1).any(dim=1).nonzero()[:, 0]
    height, width = probs.shape[1:]
    quantized = (probs.clamp(0.0, 1.0) * LEVELS).round().to(torch.uint8).cpu().numpy()
    packed: list[PackedProbs | None] = [None] * len(probs)
    for row, (x0, y0, x1, y1) in zip(rows.tolist(), masks_to_boxes(above[rows]).int().tolist(), strict=True):
        box = max(x0 - 1, 0), max(y0 - 1, 0), min(x1 + 2, width), min(y1 + 2, height)
        crop = quantized[row, box[1] : box[3], box[0] : box[2]]
        packed[row] = PackedProbs(zlib.compress(crop.tobytes(), FAST), box, (height, width))
    return packed

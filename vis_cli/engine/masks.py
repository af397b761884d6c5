"""Masks of one frame: overlap, mask NMS, and resizing to the size of the video; used by the other engine modules."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.ops import masks_to_boxes

from vis_cli.engine.frames import Size
from vis_cli.records.rle import Rle, encode_mask


def mask_nms(masks: Tensor, iou_threshold: float) -> list[int]:
    """Keep each mask whose IoU with every kept mask before it is below the threshold.

    Two empty masks have no IoU and do not suppress each other.

    Args:
        masks: (N, H, W) bool, in order of priority.
        iou_threshold: From 0 to 1.

    Returns:
        Indices of the kept masks, in ascending order.

    Reference: docs/explanation/authors-implementation.md#fact-26.
    """
    intersections, unions = _overlaps(masks, masks)
    overlaps = ((unions > 0) & (intersections >= iou_threshold * unions)).cpu().numpy()
    kept: list[int] = []
    for index in range(len(masks)):
        if not overlaps[index, kept].any():
            kept.append(index)
    return kept


def mask_iou(first: Tensor, second: Tensor) -> Tensor:
    """Return the IoU (N, M) of masks (N, H, W) bool with masks (M, H, W) bool; 0 where both are empty."""
    intersections, unions = _overlaps(first, second)
    return intersections / unions.clamp(min=1.0)


def encode_probs(probs: Tensor, size: Size, threshold: float) -> list[Rle | None]:
    """Resize mask probabilities, threshold them, and encode each mask as RLE.

    The resize is bilinear without antialiasing (F.interpolate, align_corners False). It covers only the part of the
    mask that can exceed the threshold, so a small object in a 4K video takes little time.

    Args:
        probs: (N, h, w) float32 from 0 to 1, on any device.
        size: (H, W) of the encoded masks.
        threshold: A probability above it is foreground.

    Returns:
        N RLEs of the size (H, W); None for an empty mask.
    """
    above = probs > threshold
    rows = above.flatten(1).any(dim=1).nonzero()[:, 0]  # masks_to_boxes of torchvision 0.25 rejects an empty mask
    rles: list[Rle | None] = [None] * len(probs)
    if len(rows) == 0:
        return rles
    boxes = masks_to_boxes(above[rows]).int().tolist()
    parts = [_resize(probs[row], box, size, threshold) for row, box in zip(rows.tolist(), boxes, strict=True)]
    copied = torch.cat([part.pixels.flatten() for part in parts]).cpu().numpy()  # a GPU copies once per frame
    ends = np.cumsum([part.pixels.numel() for part in parts])
    for row, part, pixels in zip(rows.tolist(), parts, np.split(copied, ends[:-1]), strict=True):
        if pixels.any():
            mask = np.zeros(size[::-1], dtype=np.bool_)  # (W, H)
            mask[part.columns, part.rows] = pixels.reshape(part.pixels.shape)
            rles[row] = encode_mask(mask.T)
    return rles


@dataclass(frozen=True, slots=True)
class _Part:
    """The part of a resized mask (W, H) that can have foreground."""

    pixels: Tensor  # (w', h') bool
    columns: slice
    rows: slice


def _resize(probs: Tensor, box: list[int], size: Size, threshold: float) -> _Part:
    """Resize one mask (h, w) whose pixels above the threshold lie in `box` (x0, y0, x1, y1, ends included)."""
    rows, resized_rows = _aligned_range(box[1], box[3], probs.shape[0], size[0])
    columns, resized_columns = _aligned_range(box[0], box[2], probs.shape[1], size[1])
    crop = probs[rows, columns].t()[None, None]  # (1, 1, w, h): RLE runs down the columns
    resized_size = (resized_columns.stop - resized_columns.start, resized_rows.stop - resized_rows.start)
    pixels = F.interpolate(crop, size=resized_size, mode="bilinear", align_corners=False)[0, 0] > threshold
    return _Part(pixels, resized_columns, resized_rows)


def _aligned_range(first: int, last: int, length: int, resized_length: int) -> tuple[slice, slice]:
    """Return a range of pixels around first..last, and the range of resized pixels that it covers exactly.

    A margin of one pixel is included. Outside of it, no resized pixel can exceed the threshold.
    """
    step = length // math.gcd(length, resized_length)  # a boundary every `step` pixels is one in the resized mask, too
    start = max(first - 1, 0) // step * step
    stop = min(-(-(last + 2) // step) * step, length)
    return slice(start, stop), slice(start * resized_length // length, stop * resized_length // length)


def _overlaps(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Count the pixels (N, M) of the intersections and of the unions of masks (N, H, W) and (M, H, W)."""
    with torch.autocast(first.device.type, enabled=False):  # float32 counts up to 2^24 pixels exactly
        rows, columns = first.flatten(1).float(), second.flatten(1).float()
        intersections = rows @ columns.T
        return intersections, rows.sum(dim=1)[:, None] + columns.sum(dim=1)[None, :] - intersections

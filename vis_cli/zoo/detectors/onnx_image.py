"""A frame as the input of an ONNX detector, and the way back from its pixels to pixels of the frame.

Used by `onnx_detector`.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vis_cli.zoo.detectors.onnx_layouts import Layout


@dataclass(frozen=True, slots=True)
class Placement:
    """Position of a frame in the input."""

    frame_size: tuple[int, int]  # height and width
    input_size: tuple[int, int]
    image_size: tuple[int, int]  # of the resized frame in the input
    offset: tuple[int, int]  # top and left of the resized frame

    def to_frame(self, boxes: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return (N, 4) xyxy boxes in pixels of the frame, clipped to it, from boxes in pixels of the input."""
        (height, width), (own_height, own_width), (top, left) = self.frame_size, self.image_size, self.offset
        shift = np.array([left, top, left, top], np.float32)
        scale = np.array([width / own_width, height / own_height] * 2, np.float64)
        limit = np.array([width, height, width, height], np.float64)
        return np.asarray(np.clip((boxes - shift) * scale, 0.0, limit), np.float32)

    def mask_to_frame(self, mask: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
        """Return a mask (h, w) of the complete frame from a mask of the complete input."""
        (top, left), (height, width) = self.offset, self.image_size
        part = mask[top : top + height, left : left + width]
        shrinks = size[0] * size[1] < part.shape[0] * part.shape[1]
        method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        return np.asarray(cv2.resize(part, (size[1], size[0]), interpolation=method), np.float32)


def place(frame_size: tuple[int, int], layout: Layout) -> Placement:
    """Return where a frame of a size is in the input of a layout."""
    height, width = frame_size
    if layout.resize == "none":
        return Placement(frame_size, frame_size, frame_size, (0, 0))
    if layout.resize == "fit":
        short, long = sorted(layout.input_size)
        scale = min(short / min(frame_size), long / max(frame_size))
        size = (max(1, round(height * scale)), max(1, round(width * scale)))
        return Placement(frame_size, size, size, (0, 0))
    if layout.resize == "squeeze":
        return Placement(frame_size, layout.input_size, layout.input_size, (0, 0))
    limit_height, limit_width = layout.input_size
    scale = min(limit_height / height, limit_width / width)
    size = (min(limit_height, max(1, round(height * scale))), min(limit_width, max(1, round(width * scale))))
    rest = (limit_height - size[0], limit_width - size[1])
    offset = (rest[0] // 2, rest[1] // 2) if layout.image_position == "center" else (0, 0)
    return Placement(frame_size, layout.input_size, size, offset)


def make_input(
    pixels: NDArray[np.uint8], placement: Placement, layout: Layout, *, dtype: str, has_batch: bool
) -> NDArray[np.generic]:
    """Return the input for a frame (H, W, 3) RGB: resized, padded and normalized.

    Args:
        pixels: The frame.
        placement: Where the frame is in the input.
        layout: Channel order, normalization and axes.
        dtype: Number format of the input.
        has_batch: Whether the input has an axis for the batch.
    """
    image = _resize(pixels, placement, antialias=layout.antialias)
    if placement.image_size != placement.input_size:
        canvas = np.full((*placement.input_size, 3), layout.pad_value, np.uint8)
        (top, left), (height, width) = placement.offset, placement.image_size
        canvas[top : top + height, left : left + width] = image
        image = canvas
    values = image if dtype == "uint8" else _normalize(image, layout)
    if layout.channels == "bgr":
        values = values[..., ::-1]
    if layout.axes == "NCHW":
        values = values.transpose(2, 0, 1)  # (3, h, w)
    return np.ascontiguousarray(values[None] if has_batch else values, np.dtype(dtype))


def image_mask(placement: Placement) -> NDArray[np.int64]:
    """Return (1, h, w) with 1 where the input shows the frame, and 0 in the padding."""
    mask = np.zeros((1, *placement.input_size), np.int64)
    (top, left), (height, width) = placement.offset, placement.image_size
    mask[:, top : top + height, left : left + width] = 1
    return mask


def _resize(pixels: NDArray[np.uint8], placement: Placement, *, antialias: bool) -> NDArray[np.uint8]:
    if placement.image_size == placement.frame_size:
        return pixels
    height, width = placement.image_size
    if antialias:
        return np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.BILINEAR))
    return np.asarray(cv2.resize(pixels, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)


def _normalize(image: NDArray[np.uint8], layout: Layout) -> NDArray[np.float32]:
    scale = np.float32(layout.pixel_range / 255)
    mean, std = np.array(layout.mean, np.float32), np.array(layout.std, np.float32)
    return (image * scale - mean) / std

"""Boxes and masks of a detection file in pixels of the video. Used by `detection_file`."""

from __future__ import annotations

from array import array

import numpy as np
from numpy.typing import NDArray

from vis_cli.errors import VisError
from vis_cli.messages import Messages
from vis_cli.records.detection_formats.rows import DetectionRows
from vis_cli.records.rle import Rle, rle_areas, rle_boxes
from vis_cli.records.segmentation_json import parse_segmentation

MAX_ROUNDING = 1.0  # pixels by which a box may extend beyond the image without a warning


def fit_to_frame(
    rows: DetectionRows, width: int, height: int, where: str, messages: Messages
) -> tuple[NDArray[np.float64], list[Rle | None], NDArray[np.bool_]]:
    """Convert boxes and masks to pixels, and clip the boxes to the frame.

    Boxes that extend beyond the frame by more than rounding are reported: they can have another format.

    The box of a mask is its bounding box. A box completely outside of the frame and an empty mask are left out with a
    warning instead of an error, because detectors and trackers write them for objects that leave the image.

    Args:
        rows: N rows.
        width: Width of the video in pixels.
        height: Height of the video in pixels.
        where: File, for messages.
        messages: Receives the warnings.

    Returns:
        Boxes (N, 4), N masks or None, and whether a row has a pixel in the frame (N,).

    Raises:
        VisError: A mask is malformed or has another size, or no row has a pixel in the frame.
    """
    masks = [_mask(rows, row, width, height) for row in range(len(rows.scores))]
    scale = [width, height, width, height] if rows.are_fractions else [1, 1, 1, 1]
    boxes: NDArray[np.float64] = rows.boxes * np.array(scale, dtype=np.float64)
    masked = np.flatnonzero([mask is not None for mask in masks])
    if len(masked):
        corners = rle_boxes([mask for mask in masks if mask is not None])
        boxes[masked, :2], boxes[masked, 2:] = corners[:, :2], corners[:, :2] + corners[:, 2:]
    is_clipped = np.maximum(-boxes, boxes - [width, height, width, height]).max(axis=1, initial=0) > MAX_ROUNDING
    boxes[:, 0::2] = boxes[:, 0::2].clip(0, width)
    boxes[:, 1::2] = boxes[:, 1::2].clip(0, height)
    has_pixels = np.logical_and(boxes[:, 2] > boxes[:, 0], boxes[:, 3] > boxes[:, 1])
    is_empty = np.zeros(len(masks), np.bool_)
    is_empty[masked] = rle_areas(masks)[masked] == 0
    _report(rows, is_empty, "masks are empty", "they are left out", where, messages)
    is_outside = ~has_pixels & ~is_empty
    _report(rows, is_outside, "boxes are outside of the image", "they are left out", where, messages)
    effect = f"they are clipped. Check that {rows.box_format}"
    _report(rows, is_clipped & has_pixels, "boxes extend beyond the image", effect, where, messages)
    if not has_pixels.any():
        problem = f"no detection is inside of the {width}x{height} image"
        raise VisError(problem, where=where, hint="Use detections in pixels of this video.")
    return boxes, masks, has_pixels


def _mask(rows: DetectionRows, row: int, width: int, height: int) -> Rle | None:
    mask = rows.masks[row]
    if mask is None:
        return None
    if isinstance(mask, array):  # a polygon of fractions
        polygon = np.array(mask, dtype=np.float64).reshape(-1, 2) * [width, height]
        return parse_segmentation([polygon.reshape(-1).tolist()], height, width, rows.places(row))
    return parse_segmentation(mask, height, width, rows.places(row))


def _report(
    rows: DetectionRows, are_affected: NDArray[np.bool_], what: str, effect: str, where: str, messages: Messages
) -> None:
    count = int(are_affected.sum())
    if count:
        first = rows.places(int(are_affected.argmax())).removeprefix(f"{where}: ")
        messages.warn(f"{where}: {count} of {len(are_affected)} {what}, the first one at {first}; {effect}")

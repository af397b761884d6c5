"""Colours of the instances of a video: one per instance, unlike the colours of the instances that come close to it.

Used by `overlay`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from vis_cli.records.color_vision import color_distances
from vis_cli.records.palette import PALETTE, Color
from vis_cli.records.rle import rle_boxes
from vis_cli.records.types import InstanceSequence

CLOSE_FRACTION = 0.05  # boxes with less space between them are close, as a fraction of the frame's short side


def assign_colors(
    instances: Sequence[InstanceSequence], short_side: int, *, known: Mapping[int, Color] | None = None
) -> dict[int, Color]:
    """Choose the colour of each instance, by id.

    Greedy graph colouring: confident instances first, then by score, so that weak instances change no colour of
    confident ones. An instance gets the colour whose instances are close to it in the fewest frames. Further criteria,
    in this order: the colour whose instances are farthest away, the colour of the fewest instances, the colour that
    differs most from the colours of close instances.

    Args:
        instances: All instances of a video, so that a selection of them keeps its colours.
        short_side: Short side of the frames in pixels.
        known: Colours by id of instances that keep their colour.
    """
    fixed = {} if known is None else known
    closeness = _measure_closeness(instances, max(1.0, short_side * CLOSE_FRACTION))
    distances = color_distances(PALETTE)
    ranked = sorted(range(len(instances)), key=lambda i: _rank(instances[i], i, fixed))
    colors = np.zeros(len(instances), dtype=np.int64)
    for count, position in enumerate(ranked):
        if (color := fixed.get(instances[position].id)) is not None:
            colors[position] = PALETTE.index(color)
            continue
        earlier = ranked[:count]
        clashes = np.bincount(colors[earlier], closeness[position, earlier], minlength=len(PALETTE))
        uses = np.bincount(colors[earlier], minlength=len(PALETTE))
        is_close = closeness[position, earlier] >= 1
        nearest = distances[colors[earlier][is_close]].min(axis=0, initial=np.inf)
        colors[position] = np.lexsort((-nearest, uses, clashes))[0]
    return {instance.id: PALETTE[color] for instance, color in zip(instances, colors.tolist(), strict=True)}


def _rank(instance: InstanceSequence, position: int, known: Mapping[int, Color]) -> tuple[bool, bool, float, int]:
    return instance.id not in known, not instance.confident, -instance.score, position


def _measure_closeness(instances: Sequence[InstanceSequence], margin: float) -> NDArray[np.float32]:
    """Return how close each pair of instances comes, (N, N).

    A frame in which the boxes have at most `margin` pixels between them counts 1. A frame with more space counts less
    the larger the space is, and all such frames of all instances together count less than 1.
    """
    closeness = np.zeros((len(instances), len(instances)), dtype=np.float32)
    for masks in zip(*(instance.segmentations for instance in instances), strict=True):
        present = [position for position, mask in enumerate(masks) if mask is not None]
        boxes = rle_boxes([mask for mask in masks if mask is not None])  # (N, 4)
        is_visible = boxes[:, 2] > 0
        visible, boxes = np.array(present, dtype=np.int64)[is_visible], boxes[is_visible]
        start, end = boxes[:, :2], boxes[:, :2] + boxes[:, 2:]
        gaps = np.maximum(start[:, None] - end[None], start[None] - end[:, None]).max(axis=-1)  # (N, N)
        far = margin / np.maximum(gaps, margin) / (2 * len(masks) * len(instances[0].segmentations))
        closeness[np.ix_(visible, visible)] += np.where(gaps <= margin, 1, far)
    return closeness

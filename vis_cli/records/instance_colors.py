"""Colours of the instances of a video: one per instance, unlike the colours of the instances that come close to it.

Used by `overlay`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from vis_cli.records.color_vision import color_distances
from vis_cli.records.palette import PALETTE, Color
from vis_cli.records.rle import rle_boxes
from vis_cli.records.types import InstanceSequence

CLOSE_FRACTION = 0.05  # boxes with less space between them are close, as a fraction of the frame's short side

Pair = tuple[int, int]  # positions of two instances, the smaller first


def assign_colors(instances: Sequence[InstanceSequence], short_side: int) -> dict[int, Color]:
    """Choose the colour of each instance, by id.

    Greedy graph colouring: confident instances first, then by score, so that weak instances change no colour of the
    others. Each instance gets a colour that no close instance has, then the one that the fewest instances have, then
    the one that is farthest from the colours of close instances. An instance with more close instances than there
    are colours shares the colour of an instance that is close in few frames.

    Args:
        instances: All instances of a video, so that a selection of them keeps its colours.
        short_side: Short side of the frames in pixels.
    """
    close = _count_close_frames(instances, short_side * CLOSE_FRACTION)
    distances = color_distances(PALETTE)
    ranked = sorted(range(len(instances)), key=lambda i: (not instances[i].confident, -instances[i].score, i))
    neighbours: list[dict[int, int]] = [{} for _ in instances]
    for (first, second), frames in close.items():
        neighbours[first][second] = neighbours[second][first] = frames
    chosen: dict[int, int] = {}
    uses = np.zeros(len(PALETTE))
    for position in ranked:
        clashes, nearest = np.zeros(len(PALETTE)), np.full(len(PALETTE), np.inf)
        for other, frames in neighbours[position].items():
            if other in chosen:
                clashes[chosen[other]] += frames
                nearest = np.minimum(nearest, distances[chosen[other]])
        best = min(range(len(PALETTE)), key=lambda color: (clashes[color], uses[color], -nearest[color], color))
        chosen[position] = best
        uses[best] += 1
    return {instances[position].id: PALETTE[color] for position, color in chosen.items()}


def _count_close_frames(instances: Sequence[InstanceSequence], margin: float) -> Counter[Pair]:
    """Count the frames in which the boxes of two instances touch or have at most `margin` pixels between them."""
    close: Counter[Pair] = Counter()
    for masks in zip(*(instance.segmentations for instance in instances), strict=True):
        present = [(position, mask) for position, mask in enumerate(masks) if mask is not None]
        if len(present) < 2:
            continue
        boxes = rle_boxes([mask for _, mask in present])  # (N, 4)
        start, end = boxes[:, :2], boxes[:, :2] + boxes[:, 2:]
        gaps = np.maximum(start[:, None] - end[None], start[None] - end[:, None]).max(axis=-1)  # (N, N)
        is_visible = boxes[:, 2] > 0
        is_close = np.triu((gaps <= margin) & is_visible[:, None] & is_visible[None], k=1)
        close.update((present[i][0], present[j][0]) for i, j in np.argwhere(is_close).tolist())
    return close

"""Length of tags by the space that they need: short tags while many objects are visible. Used by `overlay`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vis_cli.records.types import InstanceSequence

MAX_TAG_FRACTION = 0.08  # of the frame, for all tags together
STEADY_SECONDS = 1.0  # a crowded frame shortens the tags up to this time before and after it
MAX_STEADY_FRAMES = 120


def tag_levels(
    tags: Sequence[tuple[InstanceSequence, Sequence[int]]], *, frame_area: int, num_frames: int, fps: float
) -> NDArray[np.int64]:
    """Return the index of the longest tags that have space in each frame, int64 (num_frames,).

    Args:
        tags: Each instance, with the areas of its tags in pixels, from the longest to the shortest.
        frame_area: Area of a frame in pixels.
        num_frames: Number of frames of the video.
        fps: Frames per second.
    """
    num_levels = max((len(areas) for _, areas in tags), default=0)
    needed = np.zeros((num_levels, num_frames))
    for instance, areas in tags:
        is_present = np.array([mask is not None for mask in instance.span.span], dtype=np.bool_)
        shown = np.flatnonzero(is_present) + (instance.first_frame or 0)
        for level, area in enumerate(areas):
            needed[level, shown] += area
    reach = round(min(fps * STEADY_SECONDS, MAX_STEADY_FRAMES))
    levels = np.zeros(num_frames, dtype=np.int64)
    for area in needed[:-1]:
        padded = np.pad(area, reach)
        most = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1).max(axis=-1)
        levels += most > MAX_TAG_FRACTION * frame_area
    return levels

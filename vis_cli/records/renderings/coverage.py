"""The pixels that a redaction covers: more than the masks, so that no frame shows a part of the object.

Masks are inexact and can be missing in some frames. Used by `redaction`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from vis_cli.records.rle import Rle, decode_in_box, merge_rles, rle_areas, rle_boxes
from vis_cli.records.types import VideoInfo

# Values for which no pixel of an object of sample_videos stays uncovered (benchmarks/redaction.py).
DILATION_FRACTION = 1 / 20  # of the frame's short side: 18 pixels at 360p
HOLD_SECONDS = 0.25
GAP_SECONDS = 2.0
TOLERANCE = 1e-6  # seconds; timestamps are rounded


@dataclass(frozen=True, slots=True)
class Coverage:
    """Settings of a redaction. Times are in seconds."""

    dilation: int | None = None  # pixels around each mask; None: DILATION_FRACTION
    hold: float = HOLD_SECONDS  # a mask also covers the frames up to this time before and after it
    margin: float = HOLD_SECONDS  # the same for the first and the last mask of an object, and at the ends of long gaps
    gap: float = GAP_SECONDS  # longest gap between two masks that is bridged


@dataclass(frozen=True, slots=True)
class Region:
    """Covered pixels of one object in one frame, inside their bounding box."""

    x: int
    y: int
    mask: NDArray[np.uint8]  # (height, width) of 0 and 1


class CoveredObject:
    """Covered regions of one object."""

    def __init__(
        self, masks: Sequence[Rle | None], size: tuple[int, int], times: NDArray[np.float64], coverage: Coverage
    ) -> None:
        """Find the frames with a mask.

        Args:
            masks: One mask or None per frame. A mask without pixels counts as None.
            size: Width and height of the frames.
            times: Timestamp of each frame in seconds, from `frame_seconds`.
            coverage: The settings.
        """
        self._masks = masks
        self._size = size
        self._times = times  # shared by all objects of a video
        self._coverage = coverage
        dilation = coverage.dilation
        self._dilation = round(min(self._size) * DILATION_FRACTION) if dilation is None else dilation
        self._visible = np.flatnonzero(rle_areas(masks))
        self._hull: tuple[int, Region] | None = None  # the last gap: its last visible frame before it, and its region

    @property
    def longest_side(self) -> int:
        """Return the longest side of the boxes of all masks in pixels; 0 without a visible mask."""
        boxes = rle_boxes([mask for mask in self._masks if mask is not None])
        return int(boxes[:, 2:].max(initial=0))

    def region(self, index: int) -> Region | None:
        """Return the covered pixels in a frame, or None if the object does not cover any pixel."""
        held = [mask for frame in self._held_frames(index) if (mask := self._masks[frame]) is not None]
        regions = [self._dilated(Region(*decode_in_box(merge_rles(held))))] if held else []
        if (bridge := self._bridge(index)) is not None:
            regions.append(bridge)
        return _joined(regions) if regions else None

    def _held_frames(self, index: int) -> list[int]:
        """Return the frames whose masks also cover the frame `index`."""
        now, hold, margin = self._times[index], self._coverage.hold, self._coverage.margin
        if not len(self._visible):
            return []
        first = np.searchsorted(self._times, now - hold - TOLERANCE)
        last = np.searchsorted(self._times, now + hold + TOLERANCE, side="right")
        start, end = np.searchsorted(self._visible, (first, last))
        held = set(self._visible[start:end].tolist())
        before, after = self._neighbours(index)
        is_bridged = before is not None and after is not None and self._is_short(before, after)
        for frame in (before, after):
            if frame is not None and not is_bridged and abs(self._times[frame] - now) <= margin + TOLERANCE:
                held.add(frame)
        return sorted(held)

    def _neighbours(self, index: int) -> tuple[int | None, int | None]:
        """Return the nearest frames with a mask, before and after a frame; the frame itself if it has a mask."""
        after = int(np.searchsorted(self._visible, index))
        if after < len(self._visible) and self._visible[after] == index:
            return index, index
        frame_before = int(self._visible[after - 1]) if after else None
        return frame_before, int(self._visible[after]) if after < len(self._visible) else None

    def _is_short(self, before: int, after: int) -> bool:
        return bool(self._times[after] - self._times[before] <= self._coverage.gap + TOLERANCE)

    def _bridge(self, index: int) -> Region | None:
        """Return the region of a frame in a short gap: the convex hull of the masks before and after the gap.

        The hull contains each position of a convex object that moves in a straight line.
        """
        before, after = self._neighbours(index)
        if before is None or after is None or before == after or not self._is_short(before, after):
            return None
        if self._hull is None or self._hull[0] != before:
            ends = [mask for frame in (before, after) if (mask := self._masks[frame]) is not None]
            x, y, visible = decode_in_box(merge_rles(ends))
            self._hull = before, self._dilated(Region(x, y, _convex_hull(visible)))
        return self._hull[1]

    def _dilated(self, region: Region) -> Region:
        """Return a region with all pixels whose distance to it is at most the dilation."""
        distance, (width, height) = self._dilation, self._size
        bottom, right = region.y + region.mask.shape[0], region.x + region.mask.shape[1]
        x, y = max(0, region.x - distance), max(0, region.y - distance)
        canvas = np.ones((min(height, bottom + distance) - y, min(width, right + distance) - x), np.uint8)
        canvas[region.y - y : bottom - y, region.x - x : right - x] -= region.mask
        distances = cv2.distanceTransform(canvas, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        return Region(x, y, (distances <= distance).astype(np.uint8))


def frame_seconds(video: VideoInfo) -> NDArray[np.float64]:
    """Return the timestamp of each frame in seconds. Without timestamps, the frame rate counts."""
    if video.timestamps is not None:
        return np.array(video.timestamps, dtype=np.float64)
    times: NDArray[np.float64] = np.arange(video.num_frames) / (video.fps if video.fps > 0 else 1.0)
    return times


def _convex_hull(mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    points = cv2.findNonZero(mask)
    hull = np.zeros_like(mask)
    cv2.fillConvexPoly(hull, cv2.convexHull(points), 1)
    return np.maximum(hull, mask)


def _joined(regions: Sequence[Region]) -> Region:
    x, y = min(region.x for region in regions), min(region.y for region in regions)
    right = max(region.x + region.mask.shape[1] for region in regions)
    bottom = max(region.y + region.mask.shape[0] for region in regions)
    joined = np.zeros((bottom - y, right - x), np.uint8)
    for region in regions:
        height, width = region.mask.shape
        part = joined[region.y - y : region.y - y + height, region.x - x : region.x - x + width]
        np.maximum(part, region.mask, out=part)
    return Region(x, y, joined)

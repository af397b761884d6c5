"""Places of tags in a frame: next to their object, inside the frame, apart from each other and from other objects.

Used by `overlay`. A place is stored relative to the object, so that a tag moves with it from frame to frame.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from vis_cli.records.blob import Blob
from vis_cli.records.occupancy import Box, Occupancy

COVER_COST = 6.0  # of a tag that lies completely over other objects
SELF_COVER_COST = 0.5  # of a tag that lies completely over its own object
HIDE_COST = 3.0  # of a tag that hides its own object completely
DISTANCE_COST = 0.25  # per tag height between a tag and its object
LEADER_COST = 0.7  # of a tag that needs a leader line
MOVE_COST = 0.5  # a tag moves only if another place is better by more than this
GOOD_COST = 0.3  # a tag with this cost or less stays, and no other place is tried
ATTACHED = 0.75  # tag heights between a tag and its object up to which it needs no leader line
REST = 0.2  # tag heights by which a tag may lag behind its object, so that it does not tremble
RING_DISTANCES = (1.5, 3.0, 5.0)  # tag heights between an object and the places around it
RING_DIRECTIONS = 12
RING_COST = 0.1
BOX_SMOOTHING = 0.6  # weight of the current box of an object; the rest is the box of the previous frame
MIN_FRAMES_OF_LEVEL = 12  # frames for which a tag stays short after it found no place for a longer text

Line = tuple[tuple[int, int], tuple[int, int]]
Size = tuple[int, int]  # width, height


@dataclass(frozen=True, slots=True)
class Placement:
    """Place of a tag in a frame. `leader` is a line from the tag to its object, if the tag is away from it."""

    level: int  # index of the size that was chosen
    box: Box
    leader: Line | None


# A spot is a place relative to the box of an object: u, v, dx, dy, cost. The centre of the tag is at (u, v) of the
# box, from -1 to 1, plus (dx, dy) pixels. Spots that look better cost less.
Spots = NDArray[np.float64]  # (M, 5)
Boxes = NDArray[np.int64]  # (M, 4)


@dataclass(frozen=True, slots=True)
class _Memory:
    """Tag of an object in the previous frame."""

    target: NDArray[np.float64]  # smoothed box of the object
    level: int
    box: Boxes  # (1, 4)
    spot: Spots  # (1, 5)
    age: int  # frames since `level` changed


class TagLayout:
    """Places of the tags of a video, frame by frame.

    Args:
        frame: Width and height of the frames in pixels.
    """

    def __init__(self, frame: Size) -> None:
        self._frame = frame
        self._memory: dict[int, _Memory] = {}

    def place(
        self,
        blobs: Sequence[tuple[int, Blob]],
        sizes: Sequence[Sequence[Size]],
        occupancy: Occupancy,
        first_level: int = 0,
    ) -> list[Placement | None]:
        """Place the tags of a frame.

        Args:
            blobs: Id and largest blob of each object. Earlier objects choose their places first.
            sizes: Sizes of the tags of each object, from the longest to the shortest.
            occupancy: Areas of the objects; object i of `blobs` has the value i + 1.
            first_level: Index of the longest tag to use.

        Returns:
            One placement per object; None if every tag would leave the frame or overlap another tag.
        """
        memory: dict[int, _Memory] = {}
        taken: Boxes = np.zeros((0, 4), dtype=np.int64)
        placements: list[Placement | None] = []
        for value, ((key, blob), options) in enumerate(zip(blobs, sizes, strict=True), start=1):
            around, before = _Surroundings(occupancy, value, taken), self._memory.get(key)
            found = self._place_one(blob, options, first_level, before, around)
            placements.append(None)
            if found is not None:
                memory[key] = found
                taken = np.concatenate([taken, found.box])
                x0, y0, x1, y1 = found.box[0].tolist()
                placements[-1] = Placement(found.level, (x0, y0, x1, y1), _leader((x0, y0, x1, y1), blob))
        self._memory = memory
        return placements

    def _place_one(
        self, blob: Blob, sizes: Sequence[Size], first_level: int, before: _Memory | None, around: _Surroundings
    ) -> _Memory | None:
        """Choose the first size that has a place. After a shorter tag, a longer one has to wait."""
        target = _smooth(blob, before)
        if before is not None and before.age < MIN_FRAMES_OF_LEVEL:
            first_level = max(first_level, before.level)
        for level, size in enumerate(sizes):
            if level < first_level:
                continue
            if size[0] > self._frame[0] or size[1] > self._frame[1]:
                continue  # it would leave the frame
            chosen = self._choose(target, blob, size, before, around)
            if chosen is not None:
                spot, box = chosen
                age = before.age + 1 if before is not None and before.level == level else 0
                return _Memory(target, level, box, spot, age)
        return None

    def _choose(
        self, target: NDArray[np.float64], blob: Blob, size: Size, before: _Memory | None, around: _Surroundings
    ) -> tuple[Spots, Boxes] | None:
        """Keep the place of the previous frame, unless another place is much better."""
        kept, cost = None, math.inf
        if before is not None:
            box = _rest(before.box, _boxes(before.spot, target, size, self._frame))
            kept, cost = (before.spot, box), float(around.costs(box, blob)[0])
            if cost <= GOOD_COST:
                return kept
        spots = _spots(blob, size)
        boxes = _boxes(spots, target, size, self._frame)
        costs = around.costs(boxes, blob) + spots[:, 4]
        best = int(costs.argmin())
        if costs[best] < cost - MOVE_COST:
            return spots[best : best + 1], boxes[best : best + 1]
        return None if math.isinf(cost) else kept


class _Surroundings:
    """Objects and tags around one object."""

    def __init__(self, occupancy: Occupancy, value: int, taken: Boxes) -> None:
        self._occupancy, self._value, self._taken = occupancy, value, taken

    def costs(self, boxes: Boxes, blob: Blob) -> NDArray[np.float64]:
        """Return the cost of each box, (M,): infinite if it overlaps a tag."""
        others, own, hidden = self._occupancy.covered(boxes, self._value)
        distance = _distances(boxes, blob) / (boxes[0, 3] - boxes[0, 1])
        costs: NDArray[np.float64] = COVER_COST * others + SELF_COVER_COST * own + HIDE_COST * hidden
        costs += DISTANCE_COST * distance
        costs[distance > ATTACHED] += LEADER_COST
        if len(self._taken):
            costs[_overlap_any(boxes, self._taken)] = math.inf
        return costs


def _overlap_any(places: NDArray[np.int64], taken: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which boxes of `places`, (M, 4), overlap a box of `taken`, (P, 4)."""
    overlaps = (places[:, None, :2] < taken[None, :, 2:]) & (places[:, None, 2:] > taken[None, :, :2])  # (M, P, 2)
    return np.asarray(np.any(np.all(overlaps, axis=-1), axis=1))


def _spots(blob: Blob, size: Size) -> Spots:
    """Return the places that are tried: at the four sides, inside, and in rings around the object."""
    width, height = size
    x0, y0, x1, y1 = blob.box
    x, y = blob.points[:, 0], blob.points[:, 1]
    top, bottom = (_relative(x[y == edge].mean(), x0, x1) for edge in (y.min(), y.max()))
    left, right = (_relative(y[x == edge].mean(), y0, y1) for edge in (x.min(), x.max()))
    beside, above, gap = width / 2, height / 2, max(1.0, height / 8)
    spots = [
        (top, -1, 0, -above - gap, 0),  # over the highest point
        (-1, -1, beside, -above - gap, 0.1),
        (1, -1, -beside, -above - gap, 0.1),
        (bottom, 1, 0, above + gap, 0.15),
        (-1, 1, beside, above + gap, 0.2),
        (1, 1, -beside, above + gap, 0.2),
        (1, right, beside + gap, 0, 0.2),
        (-1, left, -beside - gap, 0, 0.2),
        (1, -1, beside + gap, above, 0.2),
        (-1, -1, -beside - gap, above, 0.2),
    ]
    if x1 - x0 > width + 2 * gap and y1 - y0 > 2 * height:  # it fits into the object
        spots += [(top, -1, 0, above + gap, 0), (0, 0, 0, 0, 0.1), (bottom, 1, 0, -above - gap, 0.1)]
    return np.concatenate([np.array(spots, dtype=np.float64), _rings(width, height)])


@cache
def _rings(width: int, height: int) -> Spots:
    """Return the places in rings around an object, (M, 5)."""
    angles = 2 * np.pi * np.arange(RING_DIRECTIONS) / RING_DIRECTIONS
    u, v = np.cos(angles), np.sin(angles)
    rings = []
    for distance in RING_DISTANCES:
        dx, dy = u * (width / 2 + distance * height), v * (height / 2 + distance * height)
        rings.append(np.stack([u, v, dx, dy, np.full_like(u, RING_COST)], axis=1))
    return np.concatenate(rings)


def _boxes(spots: Spots, target: NDArray[np.float64], size: Size, frame: Size) -> Boxes:
    """Return the boxes of tags of this size, moved into the frame."""
    middle, half = (target[:2] + target[2:]) / 2, (target[2:] - target[:2]) / 2
    corner = middle + spots[:, :2] * half + spots[:, 2:4] - np.array(size) / 2
    start = np.clip(np.rint(corner).astype(np.int64), 0, np.array(frame) - size)
    return np.concatenate([start, start + size], axis=1)


def _relative(value: float, start: float, end: float) -> float:
    """Return the place of a value in a range: -1 at the start, 1 at the end."""
    return 2 * (value - start) / max(end - start, 1) - 1


def _rest(before: Boxes, box: Boxes) -> Boxes:
    """Return the box of the previous frame if the tag would move by a few pixels only."""
    limit = max(1, round((box[0, 3] - box[0, 1]) * REST))
    return before if np.abs(before - box).max() <= limit and _size(before) == _size(box) else box


def _size(box: Boxes) -> Size:
    x0, y0, x1, y1 = box[0].tolist()
    return x1 - x0, y1 - y0


def _smooth(blob: Blob, before: _Memory | None) -> NDArray[np.float64]:
    """Return the box of a blob, averaged with the box of the previous frame if they overlap."""
    box = np.array(blob.box, dtype=np.float64)
    if before is None or np.any(box[:2] >= before.target[2:]) or np.any(box[2:] <= before.target[:2]):
        return box
    mixed: NDArray[np.float64] = BOX_SMOOTHING * box + (1 - BOX_SMOOTHING) * before.target
    return mixed


def _distances(boxes: Boxes, blob: Blob) -> NDArray[np.float64]:
    """Return the distance in pixels between each box and the border of the blob, (M,)."""
    x, y = blob.points.T
    x0, y0, x1, y1 = boxes.T[:, :, None].astype(np.float64)
    dx = np.maximum(np.maximum(x0 - x, x - x1 + 1), 0)  # (M, P)
    dy = np.maximum(np.maximum(y0 - y, y - y1 + 1), 0)
    distances: NDArray[np.float64] = np.sqrt((dx * dx + dy * dy).min(axis=1))
    return distances


def _leader(box: Box, blob: Blob) -> Line | None:
    """Return the line from a tag to the nearest point of its object, or None if they are close."""
    outside = np.maximum(np.maximum(np.array(box[:2]) - blob.points, blob.points - np.array(box[2:]) + 1), 0)
    gaps = np.hypot(outside[:, 0], outside[:, 1])
    nearest = int(gaps.argmin())
    if gaps[nearest] <= ATTACHED * (box[3] - box[1]):
        return None
    x, y = (round(value) for value in blob.points[nearest].tolist())
    return (min(max(x, box[0]), box[2] - 1), min(max(y, box[1]), box[3] - 1)), (x, y)

"""Selection of the frames of a clip from a video. The first one is the guidance frame. Used by `datasets`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from vis_cli.training.annotations import VideoClip

# Label of each object; None: its category has no label.
Labels: TypeAlias = Sequence[int | None]
FrameChoice: TypeAlias = Callable[[VideoClip, Labels, int, int, np.random.Generator], list[int]]


@dataclass(frozen=True, slots=True)
class NearFrames:
    """Clips that start at the item and continue in one direction in small steps."""

    max_gap: int = 10  # maximum distance of two frames of a clip that follow each other

    def __call__(
        self, video: VideoClip, labels: Labels, item: int, num_frames: int, rng: np.random.Generator
    ) -> list[int]:
        """Return the frames of a clip that starts at frame `item`."""
        del labels
        return draw_frames(item, len(video.frames), num_frames, self.max_gap, rng)


def uniform_frames(video: VideoClip, labels: Labels, item: int, num_frames: int, rng: np.random.Generator) -> list[int]:
    """Return the frames of a clip that ends at frame `item`. The guidance frame is any other frame of the video.

    Reference: Propose-Reduce, Sec. 3.1.3.
    """
    del labels
    return _lead_to(item, [frame for frame in range(len(video.frames)) if frame != item], num_frames, rng)


def covering_frames(
    video: VideoClip, labels: Labels, item: int, num_frames: int, rng: np.random.Generator
) -> list[int]:
    """Return the frames of a clip that ends at frame `item`, the query. Its guidance frame covers the query.

    Both frames show at least one common object. The guidance frame also shows all objects of the query whose class
    occurs in both frames. Without such a frame, the query is also the guidance frame.

    Reference: docs/explanation/authors-implementation.md#fact-41.
    """
    wanted = _visible(video, labels, item)
    others = [frame for frame in range(len(video.frames)) if frame != item]
    return _lead_to(item, [f for f in others if _covers(_visible(video, labels, f), wanted)], num_frames, rng)


def draw_frames(start: int, length: int, num_frames: int, max_gap: int, rng: np.random.Generator) -> list[int]:
    """Return frames from `start` forward or backward in time, at random distances.

    If the video is too short in the sampled direction, the other direction is used. If it is too short in both
    directions, frames are repeated.

    Args:
        start: Index of the first frame.
        length: Number of frames of the video.
        num_frames: Number of frames of the clip.
        max_gap: Maximum distance of two frames of the clip that follow each other, at least 1.
        rng: Source of all random numbers.
    """
    direction = 1 if rng.random() < 0.5 else -1
    room = {1: length - 1 - start, -1: start}
    if room[direction] < num_frames - 1 and room[-direction] > room[direction]:
        direction = -direction
    widest = min(max_gap, room[direction] // max(num_frames - 1, 1))
    gaps = rng.integers(1, widest + 1, num_frames - 1) if widest else np.zeros(num_frames - 1, np.int64)
    return [start + direction * int(step) for step in np.concatenate([[0], np.cumsum(gaps)])]


def _lead_to(item: int, candidates: Sequence[int], num_frames: int, rng: np.random.Generator) -> list[int]:
    """Return a random candidate, frames between it and the item, and the item, in this order."""
    if num_frames == 1:
        return [item]
    first = int(rng.choice(candidates)) if candidates else item
    low, high = sorted((first, item))
    between = np.sort(rng.integers(low, high + 1, num_frames - 2))
    return [first, *(int(frame) for frame in (between if first <= item else between[::-1])), item]


def _visible(video: VideoClip, labels: Labels, frame: int) -> dict[int, int]:
    """Return the labels of the objects that a frame shows, without crowds and objects without a label."""
    return {
        i: label
        for i, (item, label) in enumerate(zip(video.objects, labels, strict=True))
        if label is not None and not item.is_crowd and item.rles[frame] is not None
    }


def _covers(guide: dict[int, int], query: dict[int, int]) -> bool:
    shared = guide.keys() & query.keys()
    classes = set(guide.values())
    return bool(shared) and all(i in shared for i, label in query.items() if label in classes)


NEAR_FRAMES = NearFrames()
FRAME_CHOICES: dict[str, FrameChoice] = {"uniform": uniform_frames, "covering": covering_frames}

"""Which frames of a video make a clip; the first is its guidance frame. Used by `datasets`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from vis_cli.training.annotations import VideoClip

# Label of an object's category, None if it has none.
Labels: TypeAlias = Sequence[int | None]
FrameChoice: TypeAlias = Callable[[VideoClip, Labels, int, int, np.random.Generator], list[int]]


@dataclass(frozen=True, slots=True)
class NearFrames:
    """Start at the item and walk one way in small steps."""

    max_gap: int = 10  # frames from one frame of a clip to the next

    def __call__(
        self, video: VideoClip, labels: Labels, item: int, num_frames: int, rng: np.random.Generator
    ) -> list[int]:
        """Return the frames of a clip that starts at frame `item`."""
        del labels
        return draw_frames(item, len(video.frames), num_frames, self.max_gap, rng)


def uniform_frames(video: VideoClip, labels: Labels, item: int, num_frames: int, rng: np.random.Generator) -> list[int]:
    """Return a clip that ends at frame `item`, the query; any other frame of the video can be its guidance frame.

    See Propose-Reduce, Sec. 3.1.3.
    """
    del labels
    return _lead_to(item, [frame for frame in range(len(video.frames)) if frame != item], num_frames, rng)


def covering_frames(
    video: VideoClip, labels: Labels, item: int, num_frames: int, rng: np.random.Generator
) -> list[int]:
    """Return a clip that ends at frame `item`, the query; its guidance frame covers the classes of the query.

    The guidance frame shares an object with the query and, of each class that both show, has all objects of the query.
    If no frame does, the query guides itself. See docs/explanation/authors-implementation.md#fact-41.
    """
    wanted = _visible(video, labels, item)
    others = [frame for frame in range(len(video.frames)) if frame != item]
    return _lead_to(item, [f for f in others if _covers(_visible(video, labels, f), wanted)], num_frames, rng)


def draw_frames(start: int, length: int, num_frames: int, max_gap: int, rng: np.random.Generator) -> list[int]:
    """Return `num_frames` frames from `start` on, forward or backward, at random gaps of 1 to `max_gap`.

    A video too short for that direction is walked the other way; one too short for both repeats frames.
    """
    direction = 1 if rng.random() < 0.5 else -1
    room = {1: length - 1 - start, -1: start}
    if room[direction] < num_frames - 1 and room[-direction] > room[direction]:
        direction = -direction
    widest = min(max_gap, room[direction] // max(num_frames - 1, 1))
    gaps = rng.integers(1, widest + 1, num_frames - 1) if widest else np.zeros(num_frames - 1, np.int64)
    return [start + direction * int(step) for step in np.concatenate([[0], np.cumsum(gaps)])]


def _lead_to(item: int, candidates: Sequence[int], num_frames: int, rng: np.random.Generator) -> list[int]:
    """Return one of the candidates, frames between it and the item, and the item, in the order of walking there."""
    if num_frames == 1:
        return [item]
    first = int(rng.choice(candidates)) if candidates else item
    low, high = sorted((first, item))
    between = np.sort(rng.integers(low, high + 1, num_frames - 2))
    return [first, *(int(frame) for frame in (between if first <= item else between[::-1])), item]


def _visible(video: VideoClip, labels: Labels, frame: int) -> dict[int, int]:
    """Return object -> label of what a frame shows; crowds and what has no label are no objects."""
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

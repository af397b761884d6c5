"""Clips of small results, and a receiver of messages; used by the tests of the formats."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from tests.records.result_factory import make_instance, make_result
from vis_cli.records.exports.choice import Choice
from vis_cli.records.exports.clip import Clip, Target
from vis_cli.records.types import Category, InstanceSequence, VideoResult

SIZE = (48, 64)  # height, width
HARD_NAMES = ("a,b", 'say "x"', "two\nlines", "=1+1", "кошка", "猫 <&>", "\x01\ud800")


@dataclass
class Messages:
    """Messages of a writer."""

    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def note(self, message: str) -> None:
        self.notes.append(message)

    def warn(self, message: str) -> None:
        self.warnings.append(message)


def ring() -> NDArray[np.bool_]:
    """Draw a ring with a hole, and a separate part of one pixel."""
    mask = np.zeros(SIZE, np.uint8)
    cv2.circle(mask, (30, 24), 18, 1, -1)
    cv2.circle(mask, (33, 20), 6, 0, -1)
    mask[2, 2] = 1
    return mask.astype(bool)


def disk(x: int, y: int, radius: int) -> NDArray[np.bool_]:
    mask = np.zeros(SIZE, np.uint8)
    cv2.circle(mask, (x, y), radius, 1, -1)
    return mask.astype(bool)


def two_instances() -> list[InstanceSequence]:
    """Return an object with a gap in frame 1, and one from frame 1 on."""
    return [
        make_instance(1, [ring(), None, disk(20, 20, 10), disk(21, 20, 10)], score=0.75),
        make_instance(4, [None, disk(50, 30, 5), disk(51, 30, 5), np.zeros(SIZE, bool)], score=0.5, category_id=3),
    ]


def two_objects(name: str = "clip", **more: object) -> VideoResult:
    return make_result(two_instances(), name=name, size=SIZE, num_frames=4, **more)  # type: ignore[arg-type]


def hard_names() -> VideoResult:
    """Return a result with one instance per name that needs care."""
    categories = tuple(Category(number, name) for number, name in enumerate(HARD_NAMES, start=1))
    instances = [make_instance(item.id, [disk(20, 20, 5)], category_id=item.id) for item in categories]
    return make_result(instances, size=SIZE, categories=categories)


def write(
    writer: Callable[[Iterator[Clip], Target], int],
    path: Path,
    *results: VideoResult,
    choice: Choice | None = None,
    images: bool = False,
    **options: object,
) -> Messages:
    """Write results in a format, by default with exact polygons."""
    messages = Messages()
    clips = ((choice or Choice()).clip(result) for result in results)
    if images:
        clips = (Clip(clip.result, clip.frames, partial(grey_images, len(clip.frames))) for clip in clips)
    target = Target(path, messages, **{"tolerance": 0.0, **options})  # type: ignore[arg-type]
    writer(clips, target)
    return messages


def grey_images(count: int) -> Iterator[NDArray[np.uint8]]:
    return iter(np.full((*SIZE, 3), 40 * number, np.uint8) for number in range(count))


def iou(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    return float((a & b).sum() / (a | b).sum())


def fill(polygons: Sequence[Sequence[float]]) -> NDArray[np.bool_]:
    """Fill polygons of pixels as Ultralytics does: cut to integers, then `cv2.fillPoly`."""
    filled = np.zeros(SIZE, np.uint8)
    for polygon in polygons:
        cv2.fillPoly(filled, [np.asarray(polygon, np.float64).reshape(-1, 2).astype(np.int32)], 1)
    return filled.astype(bool)

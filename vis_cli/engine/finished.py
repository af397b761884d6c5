"""Finished windows of a video: masks that later frames do not change; made by `video_run`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from vis_cli.records.rle import Rle


@dataclass(frozen=True, slots=True)
class FinishedSequence:
    """One object in a finished window."""

    id: int  # the same in all windows
    category_id: int | None  # the best category so far. None: an object that the user gave
    score: float  # of this category so far, from 0 to 1
    masks: Mapping[int, Rle]  # by frame index in ascending order, at least one; at the size of the video


@dataclass(frozen=True, slots=True)
class FinishedWindow:
    """Consecutive frames of one shot whose masks are final."""

    frames: range  # frame indices in the video
    starts_shot: bool  # the first frame is the first frame of a shot
    is_last: bool  # the video ends with this window
    sequences: tuple[FinishedSequence, ...]  # the objects that these frames show
    num_live: int  # number of objects that continue in the next window

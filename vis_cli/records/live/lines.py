"""NAME.jsonl: the results of a live video, one line of JSON per frame. Used by `commands.live`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol

from vis_cli.records.live.video import LiveFrame
from vis_cli.records.rle import Rle, rle_box

TIME_DIGITS = 6  # microseconds
DELAY_DIGITS = 3


class MaskedSequence(Protocol):
    """One object in some frames, as `FinishedSequence` of the engine."""

    @property
    def id(self) -> int:
        """Return the id of the object."""

    @property
    def category_id(self) -> int | None:
        """Return its category."""

    @property
    def score(self) -> float:
        """Return its score so far."""

    @property
    def masks(self) -> Mapping[int, Rle]:
        """Return its masks by frame index."""


def iter_lines(
    frames: Iterable[tuple[int, LiveFrame]],
    sequences: Iterable[MaskedSequence],
    *,
    names: Mapping[int, str],
    confident_score: float,
    now: float,
) -> Iterator[str]:
    """Yield the line of each frame, without a line break.

    Args:
        frames: Index and description of the frames.
        sequences: The objects that they show.
        names: Names of the categories by id.
        confident_score: Minimum score of a confident instance.
        now: Unix time at which the masks are known, in seconds.
    """
    ranked = sorted(sequences, key=lambda sequence: sequence.id)
    for index, frame in frames:
        visible = [some for some in ranked if index in some.masks]
        line = {
            "frame": frame.number,
            "timestamp": round(frame.timestamp, TIME_DIGITS),
            "captured": round(frame.captured, TIME_DIGITS),
            "delay": round(now - frame.captured, DELAY_DIGITS),
            "instances": [_instance(some, some.masks[index], names, confident_score) for some in visible],
        }
        yield json.dumps(line, separators=(",", ":"), allow_nan=False)


def _instance(sequence: MaskedSequence, mask: Rle, names: Mapping[int, str], confident_score: float) -> dict[str, Any]:
    x, y, width, height = rle_box(mask)
    return {
        "id": sequence.id,
        "category_id": sequence.category_id,
        "category": None if sequence.category_id is None else names[sequence.category_id],
        "score": round(sequence.score, 4),
        "confident": sequence.score >= confident_score,
        "box": [x, y, x + width, y + height],
        "segmentation": mask,
    }

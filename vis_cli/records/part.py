"""A part of a video: its notation, and the frames that it means.

Used by `video_part`, which reads the frames of a part, and by `types` and `video_json`, which store it.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias

from vis_cli.errors import VisError
from vis_cli.files.names import printable

MICROSECONDS = 1_000_000  # per second; positions are compared in this unit, which NAME.json stores
MAX_VALUE = 10**15 - 1  # frame number, seconds or distance of frames, as on the command line; NAME.json stores it
NOTATION = "Use a frame number such as 120, seconds such as 5s or 5.5, or a timecode such as 1:20 or 0:01:20.5."

Given: TypeAlias = "int | float | str | None"  # position in a program or on the command line

_FRAME = re.compile(r"[0-9]{1,15}")
_SECONDS = re.compile(r"(?P<seconds>[0-9]{1,15}(?:\.[0-9]{1,15})?)s|(?P<decimal>[0-9]{1,15}\.[0-9]{1,15})")
_TIMECODE = re.compile(
    r"(?:(?P<hours>[0-9]{1,9}):(?P<minutes>[0-5][0-9])|(?P<all_minutes>[0-9]{1,9}))"
    r":(?P<seconds>[0-5][0-9](?:\.[0-9]{1,15})?)"
)


@dataclass(frozen=True, slots=True)
class Position:
    """A position in a video: a frame number, counted from 0, or a time in microseconds."""

    value: int
    is_time: bool

    def __str__(self) -> str:
        """Return the position in the notation of the command line: 120 or 5.5s."""
        if not self.is_time:
            return str(self.value)
        seconds, rest = divmod(self.value, MICROSECONDS)
        return f"{seconds}.{rest:06d}".rstrip("0").rstrip(".") + "s"


@dataclass(frozen=True, slots=True)
class PartRequest:
    """A part as the user gives it: every n-th frame from `start` to before `end`."""

    start: Position | None = None  # None: the start of the video
    end: Position | None = None  # first position after the part; None: the end of the video
    every: int = 1

    @property
    def uses_times(self) -> bool:
        """Return whether timestamps determine the frames."""
        return any(position is not None and position.is_time for position in (self.start, self.end))

    def __str__(self) -> str:
        """Return the options of the part."""
        options = (("--start", self.start), ("--end", self.end), ("--every", self.every if self.every > 1 else None))
        return " ".join(f"{name} {value}" for name, value in options if value is not None)


@dataclass(frozen=True, slots=True)
class VideoPart:
    """The frames of a part: every n-th frame of the video from `first` to before `end`."""

    first: int  # frame number of the first frame of the part
    end: int  # frame number after the part
    request: PartRequest
    ends_with_video: bool  # whether the video has no frame `end`

    @property
    def frames(self) -> range:
        """Return the frame numbers in the video. Frame i of the part has the number `frames[i]`."""
        return range(self.first, self.end, self.request.every)

    def __str__(self) -> str:
        """Return the frame numbers in words."""
        frames = self.frames
        if len(frames) == 1:
            return f"frame {self.first}"
        every = "" if frames.step == 1 else f", every {frames.step} frames"
        return f"frames {frames[0]} to {frames[-1]}{every}"


def make_request(start: Given = None, end: Given = None, every: int = 1) -> PartRequest | None:
    """Return the part that the user gives, or None for the complete video.

    Args:
        start: Start of the part: a frame number, seconds as a float, or a string in the notation of the command line.
        end: First position after the part, in the same notation.
        every: Distance of the frames of the part, from 1 to `MAX_VALUE`.

    Raises:
        VisError: A value is invalid, or the part is empty. Its field is the name of the argument.
    """
    if every < 1:
        raise VisError(f"is {every}", field="every", hint="Use a value of at least 1.")
    if every > MAX_VALUE:
        raise VisError(f"is {every}", field="every", hint=f"Use a value of at most {MAX_VALUE:,}.")
    request = PartRequest(parse_position(start, "start"), parse_position(end, "end"), every)
    if request.start == Position(0, is_time=False):
        request = PartRequest(None, request.end, every)
    _require_order(request)
    return None if request == PartRequest() else request


def parse_position(given: Given, field: str) -> Position | None:
    """Return a position, or None if it is not given.

    Raises:
        VisError: The value has another notation.
    """
    if given is None:
        return None
    if isinstance(given, str):
        position = _parse_text(given.strip())
    elif isinstance(given, int):
        position = Position(given, is_time=False) if 0 <= given <= MAX_VALUE else None
    else:
        is_valid = math.isfinite(given) and 0 <= given <= MAX_VALUE
        position = _time(Fraction(given)) if is_valid else None
    if position is None:
        shown = repr(printable(given)) if isinstance(given, str) else str(given)
        raise VisError(f"is {shown}", field=field, hint=NOTATION)
    return position


def _parse_text(text: str) -> Position | None:
    if _FRAME.fullmatch(text):
        return Position(int(text), is_time=False)
    if match := _SECONDS.fullmatch(text):
        return _time(Fraction(match["seconds"] or match["decimal"]))
    if match := _TIMECODE.fullmatch(text):
        minutes = int(match["all_minutes"] or int(match["hours"] or 0) * 60 + int(match["minutes"]))
        return _time(minutes * 60 + Fraction(match["seconds"]))
    return None


def _time(seconds: Fraction) -> Position:
    return Position(round(seconds * MICROSECONDS), is_time=True)


def _require_order(request: PartRequest) -> None:
    """Reject an end that is not after the start, if both are frame numbers or both are times."""
    start, end = request.start, request.end
    first = Position(0, is_time=end.is_time) if start is None and end is not None else start
    if first is not None and end is not None and first.is_time == end.is_time and end.value <= first.value:
        problem = f"is {end}, which is not after the start of the part, {first}"
        raise VisError(problem, field="end", hint="Use a later end: the part ends before this position.")

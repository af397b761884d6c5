"""Presentation times of the frames of a file, with its clock repaired.

Used by `video_file` for frames, by `sound` for audio and by `decoder`.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

MAX_PAUSE = 10  # seconds; a longer step of a clock that may jump is a jump, as in FFmpeg's dts_delta_threshold
MAX_BACKWARD = Fraction(1, 2)  # seconds; a smaller step back is a frame without a correct time of its own


@dataclass(frozen=True, slots=True)
class ClockSegment:
    """A part of a file between two jumps of its clock, in seconds."""

    first: Fraction  # time of the first frame by the file's clock
    last: Fraction
    shift: Fraction  # what is added to the file's clock


def is_jump(step: Fraction) -> bool:
    """Return whether a step from one packet or frame to the next, in seconds, is a jump of a clock that may jump."""
    return step > MAX_PAUSE or step < -MAX_BACKWARD


class FrameTimes:
    """Hold when each frame is shown, in ticks.

    A jump of the clock counts as one frame step. A frame without a time, or with a time that is not after the frame
    before it, follows that frame.
    """

    def __init__(self, frame_ticks: int, time_base: Fraction, *, may_jump: bool) -> None:
        """Start empty.

        Args:
            frame_ticks: The usual duration of a frame.
            time_base: Seconds of a tick.
            may_jump: Whether the format's clock may start again.
        """
        self.pts = array("q")  # strictly increasing
        self.shown = self.pts  # as shown; other ticks only where `settle` corrects guessed times
        self.end_pts = 0  # where the last frame ends
        self._frame_ticks = max(1, frame_ticks)
        self._time_base = time_base
        self._may_jump = may_jump
        self._shift = 0
        self._parts: list[tuple[int, int, int]] = []  # first and last time by the file's clock, shift
        self._num_faulty = 0

    @property
    def num_jumps(self) -> int:
        """Return how often the clock jumped."""
        return max(0, len(self._parts) - 1)

    @property
    def clock_segments(self) -> list[ClockSegment]:
        """Return the parts of the file between the jumps."""
        return [ClockSegment(*(ticks * self._time_base for ticks in part)) for part in self._parts]

    def append(self, pts: int | None, duration: int) -> None:
        """Add the next frame; a duration of 0 is unknown."""
        shown = None if pts is None else pts + self._shift
        if pts is not None and shown is not None and self.pts and self._is_jump(shown):
            self._shift += self.end_pts - shown
            self._parts.append((pts, pts, self._shift))
            shown = self.end_pts
        elif pts is None or shown is None or (self.pts and shown <= self.pts[-1]):
            self._num_faulty += 1
            shown = self.end_pts
        else:
            first = self._parts.pop()[0] if self._parts else pts
            self._parts.append((first, pts, self._shift))
        self.pts.append(shown)
        self.end_pts = shown + (duration if duration > 0 else self._frame_ticks)

    def settle(self, packet_dts: Sequence[int], *, guessed: bool) -> None:
        """Replace faulty times by the decoding times of the packets in order, where each frame has a packet.

        Args:
            packet_dts: Decoding times of the packets of the video stream.
            guessed: Whether the format stores no presentation times (AVI), so that all of them are guesses.
        """
        increasing = all(first < second for first, second in pairwise(packet_dts))
        if not self.pts or self.num_jumps or len(packet_dts) != len(self.pts) or not increasing:
            return
        last_ticks = self.end_pts - self.pts[-1]
        if self._num_faulty > 0:
            self.shown = array("q", packet_dts)
        elif guessed:  # late by the frames that the decoder reorders
            delay = max(0, min(pts - dts for pts, dts in zip(self.pts, packet_dts, strict=True)))
            self.shown = array("q", (pts - delay for pts in self.pts))
        self.end_pts = self.shown[-1] + last_ticks

    def _is_jump(self, shown: int) -> bool:
        return self._may_jump and is_jump((shown - self.pts[-1]) * self._time_base)


class AudioClock:
    """Shift the times of audio packets like those of the frames of the same recording."""

    def __init__(self, clock_segments: Sequence[ClockSegment], *, origin: Fraction, may_jump: bool) -> None:
        """Take the clock_segments of the frames.

        Args:
            clock_segments: From `FrameTimes`, in order.
            origin: Time of the file's clock that becomes 0, in seconds.
            may_jump: Whether the format's clock may start again.
        """
        self._following = list(clock_segments[1:])
        self._may_jump = may_jump
        self._origin = origin
        self._shift = Fraction(0)
        self._last: Fraction | None = None
        self._step = Fraction(0)

    def shift_at(self, seconds: Fraction, duration: Fraction) -> Fraction:
        """Return what is added to the time of the next audio packet; all in seconds."""
        shown = seconds + self._shift
        if self._last is not None and self._may_jump and is_jump(shown - self._last):
            self._shift = self._shift_after_jump(seconds)
            shown = seconds + self._shift
        self._last, self._step = shown, duration
        return self._shift - self._origin

    def _shift_after_jump(self, seconds: Fraction) -> Fraction:
        for number, segment in enumerate(self._following):
            if segment.first - MAX_PAUSE < seconds < segment.last + MAX_PAUSE:
                del self._following[: number + 1]
                return segment.shift
        assert self._last is not None
        return self._last + self._step - seconds

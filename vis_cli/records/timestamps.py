"""Timestamps of the frames and the audio of a file, with corrections for jumps of its clock and missing timestamps.

Used by `video_file` for frames, by `audio` for audio and by `decoder`. A tick is one unit of the time base.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from statistics import median_low

MAX_PAUSE = 10  # seconds; a longer step is a jump of the clock, as in FFmpeg's dts_delta_threshold
MAX_BACKWARD = Fraction(1, 2)  # seconds; a smaller step backward is a wrong timestamp of one frame


@dataclass(frozen=True, slots=True)
class ClockSegment:
    """A part of a file between two jumps of its clock, in seconds."""

    first: Fraction  # time of the first frame on the file's clock
    last: Fraction  # time of the last frame on the file's clock
    shift: Fraction  # to add to the file's clock


def is_jump(step: Fraction) -> bool:
    """Return whether a step from one packet or frame to the next, in seconds, is a jump of the clock."""
    return step > MAX_PAUSE or step < -MAX_BACKWARD


class FrameTimes:
    """Timestamps of the frames, in ticks.

    A jump of the clock counts as one frame. A frame without a timestamp, or with a timestamp that is not after the
    previous frame, is displayed after the previous frame.
    """

    def __init__(self, frame_ticks: int, time_base: Fraction, *, may_jump: bool) -> None:
        """Create an empty list of timestamps.

        Args:
            frame_ticks: Usual duration of a frame, in ticks.
            time_base: Duration of a tick, in seconds.
            may_jump: Whether the clock of the format can jump.
        """
        self.pts = array("q")  # strictly increasing
        self.shown = self.pts  # displayed timestamps; they differ from `pts` only if `settle` corrects them
        self.end_pts = 0  # end of the last frame
        self._frame_ticks = max(1, frame_ticks)
        self._time_base = time_base
        self._may_jump = may_jump
        self._shift = 0
        self._parts: list[tuple[int, int, int]] = []  # first and last time on the file's clock, and shift
        self.num_faulty = 0  # frames with a missing or wrong timestamp

    @property
    def num_jumps(self) -> int:
        """Return the number of jumps of the clock."""
        return max(0, len(self._parts) - 1)

    @property
    def clock_segments(self) -> list[ClockSegment]:
        """Return the parts of the file between the jumps."""
        return [ClockSegment(*(ticks * self._time_base for ticks in part)) for part in self._parts]

    def append(self, pts: int | None, duration: int) -> None:
        """Add the next frame. A duration of 0 is unknown."""
        shown = None if pts is None else pts + self._shift
        if pts is not None and shown is not None and self.pts and self._is_jump(shown):
            self._shift += self.end_pts - shown
            self._parts.append((pts, pts, self._shift))
            shown = self.end_pts
        elif pts is None or shown is None or (self.pts and shown <= self.pts[-1]):
            self.num_faulty += 1
            shown = self.end_pts
        else:
            first = self._parts.pop()[0] if self._parts else pts
            self._parts.append((first, pts, self._shift))
        self.pts.append(shown)
        self.end_pts = shown + (duration if duration > 0 else self._frame_ticks)

    def settle(self, packet_dts: Sequence[int], *, guessed: bool) -> None:
        """Replace wrong timestamps by the decoding timestamps of the packets, if there is one packet per frame.

        Args:
            packet_dts: Decoding timestamps of the packets of the video stream.
            guessed: Whether all timestamps are guesses of FFmpeg, because the format (AVI) does not store them.
        """
        if not self.pts:
            return
        last_ticks = self.end_pts - self.pts[-1]
        steps = [later - earlier for earlier, later in pairwise(packet_dts)]
        if not self.num_jumps and len(packet_dts) == len(self.pts) and all(step > 0 for step in steps):
            if self.num_faulty > 0 or (guessed and len(set(steps)) == 1):
                self.shown = array("q", packet_dts)
            elif guessed:  # too late by the number of frames that the decoder reorders
                delay = max(0, min(pts - dts for pts, dts in zip(self.pts, packet_dts, strict=True)))
                self.shown = array("q", (pts - delay for pts in self.pts))
        self.end_pts = self.shown[-1] + (self.usual_step or last_ticks if guessed else last_ticks)

    @property
    def usual_step(self) -> int:
        """Return the median of the steps from one frame to the next in ticks, or 0 for fewer than two frames."""
        return median_low(later - earlier for earlier, later in pairwise(self.shown)) if len(self.shown) > 1 else 0

    def _is_jump(self, shown: int) -> bool:
        return self._may_jump and is_jump((shown - self.pts[-1]) * self._time_base)


class AudioClock:
    """Clock of an audio stream. It shifts the packets of each clock segment like the frames of this segment."""

    def __init__(self, clock_segments: Sequence[ClockSegment], *, origin: Fraction, may_jump: bool) -> None:
        """Store the clock segments.

        Args:
            clock_segments: Clock segments of the frames, in order, from `FrameTimes`.
            origin: Time on the file's clock that becomes 0, in seconds.
            may_jump: Whether the clock of the format can jump.
        """
        self._following = list(clock_segments[1:])
        self._may_jump = may_jump
        self._origin = origin
        self._shift = Fraction(0)
        self._last: Fraction | None = None
        self._step = Fraction(0)

    def shift_at(self, seconds: Fraction, duration: Fraction) -> Fraction:
        """Return the shift to add to the timestamp of the next audio packet, in seconds.

        Args:
            seconds: Timestamp of the packet on the file's clock.
            duration: Duration of the packet in seconds.
        """
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

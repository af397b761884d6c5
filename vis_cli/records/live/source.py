"""Protocol of the sources of live video, and their common parts: frames with capture times, and a clock."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from threading import Event
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from vis_cli.records.timestamps import is_jump

OPEN_SECONDS = 10.0  # maximum time until a source sends its first frame
STALL_SECONDS = 10.0  # maximum time without data. Then the source has stopped
FALLBACK_FPS = 25.0  # of a source that reports no frame rate. Only the printed delay depends on it


@dataclass(frozen=True, slots=True)
class Capture:
    """One frame that a source has sent. It is converted to RGB only if the engine reads it."""

    number: int  # of all frames that the source has sent, counted from 0
    timestamp: float  # seconds since the first frame, on the clock of the source
    captured: float  # Unix time at which `vis` received the frame, in seconds
    image: Callable[[], NDArray[np.uint8]]  # returns the frame as (H, W, 3) RGB


class LiveSource(Protocol):
    """An opened camera, network stream or pipe."""

    @property
    def name(self) -> str:
        """Return the name of the output files, without extension."""

    @property
    def shown(self) -> str:
        """Return the source as it is printed, without passwords."""

    @property
    def width(self) -> int:
        """Return the width of the frames in pixels."""

    @property
    def height(self) -> int:
        """Return the height of the frames in pixels."""

    @property
    def fps(self) -> float:
        """Return the nominal number of frames per second."""

    @property
    def pixel_aspect(self) -> Fraction:
        """Return the displayed width of a pixel divided by its height."""

    @property
    def warnings(self) -> list[str]:
        """Return warnings about damaged or unused parts of the source."""

    def iter_captures(self, stop: Event) -> Iterator[Capture]:
        """Yield the frames as they arrive, until the source ends or `stop` is set. Then close the source.

        One thread iterates once.

        Raises:
            VisError: The source has stopped in the middle.
        """

    def close(self) -> None:
        """Close a source that no thread reads."""


class LiveClock:
    """Timestamps of the frames of a source: strictly increasing, from 0.

    The timestamps of the source count. If they are missing or jump, the time of arrival counts instead. A frame with
    the timestamp of the previous frame follows at once.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic, *, step: float | None = None) -> None:
        """Start before the first frame.

        Args:
            now: Clock of this machine, in seconds.
            step: Duration of a frame of a file in seconds, which counts instead of the time of arrival. None: the
                source is live.
        """
        self._now = now
        self._step = step
        self._shift = 0.0
        self._seconds: float | None = None  # time of the previous frame on the clock of the source
        self._last: tuple[float, float] | None = None  # timestamp and arrival of the previous frame

    def timestamp(self, seconds: float | None) -> float:
        """Return the timestamp of the next frame.

        Args:
            seconds: Its time on the clock of the source. None: unknown.
        """
        arrival = self._now()
        if self._last is None:
            self._shift, shown = -(seconds or 0.0), 0.0
        elif seconds is not None and seconds == self._seconds:
            shown = self._last[0] + MIN_STEP
        else:
            last, last_arrival = self._last
            step = None if seconds is None else seconds + self._shift - last
            if step is None or step <= 0 or is_jump(Fraction(step)):
                step = self._step or max(arrival - last_arrival, MIN_STEP)
            shown = last + step
            if seconds is not None:
                self._shift = shown - seconds
        self._seconds, self._last = seconds, (shown, arrival)
        return shown


MIN_STEP = 0.001  # seconds between two frames that have the same timestamp or arrive at the same time

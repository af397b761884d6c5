"""Queue between the thread that captures frames and the engine. Its memory is bounded: it drops frames.

Used by `video`.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from threading import Condition, Event

from vis_cli.records.live.source import Capture

POLL_SECONDS = 0.1  # between checks whether the user has stopped the capture


class FrameQueue:
    """Frames that wait for the engine.

    If the engine is too slow, the queue measures its speed and keeps evenly spaced frames at this speed: tracking
    needs small and equal steps from frame to frame. A full queue drops its oldest frame.
    """

    def __init__(self, capacity: int, stop: Event, now: Callable[[], float] = time.monotonic) -> None:
        """Start empty.

        Args:
            capacity: Maximum number of waiting frames. The speed is measured over as many frames.
            stop: Set if the capture stops. `get` then returns the waiting frames, and ends.
            now: Clock in seconds.
        """
        self.num_captured = 0  # frames of the source
        self.num_dropped = 0
        self._waiting: deque[Capture] = deque()
        self._capacity = capacity
        self._stop = stop
        self._now = now
        self._changed = Condition()
        self._has_ended = False
        self._kept_fraction, self._due = 1.0, 0.0
        self._last = 0.0  # timestamp of the newest frame of the source
        self._start: tuple[float, float, int] | None = None  # time, `_last` and `num_captured` when a measurement began
        self._num_taken, self._idle = 0, 0.0  # since then: frames for the engine, and its seconds without a frame

    def put(self, capture: Capture) -> None:
        """Add a frame, or drop it."""
        with self._changed:
            self.num_captured += 1
            self._last = capture.timestamp
            self._due += self._kept_fraction
            if self._due < 1.0:
                self.num_dropped += 1
                return
            self._due -= 1.0
            if len(self._waiting) == self._capacity:
                self._waiting.popleft()
                self.num_dropped += 1
            self._waiting.append(capture)
            self._changed.notify()

    def end(self) -> None:
        """Mark the end of the source."""
        with self._changed:
            self._has_ended = True
            self._changed.notify()

    def get(self) -> Capture | None:
        """Return the oldest frame, and wait for it if necessary. Return None at the end."""
        with self._changed:
            asked = self._now()
            while not (self._waiting or self._has_ended or self._stop.is_set()):
                self._changed.wait(POLL_SECONDS)
            self._measure(asked)
            return self._waiting.popleft() if self._waiting else None

    def _measure(self, asked: float) -> None:
        """Update the fraction of frames to keep, each time the engine has taken `capacity` frames."""
        now = self._now()
        if self._start is None:
            self._start = now, self._last, self.num_captured
            return
        self._num_taken += 1
        self._idle += now - asked
        if self._num_taken < self._capacity:
            return
        start, first, num_before = self._start
        busy = max(now - start - self._idle, 0.0)
        # Frames can arrive in bursts, faster than on the clock of the source, or late, slower than on this clock.
        num_sent, seconds = self.num_captured - num_before, max(self._last - first, now - start)
        num_while_busy = num_sent * busy / seconds if seconds > 0 else 0.0
        self._kept_fraction = min(1.0, self._num_taken / num_while_busy) if num_while_busy else 1.0
        self._start, self._num_taken, self._idle = (now, self._last, self.num_captured), 0, 0.0

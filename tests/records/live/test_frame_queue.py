"""The queue drops frames evenly if the engine is too slow, and never grows."""

from __future__ import annotations

from itertools import pairwise
from threading import Event

import numpy as np
import pytest

from vis_cli.records.live.frame_queue import FrameQueue
from vis_cli.records.live.source import Capture

FPS = 25


def make_capture(number: int) -> Capture:
    return Capture(number, number / FPS, 0.0, lambda: np.zeros((1, 1, 3), np.uint8))


class Simulation:
    """A source with 25 frames per second, and an engine that takes `window` frames and then works for some time."""

    def __init__(self, window: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        self.num_sent = 0
        self.window = window
        self.queue = FrameQueue(window, Event(), lambda: self.now)
        monkeypatch.setattr(self.queue._changed, "wait", lambda timeout: self.send(1))

    def send(self, num_frames: int, step: float = 1 / FPS) -> None:
        for _ in range(num_frames):
            self.now += step
            self.queue.put(make_capture(self.num_sent))
            self.num_sent += 1

    def run(self, num_windows: int, frames_per_window: int) -> list[int]:
        """Return the numbers of the frames of the last window."""
        taken: list[int] = []
        for _ in range(num_windows):
            captures = [self.queue.get() for _ in range(self.window)]
            taken = [capture.number for capture in captures if capture is not None]
            self.send(frames_per_window)
        return taken


def test_without_an_engine_the_newest_frames_wait() -> None:
    queue = FrameQueue(4, Event())
    for number in range(10):
        queue.put(make_capture(number))
    queue.end()
    assert (queue.num_captured, queue.num_dropped) == (10, 6)
    captures = [queue.get() for _ in range(5)]
    assert [capture and capture.number for capture in captures] == [6, 7, 8, 9, None]


def test_a_fast_engine_gets_every_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    simulation = Simulation(8, monkeypatch)
    assert simulation.run(10, 6) == list(range(72, 80))
    assert simulation.queue.num_dropped == 0


@pytest.mark.parametrize("frames_per_window", [10, 20, 33, 80])
def test_a_slow_engine_gets_evenly_spaced_frames(frames_per_window: int, monkeypatch: pytest.MonkeyPatch) -> None:
    simulation = Simulation(8, monkeypatch)
    simulation.run(6, frames_per_window)
    dropped_before = simulation.queue.num_dropped
    numbers = [*simulation.run(1, frames_per_window), *simulation.run(1, frames_per_window)]
    step = frames_per_window / 8
    assert all(int(step) <= after - before <= int(step) + 1 for before, after in pairwise(numbers))
    dropped = simulation.queue.num_dropped - dropped_before
    assert dropped == pytest.approx(2 * (frames_per_window - 8), abs=2)


def test_an_engine_that_gets_faster_gets_every_frame_again(monkeypatch: pytest.MonkeyPatch) -> None:
    simulation = Simulation(8, monkeypatch)
    simulation.run(4, 40)
    simulation.run(3, 4)
    numbers = simulation.run(1, 4)
    assert numbers == list(range(numbers[0], numbers[0] + 8))


def test_a_burst_of_frames_does_not_change_the_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    simulation = Simulation(8, monkeypatch)
    simulation.run(1, 0)
    simulation.send(20, step=0.001)  # a connection has delayed these frames
    assert simulation.queue.num_dropped == 12
    simulation.run(4, 6)
    assert simulation.queue.num_dropped == 12


def test_the_end_of_the_capture_ends_the_wait() -> None:
    stop = Event()
    queue = FrameQueue(4, stop)
    queue.put(make_capture(0))
    stop.set()
    assert queue.get() is not None
    assert queue.get() is None

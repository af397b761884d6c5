"""A live source from memory, whose frames arrive when the test wants it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from threading import Event

import numpy as np
from numpy.typing import NDArray

from vis_cli.errors import VisError
from vis_cli.records.live.source import Capture

WAIT = 0.02  # seconds between checks
STEP = 10.0  # seconds from frame to frame: a busy machine is not too slow for this source


@dataclass
class FakeSource:
    """Send frames: the next one when the previous one was read, or all at once."""

    images: Iterable[NDArray[np.uint8]]
    waits: bool = True
    failure: VisError | None = None  # after the last frame
    before: Callable[[int], None] | None = None  # called with the number of each frame
    timestamps: Callable[[int], float] = lambda number: number * STEP
    width: int = 32
    height: int = 24
    fps: float = 25.0
    name: str = "camera0"
    shown: str = "camera 0"
    pixel_aspect: Fraction = Fraction(1)
    warnings: list[str] = field(default_factory=list)
    num_closed: int = 0

    def iter_captures(self, stop: Event) -> Iterator[Capture]:
        try:
            for number, image in enumerate(self.images):
                if self.before is not None:
                    self.before(number)
                was_read = Event()
                yield Capture(number, self.timestamps(number), time.time(), _reader(image, was_read))
                while self.waits and not was_read.wait(WAIT) and not stop.is_set():
                    pass
                if stop.is_set():
                    return
            if self.failure is not None:
                raise self.failure
        finally:
            self.close()

    def close(self) -> None:
        self.num_closed += 1


def _reader(image: NDArray[np.uint8], was_read: Event) -> Callable[[], NDArray[np.uint8]]:
    def read() -> NDArray[np.uint8]:
        was_read.set()
        return image

    return read


def grey_frames(num_frames: int) -> Iterator[NDArray[np.uint8]]:
    return (np.full((24, 32, 3), number % 200, np.uint8) for number in range(num_frames))

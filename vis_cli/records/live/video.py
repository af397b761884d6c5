"""Live video as frames for the engine, with the capture times of the frames whose masks are not final.

Used by `commands.live`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from threading import Event, Thread

import cv2
import numpy as np
from numpy.typing import NDArray

from vis_cli.errors import VisError
from vis_cli.files.library_output import silenced_libraries
from vis_cli.records.live.frame_queue import FrameQueue
from vis_cli.records.live.source import LiveSource
from vis_cli.records.timestamps import ClockSegment

JPEG_QUALITY = 95  # of frames that wait for the overlay. They need about a tenth of the memory
JOIN_SECONDS = 1.0  # maximum time to wait for the capture thread at the end


@dataclass(frozen=True, slots=True)
class LiveFrame:
    """A frame that the engine has read."""

    number: int  # of all frames of the source, counted from 0
    timestamp: float  # seconds since the first frame of the source
    captured: float  # Unix time in seconds
    jpeg: NDArray[np.uint8] | None  # None: the image is not needed

    def image(self) -> NDArray[np.uint8]:
        """Return the frame as (H, W, 3) uint8 RGB."""
        if self.jpeg is None:
            raise ValueError("the image was not kept")
        with silenced_libraries():
            decoded = cv2.imdecode(self.jpeg, cv2.IMREAD_COLOR_RGB)
        if decoded is None:
            raise ValueError("the image is damaged")
        return np.asarray(decoded, np.uint8)


class LiveVideo:
    """A live source as a `Video`. The frames can be read once.

    A thread captures the frames. Dropped frames are not part of the video: frame index i is the i-th frame that the
    engine reads, and `LiveFrame` has its number and its timestamp in the source.
    """

    frame_names: tuple[str, ...] | None = None
    num_frames: int | None = None
    has_audio = False
    time_base = Fraction(1, 90_000)  # clock of MPEG, for the overlay
    clock_segments: Sequence[ClockSegment] = ()
    part = None
    span = None

    def __init__(self, source: LiveSource, *, capacity: int, keeps_images: bool) -> None:
        """Prepare the capture. It starts when the first frame is read.

        Args:
            source: An opened source.
            capacity: Maximum number of frames that wait for the engine.
            keeps_images: Keep the images of the frames until `take`, for the overlay.
        """
        self.name, self.shown, self.path = source.name, source.shown, Path(source.shown)
        self.width, self.height = source.width, source.height
        self.fps, self.pixel_aspect = source.fps, source.pixel_aspect
        self.failure: VisError | None = None  # why the source stopped
        self._source = source
        self._stop = Event()
        self._queue = FrameQueue(capacity, self._stop)
        self._keeps_images = keeps_images
        self._pending: deque[LiveFrame] = deque()
        self._thread: Thread | None = None

    def __enter__(self) -> LiveVideo:
        """Return the video."""
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        """Stop the capture, and close the source."""
        self._stop.set()
        if self._thread is None:
            self._source.close()
        else:
            self._thread.join(JOIN_SECONDS)  # the thread closes the source, at the latest after the timeout of a read

    @property
    def warnings(self) -> list[str]:
        """Return warnings about the source."""
        return self._source.warnings

    @property
    def num_captured(self) -> int:
        """Return the number of frames of the source so far."""
        return self._queue.num_captured

    @property
    def num_dropped(self) -> int:
        """Return the number of dropped frames so far."""
        return self._queue.num_dropped

    def stop(self) -> None:
        """Stop the capture. The engine still gets the frames that wait."""
        self._stop.set()

    def iter_frames(self) -> Iterator[NDArray[np.uint8]]:
        """Yield the frames as (H, W, 3) uint8 RGB, until the source ends, stops or is stopped.

        Raises:
            VisError: The source is read a second time.
        """
        if self._thread is not None:
            hint = "Use another detector, such as a model folder."
            raise VisError("a live video cannot be read a second time", where=self.shown, hint=hint)
        self._thread = Thread(target=self._capture, name="vis-capture", daemon=True)
        self._thread.start()
        while (capture := self._queue.get()) is not None:
            image = capture.image()
            jpeg = _compressed(image) if self._keeps_images else None
            self._pending.append(LiveFrame(capture.number, capture.timestamp, capture.captured, jpeg))
            yield image

    def take(self, frames: range) -> list[LiveFrame]:
        """Remove and return the frames of a finished window. The windows are taken in order."""
        return [self._pending.popleft() for _ in frames]

    def count_frames(self) -> int:
        """Raise a ValueError: a live video has no number of frames."""
        raise ValueError("a live video has no number of frames")

    def settle_times(self) -> None:
        """Do nothing: the timestamps of `LiveFrame` are final."""

    def frame_pts(self, number: int) -> int:
        """Raise a ValueError: `LiveFrame` has the timestamps."""
        raise ValueError("a live video has no timestamps by index")

    def _capture(self) -> None:
        """Read the source until it ends. This runs in a thread."""
        try:
            for capture in self._source.iter_captures(self._stop):
                self._queue.put(capture)
        except VisError as error:
            self.failure = error
        except Exception as error:  # the engine would wait for ever for a thread that has ended
            self.failure = VisError(f"cannot read {self.shown}: {error}")
        finally:
            self._queue.end()


def _compressed(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    quality = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    with silenced_libraries():
        return np.asarray(cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), quality)[1], np.uint8)

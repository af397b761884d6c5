"""Cameras of this machine, read with OpenCV. The wheels of PyAV cannot read cameras. Used by `opening`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from fractions import Fraction
from functools import partial
from threading import Event

import cv2
import numpy as np
from numpy.typing import NDArray

from vis_cli.errors import VisError
from vis_cli.files.library_output import silenced_libraries
from vis_cli.records.live.source import FALLBACK_FPS, Capture, LiveClock


class Camera:
    """A camera. Its frames have the time of their arrival."""

    pixel_aspect = Fraction(1)

    def __init__(self, device: int | str) -> None:
        """Open a camera and read its first frame, which determines the size.

        Args:
            device: Number of the camera, counted from 0, or its device file.

        Raises:
            VisError: There is no such camera, or it sends no frame.
        """
        self.shown = f"camera {device}" if isinstance(device, int) else device
        self.name = f"camera{device}" if isinstance(device, int) else device.rpartition("/")[2]
        self.warnings: list[str] = []
        with silenced_libraries():
            backend = cv2.CAP_ANY if isinstance(device, int) else cv2.CAP_V4L2
            self._camera = cv2.VideoCapture(device, backend)
            is_open = self._camera.isOpened()
            first = _read(self._camera) if is_open else None
        if first is None:
            self.close()
            cause = "it sends no frame" if is_open else "there is no such camera, or another program uses it"
            hint = "Check its number and its permissions: cameras are counted from 0."
            raise VisError(f"cannot read {self.shown}: {cause}", hint=hint)
        self._first: NDArray[np.uint8] | None = first
        self.height, self.width = first.shape[:2]
        fps = float(self._camera.get(cv2.CAP_PROP_FPS))
        self.fps = fps if 0 < fps < MAX_FPS else FALLBACK_FPS

    def iter_captures(self, stop: Event) -> Iterator[Capture]:
        """Yield the frames as they arrive. See `LiveSource`.

        Raises:
            VisError: The camera sends no more frames.
        """
        clock, started, number = LiveClock(), time.monotonic(), 0
        try:
            while not stop.is_set():
                frame = _read(self._camera) if self._first is None else self._first
                if frame is None:
                    seconds = time.monotonic() - started
                    problem = f"{self.shown} stopped after {seconds:.1f} s: it sends no more frames"
                    raise VisError(problem, hint="Check its cable.")
                self._first = None
                yield Capture(number, clock.timestamp(None), time.time(), partial(_rgb, frame))
                number += 1
        finally:
            self.close()

    def close(self) -> None:
        """Release the camera."""
        self._camera.release()


MAX_FPS = 1000.0  # some drivers report a frame rate without a meaning


def _read(camera: cv2.VideoCapture) -> NDArray[np.uint8] | None:
    """Return the next frame (H, W, 3) BGR, None if there is no frame."""
    has_frame, frame = camera.read()
    return np.asarray(frame, np.uint8) if has_frame else None


def _rgb(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB), np.uint8)

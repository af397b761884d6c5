"""Cameras of OpenCV, with a fake driver."""

from __future__ import annotations

from threading import Event

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from vis_cli.errors import VisError
from vis_cli.records.live.camera import Camera


class FakeCapture:
    """Three blue frames, then nothing."""

    num_frames = 3
    fps = 30.0
    released = 0

    def __init__(self, device: int | str, backend: int) -> None:
        self.opened = device, backend

    def isOpened(self) -> bool:  # noqa: N802
        return True

    def read(self) -> tuple[bool, NDArray[np.uint8] | None]:
        self.num_frames -= 1
        return (True, np.full((24, 32, 3), (200, 0, 0), np.uint8)) if self.num_frames >= 0 else (False, None)

    def get(self, key: int) -> float:
        return self.fps

    def release(self) -> None:
        FakeCapture.released += 1


@pytest.fixture(autouse=True)
def fake_capture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "VideoCapture", FakeCapture)
    monkeypatch.setattr(FakeCapture, "released", 0)


def test_frames_in_rgb_until_the_camera_is_gone() -> None:
    camera = Camera(1)
    assert (camera.name, camera.width, camera.height, camera.fps) == ("camera1", 32, 24, 30.0)
    captures = camera.iter_captures(Event())
    read = [next(captures) for _ in range(3)]
    with pytest.raises(VisError, match=r"camera 1 stopped after \d+\.\d s: it sends no more frames"):
        next(captures)
    assert [capture.number for capture in read] == [0, 1, 2]
    assert [capture.image()[0, 0].tolist() for capture in read] == [[0, 0, 200]] * 3
    assert FakeCapture.released == 1


def test_a_camera_without_a_frame_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeCapture, "fps", 0.0)
    assert Camera("/dev/video2").fps == 25.0
    assert Camera("/dev/video2").name == "video2"


def test_a_camera_that_sends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeCapture, "num_frames", 0)
    with pytest.raises(VisError, match="cannot read camera 0: it sends no frame"):
        Camera(0)
    assert FakeCapture.released == 1

"""Lengths from headers agree with the decoded videos, and tell when they are estimates."""

from __future__ import annotations

from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from tests.records.video_factory import make_video
from vis_cli.errors import VisError
from vis_cli.records import video_file
from vis_cli.records.header_length import HeaderLength, read_length
from vis_cli.records.part import make_request
from vis_cli.records.video import open_video


def make_mkv(path: Path, num_frames: int) -> Path:
    """Write a file whose header has a duration and no number of frames."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        for number in range(num_frames):
            image = np.full((32, 32, 3), number, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(
    ("start", "end", "every"),
    [(None, None, 1), (2, None, 1), (None, 5, 1), (1, 6, 2), (0.2, 0.6, 1), (3, 99, 1), (None, None, 3)],
)
def test_agrees_with_the_decoded_video(tmp_path: Path, start: float | None, end: float | None, every: int) -> None:
    frames = tmp_path / "frames"
    frames.mkdir()
    for number in range(7):
        assert cv2.imwrite(str(frames / f"{number}.png"), np.zeros((4, 6, 3), np.uint8))
    request = make_request(start, end, every)
    for path in (make_video(tmp_path, num_frames=7), make_mkv(tmp_path / "a.mkv", 7), frames):
        found = read_length(path, request)
        assert found is not None
        assert found.num_frames == open_video(path, start=start, end=end, every=every).count_frames()
        assert found.is_estimated == (path.suffix == ".mkv" or isinstance(start, float))


def test_unknown_lengths(tmp_path: Path) -> None:
    (tmp_path / "bad.mp4").write_bytes(b"damaged")
    with pytest.raises(VisError, match="cannot read"):
        read_length(tmp_path / "bad.mp4", None)
    (tmp_path / "empty").mkdir()
    assert read_length(tmp_path / "empty", None) is None
    assert read_length(make_video(tmp_path, num_frames=3), make_request(5)) is None
    assert cv2.imwrite(str(tmp_path / "one.png"), np.zeros((4, 6, 3), np.uint8))
    assert read_length(tmp_path / "one.png", None) == HeaderLength(1, is_estimated=False)


def test_no_frame_is_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make_video(tmp_path, num_frames=3)

    def fail(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(video_file, "decoded_frames", fail)
    assert read_length(path, None) == HeaderLength(3, is_estimated=False)

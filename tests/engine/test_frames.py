"""Network size, the one resize, and frames within a byte budget."""

from __future__ import annotations

import resource
import signal
import tempfile
from pathlib import Path
from typing import cast

import numpy as np
import pytest

from vis_cli.engine.frames import FrameStore, network_size, resize_frame
from vis_cli.engine.windows import iter_windows
from vis_cli.errors import VisError
from vis_cli.records.video import Video

from .fakes import HEIGHT, WIDTH, FakeVideo, make_video, moving_boxes

FRAME_BYTES = HEIGHT * WIDTH * 3


@pytest.mark.parametrize(
    ("video", "expected"),
    [
        ((720, 1280), (360, 640)),
        ((360, 480), (360, 480)),
        ((1280, 720), (640, 360)),
        ((480, 854), (360, 640)),
        ((2, 2), (360, 360)),
        ((2, 4000), (1, 640)),
        ((1, 1), (360, 360)),
        ((4000, 2), (640, 1)),
    ],
)
def test_network_size_keeps_the_shape(video: tuple[int, int], expected: tuple[int, int]) -> None:
    assert network_size(video, short_side=360, long_side=640) == expected


def test_resize_is_bilinear_without_antialiasing() -> None:
    frame = np.zeros((4, 8, 3), dtype=np.uint8)
    frame[:, ::4] = 200
    small = resize_frame(frame, (1, 2))  # samples halfway between columns 1 and 2, and 5 and 6: no 200 is near
    assert small.shape == (1, 2, 3)
    assert small.max() == 0


def test_a_frame_of_the_right_size_is_copied() -> None:
    frame = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    flipped = frame[::-1]
    resized = resize_frame(flipped, (2, 4))
    np.testing.assert_array_equal(resized, flipped)
    assert resized.flags.c_contiguous
    assert not np.shares_memory(resized, frame)


@pytest.mark.parametrize("frames_in_budget", [0, 1, 5, 8, 100])
def test_every_budget_gives_the_same_frames(frames_in_budget: int) -> None:
    video = make_video(moving_boxes(10))
    store = _store(video, frames_in_budget)
    assert store.num_frames == 10
    for index in (*range(10), *reversed(range(10))):
        np.testing.assert_array_equal(store[index], video.frames[index])


@pytest.mark.parametrize("frames_in_budget", [0, 4, 10])
def test_a_clip_is_decoded_once(frames_in_budget: int) -> None:
    video = make_video(moving_boxes(10))
    store = _store(video, frames_in_budget)
    for index in (*range(10), *reversed(range(10))):
        store[index]
    assert video.decoded == list(range(10))


def test_memory_does_not_grow_with_the_clip() -> None:
    for num_frames in (20, 200):
        store = _store(make_video([{}] * num_frames), 8)
        for index in range(num_frames):
            store[index]
        assert len(store._kept) == 8


def test_the_temporary_file_has_no_name_and_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with _store(make_video(moving_boxes(10)), 2) as store:
        assert list(tmp_path.iterdir()) == []
    with pytest.raises(ValueError, match="closed"):
        store[5]
    store[1]  # in memory


def test_frames_of_the_file_can_be_written_to() -> None:
    store = _store(make_video(moving_boxes(3)), 1)
    store[2][:] = 0
    assert store[2].any()


def test_a_full_disk_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (FRAME_BYTES * 3 + 10, hard))
    try:
        with pytest.raises(VisError, match=rf"^cannot store frames in {tmp_path}: .*\. Set TMPDIR to a folder"):
            _store(make_video(moving_boxes(10)), 2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)


def test_frames_are_kept_at_the_networks_size() -> None:
    video = make_video(moving_boxes(3), size=(48, 64))
    store = _store(video, 3)
    assert store[2].shape == (24, 32, 3)
    np.testing.assert_array_equal(store[2], resize_frame(video.frames[2], (24, 32)))
    assert video.decoded == [0, 1, 2]


def test_progress_tells_the_frames_read() -> None:
    calls: list[tuple[str, int, int]] = []
    video = make_video(moving_boxes(2))
    video.num_frames = 5  # what the container claims
    windows = iter_windows(
        cast(Video, video),
        (24, 32),
        length=None,
        cuts=False,
        budget_bytes=0,
        progress=lambda stage, done, total: calls.append((stage, done, total)),
    )
    next(windows).frames.close()
    assert calls == [("read", 1, 5), ("read", 2, 5)]


def test_a_video_without_frames_is_refused() -> None:
    with pytest.raises(VisError, match=r"^cannot read clip\.mp4: no frame decodes\. Check that"):
        _store(FakeVideo([]), 8)


def _store(video: FakeVideo, frames_in_budget: int) -> FrameStore:
    budget = FRAME_BYTES * frames_in_budget
    windows = iter_windows(
        cast(Video, video), (HEIGHT, WIDTH), length=None, cuts=False, budget_bytes=budget, progress=lambda *_: None
    )
    return next(windows).frames

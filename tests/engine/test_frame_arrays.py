"""Arrays and iterables as videos: the same results as files, read once where once is enough, and errors."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from vis_cli import PRESETS, BoxPrompt, VideoResult, segment_video
from vis_cli.engine.frame_arrays import FrameStream, as_video
from vis_cli.engine.frames import FrameStore
from vis_cli.errors import VisError
from vis_cli.records.types import ModelInfo
from vis_cli.settings import PAPER, RunSettings
from vis_cli.zoo.weights import LoadedModel

from .fakes import FakeNetwork, drawn_masks, make_video, moving_boxes, segment

CPU = RunSettings(device="cpu", precision="float32")
VIDEO = make_video(moving_boxes(6))
STACK = np.stack(VIDEO.frames)
SETTINGS = dataclasses.replace(PAPER, early_reduction_iou=1.0)


def run(frames: Any, **options: Any) -> VideoResult:
    model = LoadedModel(FakeNetwork(), ModelInfo("fake", "0" * 64))
    return segment_video(frames, **{"model": model, "run": CPU, "config": SETTINGS} | options)


def one_buffer() -> Iterator[NDArray[np.uint8]]:
    """Yield each frame in the same memory, as some readers do."""
    buffer = np.empty_like(STACK[0])
    for frame in STACK:
        buffer[:] = frame
        yield buffer


@pytest.fixture
def stored(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Return the sizes of all stores of frames."""
    sizes: list[tuple[int, int]] = []
    original = FrameStore.__init__

    def init(self: FrameStore, size: tuple[int, int], **more: Any) -> None:
        sizes.append(size)
        original(self, size, **more)

    monkeypatch.setattr(FrameStore, "__init__", init)
    return sizes


SOURCES: dict[str, Callable[[], Iterable[NDArray[np.uint8]]]] = {
    "array": lambda: STACK,
    "list": lambda: list(STACK),
    "iterator": lambda: iter(list(STACK)),
    "one buffer": one_buffer,
    "views": lambda: np.ascontiguousarray(STACK[:, :, ::-1])[:, :, ::-1],
}


@pytest.mark.parametrize("source", SOURCES)
def test_frames_give_the_result_of_a_file(source: str) -> None:
    result = run(SOURCES[source](), fps=10)
    assert result.instances == segment(VIDEO).instances
    assert len(result.instances) == 2
    video = result.video
    assert (video.width, video.height, video.fps, video.num_frames, video.source) == (32, 24, 10, 6, None)
    assert video.timestamps == pytest.approx([0, 0.1, 0.2, 0.3, 0.4, 0.5])


def test_the_default_frame_rate_is_the_one_of_a_folder() -> None:
    assert run(STACK[:2]).video.timestamps == pytest.approx([0, 1 / 24])


@pytest.mark.parametrize("window", [None, 2])
@pytest.mark.parametrize("source", ["iterator", "one buffer"])
@pytest.mark.parametrize("budget", [0, 100])
def test_frames_that_are_needed_again_are_stored(source: str, window: int | None, budget: int) -> None:
    settings = dataclasses.replace(PRESETS["given-masks"], window=window, short_side=24, long_side=32)
    box = tuple(float(side) for side in (3, 3, 11, 9))
    for given in (
        {"guidance": {1: drawn_masks(VIDEO, 0)[1].astype(np.int64)}},
        {"prompts": [BoxPrompt(1, box)]},  # type: ignore[arg-type]
    ):
        options = given | {"config": settings, "run": dataclasses.replace(CPU, frame_budget_mb=budget)}
        expected = run(STACK, **options)
        found = run(SOURCES[source](), **options)
        assert found.instances == expected.instances
        assert found.video == expected.video
        np.testing.assert_array_equal(found.instances[0].mask(4), drawn_masks(VIDEO, 0)[4])


def test_two_iterations_over_stored_frames_take_turns() -> None:
    stream = as_video(iter(STACK))
    assert isinstance(stream, FrameStream)
    stream.keep(0)
    first, second = stream.iter_frames(), stream.iter_frames()
    for number in (0, 1):
        assert int(next(first)[0, 0, 0]) == number
    for number in (0, 1, 2):
        assert int(next(second)[0, 0, 0]) == number
    assert [int(frame[0, 0, 0]) for frame in first] == [2, 3, 4, 5]
    assert stream.num_frames == stream.count_frames() == 6
    np.testing.assert_array_equal(list(second), STACK[3:])
    stream.close()


def test_frames_that_are_read_once_are_not_stored_at_the_size_of_the_video(stored: list[tuple[int, int]]) -> None:
    large = make_video([{0: (8, 8, 40, 40)}] * 3, size=(48, 64))
    result = run(iter(large.frames))
    assert len(result.instances) == 1
    assert stored == [(24, 32)]
    assert run(iter(large.frames), guidance={0: drawn_masks(large, 0)[0].astype(int)}).video.num_frames == 3
    assert (48, 64) in stored


def test_a_second_iteration_is_an_error() -> None:
    stream = as_video(iter(STACK))
    assert len(list(stream.iter_frames())) == 6
    with pytest.raises(VisError, match=r"can be read only once\. Pass an array or a list"):
        next(stream.iter_frames())


GREY = np.zeros((2, 24, 32), np.uint8)
SMALL = np.zeros((12, 32, 3), np.uint8)


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        (STACK[:0], "there are no frames. Pass at least one"),
        ([], "there are no frames"),
        (iter([]), "there are no frames"),
        (np.uint8(0)[...], "the array has no dimensions"),
        (STACK / 255, "cannot read frame 0: its type is float64 instead of uint8. Use RGB"),
        (GREY, r"cannot read frame 0: its shape is \(24, 32\)"),
        (STACK[0], r"cannot read frame 0: its shape is \(32, 3\)"),
        (np.zeros((2, 24, 32, 4), np.uint8), r"its shape is \(24, 32, 4\)"),
        (np.zeros((2, 0, 32, 3), np.uint8), r"its shape is \(0, 32, 3\)"),
        (np.zeros((1, 1, 70_000, 3), np.uint8), "the size is 70000x1, the limit is 65,535"),
        ([STACK[0], SMALL], "cannot read frame 1: its size is 32x12, the first frame is 32x24. Use one size"),
        (iter([STACK[0], SMALL]), "cannot read frame 1: its size is 32x12"),
        ([STACK[0], None], "cannot read frame 1: its type is NoneType instead of a NumPy array"),
        (iter([STACK[0], None]), "cannot read frame 1: its type is NoneType"),
        (iter([STACK[0], STACK[1].astype(np.int16)]), "cannot read frame 1: its type is int16"),
    ],
)
def test_frames_that_cannot_be_used(frames: Any, message: str) -> None:
    with pytest.raises(VisError, match=message):
        run(frames)


@pytest.mark.parametrize("fps", [0, -1.0, float("nan"), float("inf"), 1e-9])
def test_frame_rates_that_cannot_be_used(fps: float) -> None:
    with pytest.raises(VisError, match=r"^fps is .* Use a value from 0\.001"):
        run(STACK, fps=fps)


def test_the_lowest_frame_rate() -> None:
    result = run(STACK[:2], fps=0.001)
    assert result.video.timestamps == pytest.approx([0, 1000], rel=0.01)


def test_a_path_and_a_video_have_their_own_frame_rate(tmp_path: Path) -> None:
    for video in (tmp_path, str(tmp_path), VIDEO):
        with pytest.raises(VisError, match=r"^fps is given, but the video has a frame rate"):
            run(video, fps=10)


def test_an_error_of_the_iterator_is_raised() -> None:
    def broken() -> Iterator[NDArray[np.uint8]]:
        yield STACK[0]
        raise ConnectionError("the camera is gone")

    with pytest.raises(ConnectionError, match="the camera is gone"):
        run(broken())

"""A live source as a video: numbers and timestamps of dropped frames, the end, and memory."""

from __future__ import annotations

import itertools
import tracemalloc

import pytest

from tests.engine.fakes import draw_frame, make_segmenter, moving_boxes
from vis_cli.errors import VisError
from vis_cli.records.live.source import LiveClock
from vis_cli.records.live.video import LiveVideo

from .fakes import STEP, FakeSource, grey_frames


def make_live(source: FakeSource, *, capacity: int = 4, keeps_images: bool = False) -> LiveVideo:
    return LiveVideo(source, capacity=capacity, keeps_images=keeps_images)


def test_all_frames_if_the_engine_is_fast() -> None:
    source = FakeSource(grey_frames(6))
    with make_live(source, keeps_images=True) as video:
        values = [int(frame[0, 0, 0]) for frame in video.iter_frames()]
    assert values == [0, 1, 2, 3, 4, 5]
    assert (video.num_captured, video.num_dropped, video.failure) == (6, 0, None)
    first = video.take(range(4))
    assert [(frame.number, frame.timestamp) for frame in first] == [(0, 0.0), (1, 10.0), (2, 20.0), (3, 30.0)]
    assert [int(frame.image().mean()) for frame in video.take(range(4, 6))] == [4, 5]
    assert source.num_closed == 1


def test_dropped_frames_keep_numbers_and_timestamps_true() -> None:
    with make_live(FakeSource(grey_frames(50), waits=False)) as video:
        frames = video.iter_frames()
        first = next(frames)
        assert video._thread is not None
        video._thread.join()  # the source has sent all its frames
        values = [int(first[0, 0, 0]), *(int(frame[0, 0, 0]) for frame in frames)]
    assert values[-3:] == [47, 48, 49]
    kept = video.take(range(len(values)))
    assert [frame.number for frame in kept] == values
    assert [round(frame.timestamp / STEP) for frame in kept] == values
    assert video.num_captured - video.num_dropped == len(values) <= 5


def test_a_source_that_stops_in_the_middle() -> None:
    failure = VisError("camera 0 stopped after 1.0 s: it sends no more frames")
    with make_live(FakeSource(grey_frames(3), failure=failure)) as video:
        assert len(list(video.iter_frames())) == 3
    assert video.failure is failure


def test_an_unexpected_error_of_the_thread_ends_the_video() -> None:
    def fail(number: int) -> None:
        if number == 2:
            raise RuntimeError("driver")

    with make_live(FakeSource(grey_frames(9), before=fail)) as video:
        assert len(list(video.iter_frames())) == 2
    assert str(video.failure) == "cannot read camera 0: driver"


def test_frames_that_wait_are_read_after_the_stop() -> None:
    source = FakeSource(grey_frames(10**9))
    with make_live(source) as video:
        frames = video.iter_frames()
        for _ in range(3):
            next(frames)
        video.stop()
        assert len(list(frames)) <= 4
    assert source.num_closed == 1


def test_a_source_that_is_never_read_is_closed() -> None:
    source = FakeSource(grey_frames(1))
    with make_live(source):
        pass
    assert source.num_closed == 1


def test_a_second_pass_is_an_error() -> None:
    with make_live(FakeSource(grey_frames(1))) as video:
        list(video.iter_frames())
        with pytest.raises(VisError, match="camera 0: a live video cannot be read a second time"):
            next(video.iter_frames())


def test_the_memory_of_an_endless_source_is_constant() -> None:
    boxes = moving_boxes(4)
    images = (draw_frame(number % 100, boxes[number % 4]) for number in itertools.count())
    with make_live(FakeSource(images), keeps_images=True) as video:
        run = make_segmenter(window=4, num_key_frames=1).start(video)
        sizes = []
        tracemalloc.start()
        for number, window in enumerate(run.iter_windows()):
            assert len(video.take(window.frames)) == 4
            if number in (20, 40):  # before, the memory of the lost objects fills
                sizes.append(live_memory())
            if number == 40:
                break
        tracemalloc.stop()
    assert len(video._pending) <= 12
    assert sizes[1] - sizes[0] < 10_000  # JPEG images of 20 windows have 50,000 bytes


def live_memory() -> int:
    """Return the memory that the package allocated, in bytes."""
    snapshot = tracemalloc.take_snapshot().filter_traces([tracemalloc.Filter(True, "*/records/live/*")])
    return sum(statistic.size for statistic in snapshot.statistics("filename"))


class TestLiveClock:
    def test_the_timestamps_of_the_source_count(self) -> None:
        clock = LiveClock(lambda: 99.0)
        assert [clock.timestamp(seconds) for seconds in (5.0, 5.5, 5.75)] == [0.0, 0.5, 0.75]

    def test_without_timestamps_the_arrival_counts(self) -> None:
        arrivals = iter([10.0, 10.5, 10.5, 12.0])
        clock = LiveClock(lambda: next(arrivals))
        assert [clock.timestamp(None) for _ in range(4)] == pytest.approx([0.0, 0.5, 0.501, 2.001])

    def test_repeated_timestamps_do_not_shift_later_ones(self) -> None:
        arrivals = iter([10.0, 10.0, 10.0, 10.5, 11.5, 11.5])
        clock = LiveClock(lambda: next(arrivals))
        found = [clock.timestamp(seconds) for seconds in (5.0, 5.0, 5.0, 6.0, 6.0, 6.5)]
        assert found == pytest.approx([0.0, 0.001, 0.002, 1.0, 1.001, 1.5])

    def test_the_arrival_of_the_frames_of_a_file_does_not_count(self) -> None:
        clock = LiveClock(lambda: 99.0, step=0.1)
        found = [clock.timestamp(seconds) for seconds in (5.0, None, None, 5.5, 200.0, 200.5)]
        assert found == pytest.approx([0.0, 0.1, 0.2, 0.5, 0.6, 1.1])

    @pytest.mark.parametrize("jump", [3.0, 5000.0, None])
    def test_after_a_jump_of_the_clock_the_arrival_counts_once(self, jump: float | None) -> None:
        arrivals = iter([10.0, 10.2, 10.7, 11.0])
        clock = LiveClock(lambda: next(arrivals))
        after = 200.0 if jump is None else jump + 0.25
        assert [clock.timestamp(seconds) for seconds in (5.0, 5.25, jump)] == pytest.approx([0.0, 0.25, 0.75])
        assert clock.timestamp(after) == pytest.approx(1.0 if jump is not None else 1.05)


def test_the_image_of_a_frame_that_was_not_kept() -> None:
    with make_live(FakeSource(grey_frames(1))) as video:
        list(video.iter_frames())
    with pytest.raises(ValueError, match="not kept"):
        video.take(range(1))[0].image()

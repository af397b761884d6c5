"""Windows: sequences continue from window to window, and a video with one window is segmented as a whole."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from itertools import count

import numpy as np
import pytest

from vis_cli.engine.finished import FinishedWindow
from vis_cli.engine.segmenter import Segmenter
from vis_cli.engine.sequences import SequenceProposals
from vis_cli.engine.tracks import Tracks, WindowEnd
from vis_cli.engine.windows import iter_windows
from vis_cli.errors import VisError
from vis_cli.records.rle import Rle, encode_mask
from vis_cli.records.types import InstanceSequence, VideoResult
from vis_cli.settings import SegmentSettings

from .fakes import (
    HEIGHT,
    WIDTH,
    Box,
    FakeNetwork,
    FakeVideo,
    drawn_masks,
    make_segmenter,
    make_video,
    moving_boxes,
    segment,
)


def frames_of(instance: InstanceSequence) -> list[int]:
    return [index for index, mask in enumerate(instance.segmentations) if mask is not None]


def boxes_in(spans: dict[int, list[tuple[int, int]]], num_frames: int) -> list[dict[int, Box]]:
    """Show each object in the given spans of frames (first, last), in its own row."""
    rows: dict[int, Box] = {0: (2, 1, 10, 6), 1: (12, 7, 20, 12), 2: (2, 13, 10, 18), 3: (20, 18, 30, 23)}
    return [
        {key: rows[key] for key, some in spans.items() if any(first <= t <= last for first, last in some)}
        for t in range(num_frames)
    ]


@pytest.mark.parametrize("length", [1, 2, 3, 5, 7])
def test_the_windows_of_a_video_cover_each_frame_once(length: int) -> None:
    video = make_video(moving_boxes(6))
    indices: list[int] = []
    lasts: list[bool] = []
    for window in iter_windows(
        video, (HEIGHT, WIDTH), length=length, cuts=False, budget_bytes=0, progress=lambda *_: None
    ):  # type: ignore[arg-type]
        assert len(window.indices) <= length
        for index in window.indices:
            np.testing.assert_array_equal(window.frames[index], video.frames[index])
        indices += window.indices
        lasts.append(window.is_last)
        window.frames.close()
    assert indices == [0, 1, 2, 3, 4, 5]
    assert lasts == [*[False] * (len(lasts) - 1), True]


@pytest.mark.parametrize(
    "settings", [{}, {"score_source": "support"}, {"reduction": "soft-nms", "overlap": "exclusive"}]
)
@pytest.mark.parametrize("window", [8, 100])
def test_one_window_is_the_whole_video(settings: dict[str, object], window: int) -> None:
    def run(**more: object) -> VideoResult:
        return segment(make_video(moving_boxes(8)), **settings, **more)

    assert run(window=window).instances == run().instances


@pytest.mark.parametrize("window", [1, 2, 3, 4, 7])
def test_an_object_keeps_its_id_in_all_windows(window: int) -> None:
    video = make_video(moving_boxes(10))
    result = segment(video, window=window)
    assert len(result.instances) == 2
    for instance, colour in zip(result.instances, (0, 1), strict=True):
        for index, drawn in enumerate(drawn_masks(video, colour)):
            np.testing.assert_array_equal(instance.mask(index), drawn)


def test_an_object_that_enters_late_starts_a_sequence() -> None:
    video = make_video(boxes_in({0: [(0, 11)], 1: [(8, 11)]}, 12))
    first, second = segment(video, window=4, num_key_frames=1, score_frames="lifetime").instances
    assert frames_of(first) == list(range(12))
    assert frames_of(second) == [8, 9, 10, 11]
    assert second.score == pytest.approx(0.85)


def test_a_new_sequence_is_propagated_backward_through_the_previous_window_only() -> None:
    network = FakeNetwork()
    network.blind_frames = {0, 1, 2, 3, 4, 5, 6, 7}
    video = make_video(boxes_in({0: [(0, 11)]}, 12))
    (instance,) = segment(video, network, window=4).instances
    assert instance.key_frame == 8
    assert frames_of(instance) == list(range(4, 12))


def test_an_object_that_leaves_ends_after_a_window_without_masks() -> None:
    network = FakeNetwork()
    video = make_video(boxes_in({0: [(0, 2)], 1: [(0, 15)]}, 16))
    result = segment(video, network, window=4, num_key_frames=1)
    assert [frames_of(instance) for instance in result.instances] == [list(range(16)), [0, 1, 2]]
    num_objects = [len(masks) for _, masks in network.memorized]
    assert num_objects[0] == 2
    assert num_objects[-1] == 1  # the first object is no longer propagated


def test_an_object_that_returns_soon_keeps_its_id() -> None:
    video = make_video(boxes_in({0: [(0, 3), (7, 11)]}, 12))
    (instance,) = segment(video, window=4).instances
    assert frames_of(instance) == [0, 1, 2, 3, 7, 8, 9, 10, 11]


def test_detections_of_later_windows_do_not_duplicate_a_sequence() -> None:
    result = segment(make_video(moving_boxes(12)), window=3, early_reduction_iou=1.0)
    assert [instance.id for instance in result.instances] == [1, 2]


def test_the_score_is_the_mean_over_the_windows_and_a_missing_detection_lowers_it() -> None:
    boxes = boxes_in({0: [(0, 7)]}, 8)
    network = FakeNetwork()
    network.blind_frames = {4, 5, 6, 7}
    (instance,) = segment(make_video(boxes), network, window=4, score_source="support").instances
    (supported,) = segment(make_video(boxes), window=4, score_source="support").instances
    assert supported.score == pytest.approx(0.9)
    assert instance.score == pytest.approx(0.45)


@pytest.mark.parametrize(("score", "num_found"), [(0.01, 1), (0.2, 4)])
def test_an_unlikely_sequence_is_kept_only_if_there_is_no_other(score: float, num_found: int) -> None:
    network = FakeNetwork(scores=(score,) * 4)
    video = make_video(boxes_in({key: [(4 * key, 4 * key + 3)] for key in range(4)}, 16))
    result = segment(
        video, network, window=4, score_source="detection", detection_score_threshold=0.0, score_threshold=0.05
    )
    assert len(result.instances) == num_found


def test_the_memory_of_frames_is_two_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    from vis_cli.engine import windows

    open_stores: list[int] = []
    alive: set[int] = set()

    class Store(windows.FrameStore):
        def append(self, frame: np.ndarray) -> None:
            alive.add(id(self))
            open_stores.append(len(alive))
            super().append(frame)

        def close(self) -> None:
            alive.discard(id(self))
            super().close()

    monkeypatch.setattr(windows, "FrameStore", Store)
    segment(make_video(moving_boxes(20)), window=4)
    assert max(open_stores) <= 3  # previous, current, and the one that is read
    assert not alive


def test_settings_name_the_window() -> None:
    result = segment(make_video(moving_boxes(4)), window=2)
    assert result.config["window"] == 2
    assert result.shots == ((0, 3),)
    assert dataclasses.replace(result, instances=()).video.num_frames == 4


def test_an_object_that_returns_later_is_recognized_by_its_memory() -> None:
    video = make_video(boxes_in({0: [(0, 3), (16, 23)], 1: [(0, 23)]}, 24))
    result = segment(video, window=4, num_key_frames=1)
    assert sorted(map(frames_of, result.instances)) == [list(range(24)), [*range(4), *range(16, 24)]]


def test_ids_stay_different_after_a_lost_object_has_returned() -> None:
    spans = {0: [(0, 3), (16, 27)], 1: [(0, 27)], 2: [(16, 27)], 3: [(24, 27)]}
    result = segment(make_video(boxes_in(spans, 28)), window=4, num_key_frames=1)
    assert len(result.instances) == 4
    assert len({instance.id for instance in result.instances}) == 4


def test_an_object_that_the_backward_propagation_found_again_is_no_longer_lost() -> None:
    config = SegmentSettings(sequence_nms_iou=0.5)
    tracks = Tracks(config, reduces=True)
    mask = encode_mask(np.ones((4, 6), np.bool_))
    one = SequenceProposals((7,), (0,), ((mask, None),), np.array([[0.1, 0.9]]), ((None, None),))
    tracks.add_window(one, range(0, 2), (0,))
    later = SequenceProposals((8,), (2,), ((mask, mask),), np.array([[0.1, 0.9]]), ((None, None),))
    assert not tracks.is_visible(7, range(2, 4))
    tracks.add_window(later, range(2, 4), (2,))
    before = SequenceProposals((8,), (2,), ((mask, None),), np.array([[0.1, 0.9]]), ((None, None),))
    tracks.add_earlier(before, range(0, 2), range(2, 4))
    assert tracks.is_visible(7, range(2, 4))  # one object: the memory of proposal 7 is not needed any more
    finished = [*tracks.finish(range(0, 2)), *tracks.finish(range(2, 4))]
    assert [(track.id, list(masks)) for track, masks in finished] == [(1, [0]), (1, [2, 3])]
    assert tracks.result({}, 4).ids == (1,)


def rectangle(x: int, width: int) -> Rle:
    mask = np.zeros((4, 12), np.bool_)
    mask[:, x : x + width] = True
    return encode_mask(mask)


def scores_of(*scores: float, label: int = 1) -> np.ndarray:
    return np.array([[0.1, *(score if label == number else 0.0 for number in (1, 2))] for score in scores])


@pytest.mark.parametrize(
    ("known", "new", "label", "continuing"),
    [
        (0.2, (0.5, 0.4), 1, {1, 2}),  # its mask has grown over two objects
        (0.2, (0.5, 0.15), 1, {1, 2}),  # the better one is enough: the other one is no longer covered
        (0.6, (0.5, 0.4), 1, {0}),
        (0.2, (0.5, 0.4), 2, {0, 1, 2}),  # other categories
    ],
)
def test_a_sequence_that_contains_a_better_one_ends_and_is_not_lost(
    known: float, new: tuple[float, float], label: int, continuing: set[int]
) -> None:
    tracks = Tracks(SegmentSettings(containment=0.8, sequence_nms_iou=0.5), reduces=True)
    first = SequenceProposals((0,), (0,), ((rectangle(0, 12),),), scores_of(known), ((None,),))
    tracks.add_window(first, range(0, 1), (0,))
    masks = ((rectangle(0, 12),), (rectangle(0, 5),), (rectangle(7, 5),))
    scores = np.concatenate([scores_of(known), scores_of(*new, label=label)])
    window = SequenceProposals((0, 1, 2), (0, 1, 1), masks, scores, ((None,),) * 3)
    end = tracks.add_window(window, range(1, 2), (1,))
    assert end.continuing == continuing
    assert end.lost == set()


def test_another_object_that_appears_at_the_same_place_is_new() -> None:
    boxes = boxes_in({0: [(0, 3)]}, 24)
    for index in range(16, 24):
        boxes[index] = {2: boxes[0][0]}
    first, second = segment(make_video(boxes), window=4, num_key_frames=1).instances
    assert frames_of(first) == list(range(4))
    assert frames_of(second) == list(range(16, 24))


def test_no_object_is_propagated_across_a_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    class Cuts:
        delay = 2

        def update(self, index: int, frame: np.ndarray) -> list[int]:
            return [6] if index == 8 else []

    monkeypatch.setattr("vis_cli.engine.windows.CutDetector", Cuts)
    boxes = boxes_in({0: [(0, 11)]}, 12)
    network = FakeNetwork()
    network.blind_frames = set(range(6, 12))
    result = segment(make_video(boxes), network, cuts=True)
    (instance,) = result.instances
    assert frames_of(instance) == list(range(6))
    assert result.shots == ((0, 5), (6, 11))
    network = FakeNetwork()
    network.blind_frames = set(range(6))
    (instance,) = segment(make_video(boxes), network, cuts=True, window=4).instances
    assert frames_of(instance) == list(range(6, 12))


def test_an_object_that_returns_after_a_cut_is_another_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """The memory of an object finds the main object of any other scene."""

    class Cuts:
        delay = 2

        def update(self, index: int, frame: np.ndarray) -> list[int]:
            return [6] if index == 8 else []

    monkeypatch.setattr("vis_cli.engine.windows.CutDetector", Cuts)
    boxes = boxes_in({0: [(0, 2), (6, 11)]}, 12)
    result = segment(make_video(boxes), cuts=True, window=3)
    assert [frames_of(instance) for instance in result.instances] == [[0, 1, 2], list(range(6, 12))]
    whole = segment(make_video(boxes), cuts=False, window=3)
    assert [frames_of(instance) for instance in whole.instances] == [[0, 1, 2, *range(6, 12)]]


def test_a_window_ends_at_a_cut_and_after_its_length(monkeypatch: pytest.MonkeyPatch) -> None:
    class Cuts:
        delay = 1

        def update(self, index: int, frame: np.ndarray) -> list[int]:
            return {4: [3], 5: [5]}.get(index, [])

    monkeypatch.setattr("vis_cli.engine.windows.CutDetector", Cuts)
    video, size, ignored = make_video(moving_boxes(10)), (HEIGHT, WIDTH), lambda *_: None
    windows = list(iter_windows(video, size, length=3, cuts=True, budget_bytes=0, progress=ignored))  # type: ignore[arg-type]
    assert [(*window.indices,) for window in windows] == [(0, 1, 2), (3, 4), (5, 6, 7), (8, 9)]
    assert [window.starts_shot for window in windows] == [True, True, True, False]
    assert [window.is_last for window in windows] == [False, False, False, True]
    for window in windows:
        window.frames.close()


def run_windows(video: object, *, window: int | None = 4, **config: object) -> list[FinishedWindow]:
    return list(make_segmenter(window=window, **config).start(video).iter_windows())  # type: ignore[arg-type]


def test_each_frame_is_in_one_finished_window() -> None:
    windows = run_windows(make_video(moving_boxes(10)))
    assert [(*window.frames,) for window in windows] == [(0, 1, 2, 3), (4, 5, 6, 7), (8, 9)]
    assert [window.is_last for window in windows] == [False, False, True]
    assert [window.starts_shot for window in windows] == [True, False, False]
    assert [window.num_live for window in windows] == [2, 2, 0]
    (whole,) = run_windows(make_video(moving_boxes(10)), window=None)
    assert (whole.frames, whole.is_last, whole.num_live) == (range(10), True, 0)


@pytest.mark.parametrize("overlap", ["keep", "exclusive"])
@pytest.mark.parametrize("window", [1, 3, 5, None])
def test_finished_windows_are_the_result(window: int | None, overlap: str) -> None:
    """Ids and masks of a window do not change later, even if an object returns or is propagated backward."""
    spans = {0: [(0, 3), (7, 11)], 1: [(0, 16)], 2: [(5, 9), (14, 16)]}
    video, settings = make_video(boxes_in(spans, 17)), {"num_key_frames": 1, "overlap": overlap}
    result = segment(video, window=window, **settings)
    found: dict[int, dict[int, object]] = {}
    windows = run_windows(video, window=window, **settings)
    for finished in windows:
        for sequence in finished.sequences:
            assert set(sequence.masks) <= set(finished.frames)
            assert list(sequence.masks) == sorted(sequence.masks)
            assert not found.get(sequence.id, {}).keys() & sequence.masks.keys()
            found.setdefault(sequence.id, {}).update(sequence.masks)
    assert found == {
        instance.id: {frame: mask for frame, mask in enumerate(instance.segmentations) if mask is not None}
        for instance in result.instances
    }
    for sequence in windows[-1].sequences:
        (instance,) = (instance for instance in result.instances if instance.id == sequence.id)
        assert (sequence.category_id, sequence.score) == (instance.category_id, instance.score)


def test_an_endless_video_yields_a_window_after_the_next_one() -> None:
    boxes = moving_boxes(6)
    read: list[int] = []

    class Camera(FakeVideo):
        def iter_frames(self) -> Iterator[np.ndarray]:
            for index in count():
                read.append(index)
                yield self.frames[min(index, 5)]

    camera = Camera(make_video(boxes).frames)
    windows = make_segmenter(window=2).start(camera).iter_windows()  # type: ignore[arg-type]
    assert next(windows).frames == range(2)
    assert read[-1] == 4  # the first frame of the window after the next one
    for expected in range(1, 10):
        assert next(windows).frames == range(2 * expected, 2 * expected + 2)
    windows.close()


def test_tracks_keep_the_masks_of_two_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[int] = []
    add_window = Tracks.add_window

    def counted(self: Tracks, *args: object) -> WindowEnd:
        end = add_window(self, *args)  # type: ignore[arg-type]
        kept.append(sum(len(track.masks) for track in self._all.values()))
        return end

    monkeypatch.setattr(Tracks, "add_window", counted)
    segment(make_video(boxes_in({0: [(0, 39)]}, 40)), window=4)
    assert kept[1:] == [8] * 9


def test_windows_that_a_thread_decodes_give_the_same_result(monkeypatch: pytest.MonkeyPatch) -> None:
    def masks() -> list[object]:
        result = segment(make_video(moving_boxes(9)), num_key_frames=1, window=3)
        return [(one.id, one.segmentations) for one in result.instances]

    plain = masks()
    monkeypatch.setattr(Segmenter, "_decodes_ahead", lambda self, video: True)
    assert masks() == plain
    assert plain


def test_an_error_of_the_thread_that_decodes_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    video = make_video([])
    monkeypatch.setattr(Segmenter, "_decodes_ahead", lambda self, video: True)
    with pytest.raises(VisError, match="no frame decodes"):
        segment(video, num_key_frames=1, window=3)

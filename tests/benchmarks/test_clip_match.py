"""Tests of the baseline that matches overlapping clips: which clips there are, and which sequences continue."""

from __future__ import annotations

import dataclasses
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from tests.engine.fakes import FakeNetwork, FakeVideo, drawn_masks, make_segmenter, make_video, moving_boxes
from vis_cli.engine.frames import FrameStore
from vis_cli.engine.tracks import MeanScores
from vis_cli.engine.windows import Window
from vis_cli.errors import VisError
from vis_cli.records.rle import Rle, decode_rle, encode_mask
from vis_cli.records.types import ModelInfo
from vis_cli.settings import PAPER, RunSettings, SegmentSettings
from vis_cli.zoo.weights import LoadedModel

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
SCRIPTS = ("baselines", "track_by_detect", "clip_match")  # they import each other from their folder


@pytest.fixture(scope="module")
def clips() -> Iterator[ModuleType]:
    sys.path.insert(0, str(BENCHMARKS))
    yield importlib.import_module("clip_match")
    sys.path.remove(str(BENCHMARKS))
    for name in SCRIPTS:
        sys.modules.pop(name, None)


def frame(index: int, *, starts_shot: bool) -> Window:
    store = FrameStore((2, 3), first=index, budget_bytes=0)
    store.append(np.full((2, 3, 3), index, np.uint8))
    return Window(store, starts_shot, is_last=False)


@pytest.mark.parametrize(
    ("starts", "num_frames", "expected"),
    [
        ({0}, 1, [(0, 1)]),
        ({0}, 5, [(0, 5)]),
        ({0}, 6, [(0, 5), (3, 6)]),
        ({0}, 8, [(0, 5), (3, 8)]),
        ({0}, 12, [(0, 5), (3, 8), (6, 11), (9, 12)]),
        ({0, 7}, 12, [(0, 5), (3, 7), (7, 12)]),
        ({0, 5, 6}, 7, [(0, 5), (5, 6), (6, 7)]),
    ],
)
def test_clips_overlap_and_end_at_cuts(
    clips: ModuleType, starts: set[int], num_frames: int, expected: list[tuple[int, int]]
) -> None:
    frames = (frame(index, starts_shot=index in starts) for index in range(num_frames))
    windows = list(clips.iter_clips(frames, 5, 2))
    assert [(window.indices.start, window.indices.stop) for window in windows] == expected
    for window in windows:
        assert [int(window.frames[index][0, 0, 0]) for index in window.indices] == list(window.indices)
        assert (window.starts_shot, window.is_last) == (True, True)


def test_the_key_frame_is_the_middle_of_a_clip(clips: ModuleType) -> None:
    assert [clips.middle(range(7, stop)) for stop in (8, 9, 10, 20)] == [7, 8, 8, 13]


def strip(left: int) -> Rle:
    mask = np.zeros((4, 40), np.bool_)
    mask[:, left : left + 10] = True
    return encode_mask(mask)


def clip(clips: ModuleType, frames: range, *sequences: dict[int, Rle], score: float = 0.8):
    found = []
    for masks in sequences:
        scores = np.array([1 - score, score])
        found.append(
            clips.ClipSequence(clips.middle(frames), MeanScores(1, len(masks), scores * len(masks), scores), masks)
        )
    return clips.ClipSequences(frames, clips.middle(frames), tuple(found))


def still(frames: range, left: int) -> dict[int, Rle]:
    return {index: strip(left) for index in frames}


def test_two_clips_of_one_object_are_one_sequence(clips: ModuleType) -> None:
    matcher = clips.ClipMatcher()
    matcher.add(clip(clips, range(6), still(range(6), 0), score=0.8))
    matcher.add(clip(clips, range(3, 9), still(range(3, 9), 2), score=0.5))
    found = matcher.proposals(9, 2)
    # The key frames are 3 and 6. Frame 4 is nearer to the first one, frame 5 to the second one.
    assert [list(masks) for masks in found.segmentations] == [[strip(0)] * 5 + [strip(2)] * 4]
    assert found.key_frames == (3,)
    assert found.scores.tolist() == pytest.approx([0.65])  # both clips have 6 masks


def test_the_score_weights_each_clip_by_its_masks(clips: ModuleType) -> None:
    matcher = clips.ClipMatcher()
    matcher.add(clip(clips, range(6), still(range(2, 6), 0), score=0.8))
    matcher.add(clip(clips, range(3, 9), still(range(3, 5), 0), score=0.5))
    assert matcher.proposals(9, 2).scores.tolist() == pytest.approx([(4 * 0.8 + 2 * 0.5) / 6])


def test_different_objects_are_not_matched(clips: ModuleType) -> None:
    matcher = clips.ClipMatcher()
    matcher.add(clip(clips, range(6), still(range(6), 0)))
    matcher.add(clip(clips, range(3, 9), still(range(3, 9), 20)))
    first, second = matcher.proposals(9, 2).segmentations
    assert [mask is not None for mask in first] == [True] * 6 + [False] * 3
    assert [mask is not None for mask in second] == [False] * 3 + [True] * 6


def test_only_common_frames_are_compared(clips: ModuleType) -> None:
    matcher = clips.ClipMatcher()
    matcher.add(clip(clips, range(6), still(range(3), 0) | still(range(3, 6), 20)))
    matcher.add(clip(clips, range(3, 9), still(range(3, 6), 20) | still(range(6, 9), 0)))
    assert len(matcher.proposals(9, 2).ids) == 1


def test_an_object_that_is_absent_in_the_common_frames_becomes_two_sequences(clips: ModuleType) -> None:
    matcher = clips.ClipMatcher()
    matcher.add(clip(clips, range(6), still(range(3), 0)))
    matcher.add(clip(clips, range(3, 9), still(range(6, 9), 0)))
    assert len(matcher.proposals(9, 2).ids) == 2


def test_the_assignment_maximizes_the_sum_of_iou(clips: ModuleType) -> None:
    earlier = clip(clips, range(4), still(range(4), 0), still(range(4), 4))
    later = clip(clips, range(2, 6), still(range(2, 6), 3), still(range(2, 6), 8))
    # IoU: 0 with 3 is 7/13, 4 with 3 is 9/11, 4 with 8 is 6/14. The best pair is not part of the best sum.
    assert clips.match_clips(earlier, later) == {0: 0, 1: 1}


def test_clips_without_common_frames_or_sequences_match_nothing(clips: ModuleType) -> None:
    full, empty = clip(clips, range(4), still(range(4), 0)), clip(clips, range(2, 6))
    assert clips.match_clips(full, clip(clips, range(4, 8), still(range(4, 8), 0))) == {}
    assert clips.match_clips(full, empty) == {}
    assert clips.match_clips(empty, full) == {}
    matcher = clips.ClipMatcher()
    matcher.add(empty)
    assert matcher.proposals(6, 2).ids == ()
    assert matcher.proposals(6, 2).class_scores.shape == (0, 2)


def run(clips: ModuleType, video: FakeVideo, network: FakeNetwork, config: SegmentSettings = PAPER, **size: int):
    loaded = LoadedModel(network, ModelInfo("fake", "0" * 64))
    settings = RunSettings(device="cpu", precision="float32")
    method = importlib.import_module("baselines").make_method(loaded, config, settings)
    return clips.clip_match(method, video, **size)


def test_a_video_has_one_sequence_per_object_and_one_detection_per_clip(clips: ModuleType) -> None:
    network, video = FakeNetwork(), make_video(moving_boxes(11))
    found = run(clips, video, network, length=5, overlap=2)
    assert network.detected == [2, 5, 8]
    assert (found.num_frames, found.num_key_frames) == (11, 3)
    assert len(found.proposals.ids) == 2
    for masks, colour in zip(found.proposals.segmentations, (0, 1), strict=True):
        for mask, drawn in zip(masks, drawn_masks(video, colour), strict=True):
            assert mask is not None
            np.testing.assert_array_equal(decode_rle(mask), drawn)


def test_an_object_between_two_key_frames_is_not_found(clips: ModuleType) -> None:
    boxes = [{0: (2, 2, 12, 10), **({1: (2, 12, 12, 20)} if t in (3, 4) else {})} for t in range(8)]
    assert len(run(clips, make_video(boxes), FakeNetwork(), length=5, overlap=2).proposals.ids) == 1


def test_one_clip_with_its_first_frame_as_key_frame_is_the_engine_with_one_key_frame(
    clips: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = dataclasses.replace(SegmentSettings(), num_key_frames=1)
    monkeypatch.setattr(clips, "middle", lambda frames: frames[0])
    video = make_video(moving_boxes(8))
    expected = make_segmenter(**dataclasses.asdict(config)).segment(video).instances
    found = run(clips, video, FakeNetwork(), config).proposals
    assert list(found.segmentations) == [instance.segmentations for instance in expected]
    assert found.scores.tolist() == pytest.approx([instance.score for instance in expected])


@pytest.mark.parametrize(("cuts", "num_sequences"), [(False, 1), (True, 2)])
def test_a_cut_ends_a_clip_only_with_the_setting(
    clips: ModuleType, monkeypatch: pytest.MonkeyPatch, cuts: bool, num_sequences: int
) -> None:
    class Cuts:
        delay = 0

        def update(self, index: int, frame: np.ndarray) -> list[int]:
            return [index] if index == 4 else []

    monkeypatch.setattr("vis_cli.engine.windows.CutDetector", Cuts)
    video = make_video([{0: (2, 2, 12, 10)}] * 8)
    config = dataclasses.replace(PAPER, cuts=cuts)
    assert len(run(clips, video, FakeNetwork(), config, length=5, overlap=2).proposals.ids) == num_sequences


def test_masks_of_the_network_input_are_rejected(clips: ModuleType) -> None:
    with pytest.raises(VisError, match="mask_canvas"):
        run(clips, make_video(moving_boxes(2)), FakeNetwork(), dataclasses.replace(PAPER, mask_canvas="network"))

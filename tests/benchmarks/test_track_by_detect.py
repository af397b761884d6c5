"""Tests of the baseline that links detections: what overlaps stays one track, what is gone too long starts anew."""

from __future__ import annotations

import dataclasses
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from tests.engine.fakes import CATEGORIES, FakeNetwork, FakeVideo, drawn_masks, make_segmenter, make_video, moving_boxes
from vis_cli.records.rle import decode_rle, encode_mask
from vis_cli.records.types import KeyFrame, ModelInfo
from vis_cli.settings import PAPER, RunSettings, SegmentSettings
from vis_cli.zoo.detectors.boxes_and_masks import BoxesAndMasks
from vis_cli.zoo.detectors.protocol import FoundBoxes
from vis_cli.zoo.weights import LoadedModel

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
SCRIPTS = ("baselines", "track_by_detect")  # they import each other from their folder
SIZE = (20, 60)


@pytest.fixture(scope="module")
def tracker() -> Iterator[ModuleType]:
    sys.path.insert(0, str(BENCHMARKS))
    yield importlib.import_module("track_by_detect")
    sys.path.remove(str(BENCHMARKS))
    for name in SCRIPTS:
        sys.modules.pop(name, None)


def square(left: int) -> np.ndarray:
    mask = np.zeros(SIZE, dtype=np.bool_)
    mask[5:15, left : left + 10] = True
    return mask


def detections(tracker: ModuleType, *lefts: int, score: float = 0.8):
    masks = np.array([square(left) for left in lefts]).reshape(-1, *SIZE)
    probs = np.tile([1 - score, score], (len(lefts), 1))
    return tracker.FrameDetections(masks, tuple(encode_mask(mask) for mask in masks), probs)


def test_objects_that_move_little_keep_their_tracks_in_whatever_order_they_are_found(tracker: ModuleType) -> None:
    frames = [detections(tracker, 2, 40), detections(tracker, 38, 4), detections(tracker, 6, 36)]

    tracks = tracker.link_detections(frames)

    assert tracks.segmentations == (
        tuple(encode_mask(square(left)) for left in (2, 4, 6)),
        tuple(encode_mask(square(left)) for left in (40, 38, 36)),
    )
    assert tracks.key_frames == (0, 0)
    assert tracks.scores.tolist() == pytest.approx([0.8, 0.8])


def test_a_jump_ends_a_track_and_starts_another_and_each_scores_by_all_frames(tracker: ModuleType) -> None:
    tracks = tracker.link_detections([detections(tracker, 0), detections(tracker, 1), detections(tracker, 45)])

    assert tracks.key_frames == (0, 2)
    assert [mask is None for mask in tracks.segmentations[1]] == [True, True, False]
    assert tracks.scores.tolist() == pytest.approx([0.8 * 2 / 3, 0.8 / 3])


def test_a_track_survives_a_short_gap_only(tracker: ModuleType) -> None:
    def tracks_with_gap(missed: int) -> int:
        nothing = [detections(tracker)] * missed
        return len(tracker.link_detections([detections(tracker, 10), *nothing, detections(tracker, 10)]).ids)

    assert tracks_with_gap(tracker.PATIENCE - 1) == 1
    assert tracks_with_gap(tracker.PATIENCE) == 2


def test_nothing_detected_gives_no_tracks(tracker: ModuleType) -> None:
    assert tracker.link_detections([detections(tracker)] * 3).ids == ()


def test_ended_tracks_do_not_continue(tracker: ModuleType) -> None:
    linker = tracker.Linker()
    linker.add(detections(tracker, 10))
    linker.end_tracks()
    linker.add(detections(tracker, 10))
    assert linker.proposals(linker.num_detections).key_frames == (0, 1)


def test_masks_of_tracks_that_cannot_continue_are_forgotten(tracker: ModuleType) -> None:
    linker = tracker.Linker()
    for left in (0, 20, 40):
        linker.add(detections(tracker, left))
        for _ in range(tracker.PATIENCE):
            linker.add(detections(tracker))
    assert list(linker._last_masks) == [2]


def test_the_tracks_of_a_video_follow_each_object_and_score_by_their_detections(tracker: ModuleType) -> None:
    network = FakeNetwork()
    network.blind_frames = {2}
    video = make_video([{0: box[0], **({1: box[1]} if 1 <= t <= 3 else {})} for t, box in enumerate(moving_boxes(5))])
    found = track(tracker, video, network)
    assert (found.num_frames, found.num_key_frames) == (5, 5)
    assert network.detected == [0, 1, 2, 3, 4]
    masks = [[None if mask is None else decode_rle(mask) for mask in row] for row in found.proposals.segmentations]
    for row, (colour, frames) in zip(masks, ((0, {0, 1, 3, 4}), (1, {1, 3})), strict=True):
        drawn = drawn_masks(video, colour)
        for t, mask in enumerate(row):
            assert (mask is not None) == (t in frames)
            assert mask is None or (mask == drawn[t]).all()
    assert found.proposals.scores.tolist() == pytest.approx([0.85, 0.85])  # of the box head, in each detection


@pytest.mark.parametrize("source", ["eq2", "detection", "product", "support"])
@pytest.mark.parametrize("calibration", [None, (0.5, -0.25)])
def test_a_video_of_one_frame_has_the_scores_and_masks_of_vis_segment(
    tracker: ModuleType, source: str, calibration: tuple[float, float] | None
) -> None:
    config = dataclasses.replace(SegmentSettings(), score_source=source, mask_nms_iou=0.9)
    overlapping = make_video([{0: (2, 2, 12, 10), 1: (8, 4, 20, 12)}])
    networks = FakeNetwork(), FakeNetwork()
    for network in networks:
        network.blur = 0.1
        network.config = dataclasses.replace(network.config, calibration=calibration)
    expected = make_segmenter(networks[0], **dataclasses.asdict(config)).segment(overlapping)
    found = track(tracker, overlapping, networks[1], config)
    assert found.proposals.scores.tolist() == pytest.approx([instance.score for instance in expected.instances])
    assert list(found.proposals.segmentations) == [instance.segmentations for instance in expected.instances]


@pytest.mark.parametrize(("cuts", "first_frames"), [(False, [0]), (True, [0, 4])])
def test_a_cut_ends_tracks_only_with_the_setting(
    tracker: ModuleType, monkeypatch: pytest.MonkeyPatch, cuts: bool, first_frames: list[int]
) -> None:
    class Cuts:
        delay = 0

        def update(self, index: int, frame: np.ndarray) -> list[int]:
            return [index] if index == 4 else []

    monkeypatch.setattr("vis_cli.engine.windows.CutDetector", Cuts)
    video = make_video([{0: (2, 2, 12, 10)}] * 8)
    found = track(tracker, video, FakeNetwork(), dataclasses.replace(PAPER, cuts=cuts))
    assert list(found.proposals.key_frames) == first_frames


def test_pixels_of_two_detections_belong_to_one_of_them_if_masks_are_exclusive(tracker: ModuleType) -> None:
    probs = torch.tensor([[[0.9, 0.9, 0.0]], [[0.0, 0.8, 0.8]]])
    rles = tuple(encode_mask(mask.numpy() > 0.5) for mask in probs)
    scores = np.array([[0.2, 0.8], [0.2, 0.8]])
    first, second = tracker._share_pixels(rles, probs, scores, SegmentSettings())
    assert decode_rle(first).tolist() == [[True, True, False]]
    assert decode_rle(second).tolist() == [[False, False, True]]


class SizeDetector:
    """A detector that finds nothing and stores the sizes of the key frames."""

    calibration = None
    categories = CATEGORIES

    def __init__(self, *, reads_video: bool) -> None:
        self.reads_video = reads_video
        self.sizes: set[tuple[int, ...]] = set()

    def detect(self, key_frame: KeyFrame, *, mask_size: tuple[int, int]) -> FoundBoxes:
        self.sizes.add(key_frame.pixels.shape[:2])
        return FoundBoxes(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64), ())


@pytest.mark.parametrize(("reads_video", "size"), [(True, (48, 64)), (False, (24, 32))])
def test_a_detector_of_boxes_reads_frames_as_in_vis_segment(
    tracker: ModuleType, reads_video: bool, size: tuple[int, int]
) -> None:
    detector = SizeDetector(reads_video=reads_video)
    video = make_video([{0: (2, 2, 12, 10)}] * 3, size=(48, 64))  # twice the size of the network input
    track(tracker, video, BoxesAndMasks(detector, FakeNetwork()))  # type: ignore[arg-type]
    assert detector.sizes == {size}


def track(tracker: ModuleType, video: FakeVideo, network: FakeNetwork, config: SegmentSettings = PAPER):
    loaded = LoadedModel(network, ModelInfo("fake", "0" * 64))
    run = RunSettings(device="cpu", precision="float32")
    method = importlib.import_module("baselines").make_method(loaded, config, run)
    return tracker.track_by_detect(method, video)

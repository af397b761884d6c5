"""The levels of the detector (P3 to P6) are computed where the detector reads them, and results do not change."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torchvision.ops.feature_pyramid_network import FeaturePyramidNetwork

from tests.network.factories import make_model
from vis_cli.engine.features import FeatureCache
from vis_cli.engine.method import Method
from vis_cli.engine.segmenter import Segmenter
from vis_cli.network.protocol import VideoNetwork
from vis_cli.network.seq_mask_rcnn import SeqMaskRCNN
from vis_cli.network.structures import FrameFeatures
from vis_cli.records.detections import BoxDetections, VideoDetections
from vis_cli.records.prompts import BoxPrompt, PointPrompt
from vis_cli.records.types import Category, KeyFrame, ModelInfo, VideoResult
from vis_cli.settings import RunSettings, SegmentSettings
from vis_cli.zoo.composition import DetectorAndPropagator
from vis_cli.zoo.detectors.boxes_and_masks import BoxesAndMasks
from vis_cli.zoo.detectors.protocol import FoundBoxes
from vis_cli.zoo.weights import LoadedModel

from .fakes import make_video, moving_boxes

SIZE = (64, 96)
NUM_FRAMES = 12
DOGS = (Category(2, "dog"),)
# A random network is certain of nothing.
SETTINGS = SegmentSettings(
    num_key_frames=2,
    window=6,
    cuts=False,
    detection_score_threshold=0.0,
    score_threshold=0.0,
    mask_threshold=0.4,
    max_instances=3,
)
RunVideo = Callable[[Segmenter], VideoResult]


class Boxes:
    """Detector of boxes that finds the same two boxes in each key frame."""

    categories, calibration, reads_video = DOGS, None, False

    def detect(self, key_frame: KeyFrame, *, mask_size: tuple[int, int]) -> FoundBoxes:
        boxes = np.array([[4.0, 6.0, 40.0, 50.0], [50.0, 10.0, 90.0, 60.0]])
        return FoundBoxes(boxes, np.array([0.9, 0.8]), np.array([1, 1]), (None, None))


def own() -> VideoNetwork:
    return make_model(detector_fpn=True)


def boxes() -> Any:
    return BoxesAndMasks(Boxes(), make_model(detector_fpn=True), second_opinion=True)  # type: ignore[arg-type]


def composed() -> VideoNetwork:
    return DetectorAndPropagator(make_model(detector_fpn=True), make_model(value_channels=16)).eval()


def segment(**options: Any) -> RunVideo:
    return lambda segmenter: segmenter.segment(make_video(moving_boxes(NUM_FRAMES), size=SIZE), **options)  # type: ignore[arg-type]


def given() -> dict[int, Any]:
    labels = np.zeros(SIZE, dtype=np.int64)
    labels[5:40, 5:40] = 7
    return {1: labels, 8: labels}


def detections() -> VideoDetections:
    found = BoxDetections(np.array([[4.0, 6.0, 40.0, 50.0]]), np.array([0.9]), np.array([1]), (None,))
    return VideoDetections(DOGS, {0: found, 3: found, 9: found})


POINT = PointPrompt(8, (20.0, 20.0))
# Network, settings, call, and the number of frames in which the detector needs its levels. None: all frames.
CASES: dict[str, tuple[Callable[[], Any], dict[str, Any], RunVideo, int | None]] = {
    "detector of boxes": (boxes, {}, segment(), 4),
    "one window": (boxes, {"window": None}, segment(), 2),
    "class-agnostic": (boxes, {"class_agnostic": True}, segment(), 4),
    "only": (boxes, {}, segment(only=["dog"]), 4),
    "support": (own, {"score_source": "support"}, segment(), 4),
    "detection": (own, {"score_source": "detection"}, segment(), 4),
    "network canvas": (own, {"score_source": "support", "mask_canvas": "network"}, segment(), 4),
    "eq2": (own, {"score_source": "eq2"}, segment(), None),
    "product": (own, {"score_source": "product"}, segment(), None),
    "composed, support": (composed, {"score_source": "support"}, segment(), 4),
    "composed, product": (composed, {"score_source": "product"}, segment(), None),
    "detections": (own, {}, segment(detections=detections()), 3),
    "masks": (own, {}, segment(guidance=given()), 2),
    "masks and detections": (boxes, {}, segment(guidance=given(), also_detect=True), 6),
    "masks and eq2": (own, {"score_source": "eq2"}, segment(guidance=given(), also_detect=True), None),
    "box": (own, {}, segment(prompts=[BoxPrompt(2, (4.0, 6.0, 40.0, 50.0))]), 1),
    "box and detector of boxes": (boxes, {}, segment(prompts=[BoxPrompt(2, (4.0, 6.0, 40.0, 50.0))]), 1),
    "point": (boxes, {}, segment(prompts=[POINT]), 1),
    "point and detections": (boxes, {}, segment(prompts=[POINT], also_detect=True), 5),
}


@pytest.fixture
def counts(monkeypatch: pytest.MonkeyPatch, narrow_backbone: None) -> list[int]:
    """Count the frames of each call that computes the levels of the detector."""
    calls: list[int] = []
    forward = FeaturePyramidNetwork.forward

    def count(self: FeaturePyramidNetwork, levels: dict[str, Tensor]) -> dict[str, Tensor]:
        if len(levels) == 3:  # C3 to C5: the FPN of the detector
            calls.append(len(levels["p3"]))
        return forward(self, levels)

    monkeypatch.setattr(FeaturePyramidNetwork, "forward", count)
    return calls


def run(make: Callable[[], Any], settings: dict[str, Any], call: RunVideo, **options: Any) -> VideoResult:
    loaded = LoadedModel(make(), ModelInfo("tiny", "0" * 64))
    config = dataclasses.replace(SETTINGS, **settings)
    run_settings = RunSettings(**{"device": "cpu", "precision": "float32", "backend": "torch", **options})
    return call(Segmenter(loaded, config=config, run=run_settings))


def run_plain(make: Callable[[], Any], settings: dict[str, Any], call: RunVideo, **options: Any) -> VideoResult:
    """Segment with all features of all frames."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SeqMaskRCNN, "encode_for_propagation", SeqMaskRCNN.encode_frames)
        patch.setattr(DetectorAndPropagator, "encode_for_propagation", DetectorAndPropagator.encode_frames)
        patch.setattr(FrameFeatures, "for_propagation", lambda self: self)
        return run(make, settings, call, **options)


def assert_equal(actual: VideoResult, expected: VideoResult) -> None:
    assert len(actual.instances) == len(expected.instances) > 0
    assert max(sum(mask is not None for mask in item.segmentations) for item in expected.instances) > 2
    for one, other in zip(actual.instances, expected.instances, strict=True):
        assert (one.id, one.category_id, one.score) == (other.id, other.category_id, other.score)
        assert one.category_scores == other.category_scores
        assert list(one.segmentations) == list(other.segmentations)


@pytest.mark.parametrize("case", CASES)
def test_results_do_not_depend_on_the_levels_of_other_frames(case: str, counts: list[int]) -> None:
    check(case, counts, feature_budget_mb=256)


@pytest.mark.parametrize("case", ["detector of boxes", "product", "point and detections"])
def test_frames_that_are_encoded_twice(case: str, counts: list[int]) -> None:
    check(case, counts, feature_budget_mb=0)


def check(case: str, counts: list[int], **options: Any) -> None:
    make, settings, call, num_detected = CASES[case]
    result = run(make, settings, call, **options)
    num_levels = sum(counts)
    counts.clear()
    assert_equal(result, run_plain(make, settings, call, **options))
    if num_detected is None:
        assert num_levels == sum(counts) >= NUM_FRAMES
    else:
        assert num_levels == num_detected < sum(counts)


@pytest.mark.parametrize("case", ["detector of boxes", "support", "product", "masks and detections"])
def test_batches_of_a_gpu(case: str, counts: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FeatureCache, "_batch_size", lambda self: 4)
    make, settings, call, num_detected = CASES[case]
    result = run(make, settings, call)
    num_levels = sum(counts)
    counts.clear()
    assert_equal(result, run_plain(make, settings, call))
    assert num_levels == sum(counts) if num_detected is None else num_levels < sum(counts)


@pytest.mark.parametrize("case", ["detector of boxes", "product"])
def test_bfloat16(case: str, counts: list[int]) -> None:
    make, settings, call, _ = CASES[case]
    result = run(make, settings, call, precision="bfloat16")
    assert_equal(result, run_plain(make, settings, call, precision="bfloat16"))


def test_kept_frames_are_smaller(narrow_backbone: None, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: dict[str, int] = {}
    make_cache = Method._make_cache

    def record(name: str) -> None:
        def spy(self: Method, *args: Any) -> FeatureCache:
            cache = make_cache(self, *args)
            keep = cache._keep

            def measure(kept: Any) -> None:
                keep(kept)
                sizes[name] = max(sizes.get(name, 0), cache.num_bytes)

            monkeypatch.setattr(cache, "_keep", measure)
            return cache

        monkeypatch.setattr(Method, "_make_cache", spy)

    make, settings, call, _ = CASES["one window"]
    record("now")
    run(make, settings, call)
    record("plain")
    run_plain(make, settings, call)
    levels = [(height, width) for height, width in ((8, 12), (4, 6), (2, 3), (1, 2))]
    per_frame = sum(16 * height * width for height, width in levels) * torch.float16.itemsize
    assert sizes["plain"] - sizes["now"] == 6 * per_frame  # the last key frame is frame 6

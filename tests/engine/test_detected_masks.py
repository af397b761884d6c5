"""Detections as the start of sequence proposals."""

from __future__ import annotations

import torch

from vis_cli.engine.detected_masks import DetectedMasks
from vis_cli.network.structures import EncodedFrame
from vis_cli.settings import SegmentSettings

from .fakes import FakeNetwork, draw_frame


def test_detections_become_key_masks_in_the_detectors_order() -> None:
    source = _source(FakeNetwork(scores=(0.5, 0.9, 0.7, 0.6)))
    frame = _frame({0: (2, 2, 9, 9), 1: (12, 2, 20, 9)})
    masks = source.masks_at(frame)
    assert masks.ids == (0, 1)
    assert not masks.resegment
    assert masks.guidance[0, 4, 15] == 1.0  # object 1 scores higher
    assert masks.guidance[1, 4, 4] == 1.0
    assert source.masks_at(frame).ids == (2, 3)  # each key frame starts sequences of its own


def test_guidance_is_binary_and_the_answer_is_not() -> None:
    network = FakeNetwork()
    network.blur = 0.25
    masks = _source(network).masks_at(_frame({0: (2, 2, 9, 9)}))
    assert masks.guidance.unique().tolist() == [0.0, 1.0]
    assert masks.probs.max() == 0.75


def test_a_detection_without_a_pixel_is_left_out() -> None:
    network = FakeNetwork()
    network.blur = 0.6  # no probability exceeds 0.5
    masks = _source(network).masks_at(_frame({0: (2, 2, 9, 9)}))
    assert masks.ids == ()
    assert masks.probs.shape == (0, 24, 32)


def test_settings_reach_the_detector() -> None:
    frame = _frame({0: (2, 2, 9, 9), 1: (12, 2, 20, 9), 2: (22, 2, 30, 9)})
    assert len(_source(FakeNetwork(), max_instances=2).masks_at(frame).ids) == 2
    assert len(_source(FakeNetwork(), detection_score_threshold=0.85).masks_at(frame).ids) == 1


def test_a_key_frame_is_segmented_again_only_on_request() -> None:
    source = _source(FakeNetwork(), resegment_key_frame=True)
    assert source.masks_at(_frame({0: (2, 2, 9, 9)})).resegment


def _source(network: FakeNetwork, **config: object) -> DetectedMasks:
    return DetectedMasks(network, (0, 3), SegmentSettings(**config))  # type: ignore[arg-type]


def _frame(boxes: dict[int, tuple[int, int, int, int]]) -> EncodedFrame:
    image = torch.from_numpy(draw_frame(0, boxes)).permute(2, 0, 1)[None].float()
    features = FakeNetwork().encode_frames(image)
    return EncodedFrame(0, features, FakeNetwork().encode_query(features))

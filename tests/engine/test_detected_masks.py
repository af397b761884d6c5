"""Detections as the start of sequence proposals."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from vis_cli.engine.detected_masks import DetectedMasks, expected_iou, weight_by_quality
from vis_cli.network.structures import Detections, EncodedFrame
from vis_cli.records.rle import encode_mask
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


def _detections(*probs: float, exact: bool = False) -> Detections:
    """Return one detection of score 0.9, 0.8, .. per probability: 8 pixels with it, and 4 pixels with 0.4 beyond."""
    masks = torch.zeros(len(probs), 4, 8)
    for mask, prob in zip(masks, probs, strict=True):
        mask[0], mask[1, :4] = prob, 0.4
    scores = torch.tensor([0.9 - 0.1 * i for i in range(len(probs))])
    classes = torch.stack([1.0 - scores, 0.75 * scores, 0.25 * scores], dim=1)
    known = tuple(encode_mask(np.ones((4, 8), bool)) for _ in probs) if exact else ()
    return Detections(torch.zeros(len(probs), 4), scores, torch.ones(len(probs)).long(), classes, masks, known)


def test_expected_iou_is_the_ratio_of_expected_pixels() -> None:
    probs = _detections(1.0, 0.6).mask_probs
    assert expected_iou(probs, 0.5).tolist() == pytest.approx([8 / 9.6, 4.8 / 9.6])
    assert expected_iou((probs > 0.5).float(), 0.5).tolist() == [1.0, 1.0]
    assert expected_iou(torch.zeros(1, 4, 8), 0.5).tolist() == [0.0]


def test_expected_iou_is_the_mean_iou_of_sampled_objects() -> None:
    generator = torch.Generator().manual_seed(0)
    probs = torch.rand(1, 40, 60, generator=generator) ** 2
    mask, objects = probs > 0.5, torch.rand(500, 40, 60, generator=generator) < probs
    both, either = (objects & mask).flatten(1).sum(dim=1), (objects | mask).flatten(1).sum(dim=1)
    assert float(expected_iou(probs, 0.5)) == pytest.approx(float((both / either).mean()), abs=0.01)


def test_a_clear_mask_comes_before_a_better_score_of_a_vague_mask() -> None:
    weighted = weight_by_quality(_detections(0.6, 1.0), 0.5)
    assert weighted.scores.tolist() == pytest.approx([0.8 * 8 / 9.6, 0.9 * 4.8 / 9.6])
    assert weighted.mask_probs[:, 0, 0].tolist() == pytest.approx([1.0, 0.6])
    assert weighted.class_probs.sum(dim=1).tolist() == pytest.approx([1.0, 1.0])
    assert weighted.class_probs[:, 1:].sum(dim=1).tolist() == pytest.approx(weighted.scores.tolist())


def test_the_quality_of_an_exact_mask_is_1() -> None:
    found = _detections(0.6, 1.0, exact=True)
    weighted = weight_by_quality(found, 0.5)
    assert torch.equal(weighted.scores, found.scores)
    assert weighted.segmentations == found.segmentations


def test_mask_quality_is_a_setting() -> None:
    network, frame = FakeNetwork(), _frame({0: (2, 2, 9, 9)})
    network.blur = 0.25
    plain = _source(network).masks_at(frame).class_probs[0, 1:].sum()
    weighted = _source(network, mask_quality=True).masks_at(frame).class_probs[0, 1:].sum()
    assert weighted == pytest.approx(0.75 * plain)
    assert not SegmentSettings().mask_quality


def test_no_detection_has_no_quality() -> None:
    assert len(weight_by_quality(_detections(), 0.5).scores) == 0


def _source(network: FakeNetwork, **config: object) -> DetectedMasks:
    return DetectedMasks(network, (0, 3), SegmentSettings(**config))  # type: ignore[arg-type]


def _frame(boxes: dict[int, tuple[int, int, int, int]]) -> EncodedFrame:
    image = torch.from_numpy(draw_frame(0, boxes)).permute(2, 0, 1)[None].float()
    features = FakeNetwork().encode_frames(image)
    return EncodedFrame(0, features, FakeNetwork().encode_query(features))

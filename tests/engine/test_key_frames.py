"""Key frame spacing, mask NMS and what detection hands on."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch

from vis_cli.config import SegmentConfig
from vis_cli.engine.key_frames import DetectedMasks, mask_iou, mask_nms, select_key_frames
from vis_cli.network.seq_mask_rcnn import SeqMaskRCNN
from vis_cli.network.structures import FrameFeatures

from .fakes import FakeNetwork, draw_frame

GOLDEN = Path(__file__).parents[1] / "golden" / "mask_nms_mask2box.npz"


@pytest.mark.parametrize(
    ("num_frames", "num_key_frames", "expected"),
    [(12, 4, (0, 3, 6, 9)), (11, 4, (0, 2, 4, 6)), (3, 4, (0, 1, 2)), (1, 6, (0,)), (7, 1, (0,)), (4, 4, (0, 1, 2, 3))],
)
def test_even_spacing_is_eq_1(num_frames: int, num_key_frames: int, expected: tuple[int, ...]) -> None:
    assert select_key_frames(num_frames, num_key_frames, "even") == expected


@pytest.mark.parametrize(
    ("num_frames", "num_key_frames", "expected"),
    [(36, 5, (0, 8, 17, 26, 35)), (16, 5, (0, 3, 7, 11, 15)), (3, 5, (0, 1, 2)), (1, 5, (0,)), (9, 1, (0,))],
)
def test_endpoints_spacing_has_the_last_frame_and_no_duplicates(
    num_frames: int, num_key_frames: int, expected: tuple[int, ...]
) -> None:
    assert select_key_frames(num_frames, num_key_frames, "endpoints") == expected


def test_mask_nms_agrees_with_the_released_one() -> None:
    golden = np.load(GOLDEN)
    starts = np.concatenate([[0], golden["masknms_count"].cumsum()])
    for case, keep in enumerate(golden["masknms_keep"]):
        masks = golden["masknms_masks"][starts[case] : starts[case + 1]].astype(bool)
        assert mask_nms(masks, float(golden["masknms_thr"])) == np.flatnonzero(keep).tolist(), case
    assert len(golden["masknms_keep"]) == 200


def test_mask_iou_of_every_two() -> None:
    masks = np.zeros((3, 2, 4), dtype=np.bool_)
    masks[0, 0] = True  # four pixels
    masks[1, :, :2] = True  # four, two of them shared; the third is empty
    expected = [[1.0, 2 / 6, 0.0], [2 / 6, 1.0, 0.0], [0.0, 0.0, 0.0]]
    np.testing.assert_allclose(mask_iou(masks, masks), expected)
    assert mask_iou(masks[:0], masks).shape == (0, 3)
    assert mask_iou(masks, masks[:0]).shape == (3, 0)


def test_mask_nms_of_nothing() -> None:
    assert mask_nms(np.zeros((0, 4, 5), dtype=np.bool_), 0.2) == []


def test_detections_become_key_masks_in_the_detectors_order() -> None:
    source = _source(FakeNetwork(scores=(0.5, 0.9, 0.7, 0.6)))
    features = _features({0: (2, 2, 9, 9), 1: (12, 2, 20, 9)})
    masks = source.masks_at(0, features)
    assert masks.ids == (0, 1)
    assert masks.is_answer
    assert masks.guidance[0, 4, 15] == 1.0  # object 1 scores higher
    assert masks.guidance[1, 4, 4] == 1.0
    assert source.masks_at(3, features).ids == (2, 3)  # each key frame starts sequences of its own


def test_guidance_is_binary_and_the_answer_is_not() -> None:
    network = FakeNetwork()
    network.blur = 0.25
    masks = _source(network).masks_at(0, _features({0: (2, 2, 9, 9)}))
    assert masks.guidance.unique().tolist() == [0.0, 1.0]
    assert masks.probs.max() == 0.75


def test_a_detection_without_a_pixel_is_left_out() -> None:
    network = FakeNetwork()
    network.blur = 0.6  # no probability exceeds 0.5
    masks = _source(network).masks_at(0, _features({0: (2, 2, 9, 9)}))
    assert masks.ids == ()
    assert masks.probs.shape == (0, 24, 32)


def test_settings_reach_the_detector() -> None:
    features = _features({0: (2, 2, 9, 9), 1: (12, 2, 20, 9), 2: (22, 2, 30, 9)})
    assert len(_source(FakeNetwork(), max_instances=2).masks_at(0, features).ids) == 2
    assert len(_source(FakeNetwork(), detection_score=0.85).masks_at(0, features).ids) == 1


def test_a_key_frame_is_segmented_again_only_on_request() -> None:
    source = _source(FakeNetwork(), resegment_key_frame=True)
    assert not source.masks_at(0, _features({0: (2, 2, 9, 9)})).is_answer


def _source(network: FakeNetwork, **config: object) -> DetectedMasks:
    return DetectedMasks(cast(SeqMaskRCNN, network), (0, 3), SegmentConfig(**config))  # type: ignore[arg-type]


def _features(boxes: dict[int, tuple[int, int, int, int]]) -> FrameFeatures:
    image = torch.from_numpy(draw_frame(0, boxes)).permute(2, 0, 1)[None].float()
    return FakeNetwork().encode_frames(image)

"""What the presets named released-… do otherwise: the mask canvas, the key frame's second segmentation, the memory."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from vis_cli.engine.instances import resize_masks
from vis_cli.engine.propose import memory_rule
from vis_cli.engine.sequences import KeyMasks
from vis_cli.network.structures import QueryFeatures
from vis_cli.records.rle import decode_rle, encode_mask
from vis_cli.settings import PRESETS, SegmentSettings

from .fakes import FakeNetwork, drawn_masks, make_video, moving_boxes, segment


@pytest.mark.parametrize(("num_frames", "stride"), [(1, 1), (9, 1), (19, 1), (20, 2), (75, 7)])
def test_a_division_of_the_video_sets_the_stride(num_frames: int, stride: int) -> None:
    assert memory_rule(PRESETS["released-davis"], num_frames).stride == stride


def test_without_divisions_the_stride_is_the_settings_own() -> None:
    assert memory_rule(SegmentSettings(memory_stride=7), 20).stride == 7
    assert memory_rule(PRESETS["released-ytvis"], 200).stride == 1


def test_category_aware_presets_list_categories_down_to_the_released_score() -> None:
    by_class = {name for name, config in PRESETS.items() if config.reduction == "category-aware"}
    assert by_class == {"ytvis2019", "ytvis2021", "ovis"}
    low = {name for name, config in PRESETS.items() if config.score_threshold == 0.001}
    assert low == by_class
    assert {PRESETS[name].score_threshold for name in PRESETS.keys() - by_class} == {0.05}


def test_divisions_decide_what_is_memorised() -> None:
    network = FakeNetwork()
    network.blind_frames = set(range(1, 12))
    stride = {"memory_divisions": 3, "memory_previous": False}
    segment(make_video(moving_boxes(12)), network, num_key_frames=1, memory_frames=None, **stride)
    assert [frame for frame, _ in network.memorized] == [0, 4, 8]


def test_the_key_frame_is_answered_by_propagation_from_its_own_mask() -> None:
    network = FakeNetwork()
    segment(make_video(moving_boxes(3)), network, num_key_frames=1, resegment_key_frame=True, memory_stride=1)
    assert network.propagated[0] == (0, [0])


def test_a_detection_without_a_pixel_is_followed_where_the_key_frame_is_segmented_again() -> None:
    counts = []
    for again in (False, True):
        network = FakeNetwork()
        network.blur = 0.6  # no probability exceeds 0.5
        segment(make_video(moving_boxes(2)), network, num_key_frames=1, resegment_key_frame=again)
        counts.append(sum(len(masks) for _, masks in network.memorized))
    assert counts == [0, 2]


def test_masks_may_reach_into_the_padding() -> None:
    part = torch.zeros(1, 2, 8, 12)
    assert QueryFeatures(part, part, part, part, (30, 45)).with_padding().image_size == (32, 48)


def test_key_masks_grow_to_the_right_and_below() -> None:
    masks = KeyMasks(
        (4,), torch.ones(1, 2, 3), torch.ones(1, 2, 3), np.zeros((1, 1)), (encode_mask(np.ones((9, 9), np.bool_)),)
    )
    grown = masks.padded((4, 4))
    assert grown.probs[0].tolist() == grown.guidance[0].tolist() == [[1, 1, 1, 0], [1, 1, 1, 0], [0] * 4, [0] * 4]
    assert grown.segmentations is None  # those have the video's size


def test_binary_masks_are_cropped_and_enlarged() -> None:
    mask = np.zeros((4, 6), np.bool_)  # the frame is 3x4 of it
    mask[1:, 1:3] = True
    outside = np.zeros((4, 6), np.bool_)
    outside[3, 5] = True
    masks = {0: encode_mask(mask), 3: encode_mask(outside), 4: encode_mask(~outside)}
    enlarged = resize_masks(masks, (3, 4), (6, 8))
    expected = np.zeros((6, 8), np.bool_)
    expected[2:, 2:6] = True
    np.testing.assert_array_equal(decode_rle(enlarged[0]), expected)
    assert list(enlarged) == [0, 4]
    assert decode_rle(enlarged[4]).all()


def test_on_the_networks_canvas_masks_come_out_at_the_videos_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(QueryFeatures, "with_padding", lambda query: query)  # the fake one has no coarser features
    video = make_video([{0: (10, 8, 30, 28)}] * 3, size=(48, 64))
    (instance,) = segment(video, **dataclasses.asdict(PRESETS["released-ytvis"])).instances
    for frame in range(3):
        mask, drawn = instance.mask(frame), drawn_masks(video, 0)[frame]
        assert mask is not None
        assert np.logical_and(mask, drawn).sum() / np.logical_or(mask, drawn).sum() > 0.85

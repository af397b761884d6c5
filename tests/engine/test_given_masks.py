"""Semi-supervised: given masks are followed as they are."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from vis_cli.engine.given_masks import GivenMasks
from vis_cli.errors import VisError
from vis_cli.network.structures import EncodedFrame
from vis_cli.records.rle import decode_rle
from vis_cli.records.types import VideoResult

from .fakes import HEIGHT, WIDTH, FakeNetwork, FakeVideo, drawn_masks, make_segmenter, make_video, moving_boxes

Labels = NDArray[np.int64]


def test_given_objects_keep_their_ids_and_nothing_is_detected() -> None:
    video, network = make_video(moving_boxes(6)), FakeNetwork()
    result = _follow(video, {0: _labels(video, 0, {0: 5, 1: 2})}, network)
    assert [(instance.id, instance.key_frame) for instance in result.instances] == [(2, 0), (5, 0)]
    assert network.detected == []
    for instance, colour in zip(result.instances, (1, 0), strict=True):
        for frame, drawn in enumerate(drawn_masks(video, colour)):
            np.testing.assert_array_equal(instance.mask(frame), drawn)


def test_given_masks_are_the_result_at_their_frames_bit_for_bit() -> None:
    video = make_video(moving_boxes(5), size=(48, 64))  # twice the network's size
    odd = np.zeros((48, 64), dtype=np.int64)
    odd[7, 5:12] = 3  # a line thinner than a pixel of the network
    result = _follow(video, {2: odd})
    np.testing.assert_array_equal(result.instances[0].mask(2), odd == 3)


def test_given_masks_do_not_lose_pixels_to_propagated_masks() -> None:
    video = make_video([{0: (4, 4, 40, 40)}] * 4, size=(48, 64))  # twice the network's size
    first, later = np.zeros((48, 64), dtype=np.int64), np.zeros((48, 64), dtype=np.int64)
    first[4:40, 4:40] = 1
    later[21, 21] = 2  # inside object 1, smaller than a pixel of the network
    result = _follow(video, {0: first, 2: later}, overlap="exclusive")
    one, two = result.instances
    np.testing.assert_array_equal(two.mask(2), later == 2)
    np.testing.assert_array_equal(one.mask(2), (first == 1) & (later != 2))


def test_an_object_is_followed_from_where_it_is_first_given_in_both_directions() -> None:
    video, network = make_video(moving_boxes(8)), FakeNetwork()
    result = _follow(video, {1: _labels(video, 1, {0: 1}), 4: _labels(video, 4, {1: 2})}, network)
    assert [(instance.id, instance.key_frame) for instance in result.instances] == [(1, 1), (2, 4)]
    assert all(mask is not None for instance in result.instances for mask in instance.segmentations)
    assert network.encoded == [*range(1, 8), 0]  # before the first given mask there is nothing to follow


def test_a_mask_given_later_overrides_and_enters_the_memory() -> None:
    video, network = make_video(moving_boxes(9)), FakeNetwork()
    wrong = _labels(video, 4, {1: 1})  # from here on id 1 is the other object
    result = _follow(video, {0: _labels(video, 0, {0: 1}), 4: wrong}, network, memory_stride=100, memory_previous=False)
    (instance,) = result.instances
    assert (instance.id, instance.key_frame) == (1, 0)
    np.testing.assert_array_equal(instance.mask(4), wrong == 1)
    assert [frame for frame, _ in network.memorized] == [0, 4]
    assert (5, [0, 4]) in network.propagated


def test_given_masks_are_followed_however_much_they_overlap() -> None:
    """Early reduction is for detections: a mask given later corrects what is followed, and may look like it."""
    video = make_video(moving_boxes(8))
    maps = {0: _labels(video, 0, {0: 1}), 4: _labels(video, 4, {0: 1, 1: 2})}
    found = _follow(video, maps, early_reduction_iou=0.0).instances
    assert [(instance.id, instance.key_frame) for instance in found] == [(1, 0), (2, 4)]
    np.testing.assert_array_equal(found[0].mask(4), maps[4] == 1)


def test_objects_given_at_different_frames_compete_for_pixels() -> None:
    video = make_video([{0: (2, 2, 20, 20)}] * 4)
    first, second = np.zeros((HEIGHT, WIDTH), dtype=np.int64), np.zeros((HEIGHT, WIDTH), dtype=np.int64)
    first[2:20, 2:20] = 1
    second[2:20, 2:10] = 2  # takes half of what id 1 would go on covering
    one, two = _follow(video, {0: first, 1: second}).instances
    np.testing.assert_array_equal(two.mask(1), second == 2)
    mask = one.mask(1)
    assert mask is not None
    assert not mask[2:20, 2:10].any()
    assert mask[2:20, 10:20].all()


def test_no_reduction_and_no_score_threshold() -> None:
    video = make_video(moving_boxes(3))
    same = {0: _labels(video, 0, {0: 1}), 1: _labels(video, 1, {0: 2})}  # two ids, one object
    assert len(_follow(video, same, score_threshold=0.99).instances) == 2


@pytest.mark.parametrize("class_agnostic", [False, True])
def test_given_objects_have_no_category(class_agnostic: bool) -> None:
    video, network = make_video(moving_boxes(3)), FakeNetwork()
    result = _follow(video, {0: _labels(video, 0, {0: 1, 1: 2})}, network, class_agnostic=class_agnostic)
    assert result.categories == ()
    described = [(found.category_id, found.category_scores, found.score, found.confident) for found in result.instances]
    assert described == [(None, {}, 1.0, True)] * 2
    assert network.classified == []


def test_label_maps_of_background_only() -> None:
    result = _follow(make_video(moving_boxes(3)), {1: np.zeros((HEIGHT, WIDTH), dtype=np.int64)})
    assert result.instances == ()


def test_small_masks_are_not_lost_at_the_networks_size() -> None:
    labels = np.zeros((80, 80), dtype=np.uint8)
    labels[33, 41] = 4
    given = GivenMasks({0: labels}, num_frames=1, video=(80, 80), size=(10, 10))
    network = FakeNetwork()
    features = network.encode_frames(torch.zeros(1, 3, 10, 10))
    masks = given.masks_at(EncodedFrame(0, features, network.encode_query(features)))
    assert masks.ids == (4,)
    assert masks.guidance.sum().item() == pytest.approx(1 / 64)
    assert masks.guidance[0, 4, 5] > 0
    assert masks.segmentations is not None
    np.testing.assert_array_equal(decode_rle(masks.segmentations[0]), labels == 4)


@pytest.mark.parametrize(
    ("guidance", "message"),
    [
        ({}, "guidance has no label map"),
        ({9: np.zeros((24, 32), dtype=np.int64)}, "guidance is for frame 9, but the frames of the video are 0 to 2"),
        ({-1: np.zeros((24, 32), dtype=np.int64)}, "guidance is for frame -1"),
        ({0: np.zeros((32, 24), dtype=np.int64)}, "label map of frame 0 is 24x32, but the video is 32x24"),
        ({1: np.full((24, 32), -1)}, "label map of frame 1 has the value -1"),
    ],
)
def test_unusable_guidance_is_refused(guidance: dict[int, Labels], message: str) -> None:
    with pytest.raises(VisError, match=message):
        _follow(make_video(moving_boxes(3)), guidance)


def _labels(video: FakeVideo, frame: int, ids: dict[int, int]) -> Labels:
    """Label the objects (colour -> id) where they are truly seen."""
    labels = np.zeros((video.height, video.width), dtype=np.int64)
    for colour, id_ in ids.items():
        labels[drawn_masks(video, colour)[frame]] = id_
    return labels


def _follow(
    video: FakeVideo, guidance: dict[int, Labels], network: FakeNetwork | None = None, **config: object
) -> VideoResult:
    segmenter = make_segmenter(network, **config)  # type: ignore[arg-type]
    return segmenter.segment(video, guidance=guidance)  # type: ignore[arg-type]

"""Boxes and points: the objects that they select, their masks, and their categories."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from vis_cli.errors import VisError
from vis_cli.network.structures import Detections, FrameFeatures
from vis_cli.records.detections import BoxDetections, VideoDetections
from vis_cli.records.prompts import BoxPrompt, PointPrompt, Prompt, parse_box, parse_point
from vis_cli.records.types import Category, InstanceSequence, KeyFrame, VideoResult
from vis_cli.zoo.detectors.boxes_and_masks import BoxesAndMasks
from vis_cli.zoo.detectors.protocol import FoundBoxes

from .fakes import CATEGORIES, Box, FakeNetwork, FakeVideo, drawn_masks, make_segmenter, make_video, moving_boxes

NESTED: dict[int, Box] = {0: (4, 4, 28, 20), 1: (6, 6, 14, 14), 2: (18, 8, 24, 14)}  # objects 1 and 2 are on object 0


class PartsNetwork(FakeNetwork):
    """Propose the complete rectangle of object 0, with everything on it, in addition to the objects themselves."""

    def detect_objects(
        self, features: FrameFeatures, *, score_threshold: float, nms_iou: float, max_instances: int
    ) -> Detections:
        found = super().detect(features, score_threshold=score_threshold, nms_iou=nms_iou, max_instances=max_instances)
        x0, y0, x1, y1 = NESTED[0]
        probs = found.mask_probs.clone()
        probs[0, y0:y1, x0:x1] = 1.0  # object 0 is the first one
        return Detections(found.boxes, found.scores, found.labels, found.class_probs, probs)


def prompt(video: FakeVideo, *texts: str, network: FakeNetwork | None = None, **config: object) -> VideoResult:
    prompts = [parse_box(text) if text.count(",") == 3 else parse_point(text) for text in texts]
    return make_segmenter(network, **config).segment(video, prompts=prompts)  # type: ignore[arg-type]


def assert_follows(instance: InstanceSequence, video: FakeVideo, colour: int) -> None:
    for frame, drawn in enumerate(drawn_masks(video, colour)):
        np.testing.assert_array_equal(instance.mask(frame), drawn, str(frame))


@pytest.mark.parametrize("window", [None, 4])
def test_a_box_is_tracked_in_both_directions_without_detection(window: int | None) -> None:
    video, network = make_video(moving_boxes(8)), FakeNetwork()
    (instance,) = prompt(video, "5:6,2,16,10", network=network, window=window).instances
    assert (instance.id, instance.key_frame, instance.score, instance.confident) == (1, 5, 1.0, True)
    assert_follows(instance, video, 0)
    assert network.detected == []
    assert [frame for frame, _ in network.boxed] == [5]


def test_earlier_windows_are_reached_through_one_window() -> None:
    video = make_video(moving_boxes(8))
    (instance,) = prompt(video, "7:8,2,18,10", window=2).instances
    assert [index for index, mask in enumerate(instance.segmentations) if mask is not None] == [4, 5, 6, 7]


def test_a_box_is_in_pixels_of_the_video() -> None:
    video, network = make_video([{0: (10, 10, 30, 26)}] * 3, size=(48, 64)), FakeNetwork()  # twice the network's size
    (instance,) = prompt(video, "0:10,10,30,26", network=network).instances
    torch.testing.assert_close(network.boxed[0][1], torch.tensor([[5.0, 5.0, 15.0, 13.0]]))
    np.testing.assert_array_equal(instance.mask(2), drawn_masks(video, 0)[2])


@pytest.mark.parametrize("text", ["2:4,4,12,9", "2:8,5"])
def test_a_confident_class_is_the_category(text: str) -> None:
    result = prompt(make_video(moving_boxes(4)), text)
    assert result.categories == CATEGORIES
    (instance,) = result.instances
    assert (instance.category_id, instance.category_scores) == (7, {})


def test_a_class_that_is_not_confident_is_no_category() -> None:
    network = FakeNetwork()
    network.class_probs = lambda features, boxes: torch.tensor([[0.2, 0.45, 0.3, 0.05]] * len(boxes))  # type: ignore[method-assign]
    result = prompt(make_video(moving_boxes(4)), "2:4,4,12,9", network=network)
    assert [instance.category_id for instance in result.instances] == [None]


def test_a_point_selects_the_object_that_contains_it() -> None:
    video, network = make_video(moving_boxes(6)), FakeNetwork()
    (instance,) = prompt(video, "3:20,15", network=network).instances
    assert (instance.id, instance.key_frame, instance.category_id) == (1, 3, 3)
    assert_follows(instance, video, 1)
    assert (network.detected, network.boxed) == ([3], [])


def test_a_point_selects_the_smallest_object_that_contains_it() -> None:
    video = make_video([NESTED] * 3)
    (instance,) = prompt(video, "1:8,8", network=PartsNetwork()).instances
    assert_follows(instance, video, 1)
    whole = prompt(video, "1:16,16", network=PartsNetwork()).instances[0].mask(1)
    np.testing.assert_array_equal(whole, rectangle(NESTED[0]))


def test_points_with_one_id_select_the_smallest_object_that_contains_all_of_them() -> None:
    video = make_video([NESTED] * 2)
    (instance,) = prompt(video, "0:8,8#5", "0:20,10#5", network=PartsNetwork()).instances
    assert instance.id == 5
    np.testing.assert_array_equal(instance.mask(0), rectangle(NESTED[0]))


def test_an_object_that_is_not_likely_is_not_selected() -> None:
    video = make_video([NESTED] * 2)
    (instance,) = prompt(video, "0:8,8", network=PartsNetwork(scores=(0.9, 0.49, 0.7, 0.6))).instances
    np.testing.assert_array_equal(instance.mask(0), rectangle(NESTED[0]))


def test_a_negative_point_prefers_an_object_without_it() -> None:
    network = PartsNetwork()
    video = make_video([NESTED] * 2)
    (instance,) = prompt(video, "0:8,8", "-0:16,16", network=network).instances
    np.testing.assert_array_equal(instance.mask(0), rectangle(NESTED[1]))


@pytest.mark.parametrize("text", ["0:16,16", "0:4,4,28,20"])
def test_a_negative_point_removes_the_area_under_it(text: str) -> None:
    network = PartsNetwork()
    network.box_masks = lambda features, boxes: torch.tensor(rectangle(NESTED[0]))[None].float()  # type: ignore[method-assign]
    (instance,) = prompt(make_video([NESTED] * 2), text, "-0:20,10", network=network).instances
    np.testing.assert_array_equal(instance.mask(0), rectangle(NESTED[0]) & ~rectangle(NESTED[2]))


def test_a_negative_point_outside_of_the_mask_has_no_effect() -> None:
    video = make_video([NESTED] * 2)
    texts = ("0:8,8#1", "0:20,10#2", "-0:20,10#1")
    first, second = prompt(video, *texts, network=PartsNetwork()).instances
    np.testing.assert_array_equal(first.mask(0), rectangle(NESTED[1]))
    np.testing.assert_array_equal(second.mask(0), rectangle(NESTED[2]))


def test_a_later_prompt_with_the_same_id_corrects_the_mask() -> None:
    video = make_video(moving_boxes(8))
    (instance,) = prompt(video, "0:2,3,10,9#4", "5:20,15#4").instances
    assert (instance.id, instance.key_frame, instance.category_id) == (4, 0, 7)
    np.testing.assert_array_equal(instance.mask(1), drawn_masks(video, 0)[1])
    np.testing.assert_array_equal(instance.mask(5), drawn_masks(video, 1)[5])


def test_objects_have_the_ids_of_their_prompts() -> None:
    result = prompt(make_video(moving_boxes(6)), "3:20,15#9", "1:4,5")
    assert [(item.id, item.key_frame, item.category_id) for item in result.instances] == [(1, 1, 7), (9, 3, 3)]


def test_only_restricts_the_objects_of_points() -> None:
    video = make_video([NESTED] * 2)
    segmenter = make_segmenter(PartsNetwork())
    (instance,) = segmenter.segment(video, prompts=[PointPrompt(0, (8.0, 8.0))], only=["warm"]).instances  # type: ignore[arg-type]
    np.testing.assert_array_equal(instance.mask(0), rectangle(NESTED[0]))


@pytest.mark.parametrize("as_box", [False, True])
def test_given_detections(as_box: bool) -> None:
    video = make_video(moving_boxes(4))
    boxes = np.array([[1.0, 2, 12, 10], [18, 12, 28, 22]])
    found = BoxDetections(boxes, np.array([0.9, 0.8]), np.array([3, 2]), (None, None))
    detections = VideoDetections(CATEGORIES, {1: found})
    some: Prompt = BoxPrompt(1, (18.0, 12.0, 28.0, 22.0)) if as_box else PointPrompt(1, (22.0, 16.0))
    (instance,) = make_segmenter().segment(video, prompts=[some], detections=detections).instances  # type: ignore[arg-type]
    assert instance.category_id == (None if as_box else 3)
    assert_follows(instance, video, 1)


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["0:0,0"], r"--point 0:0,0: no detected object contains this point. Use --box FRAME:x1,y1,x2,y2 instead."),
        (["0:4,5#1", "0:22,15#1"], "no detected object contains all 2 points of object 1"),
        (["0:12,10,16,12"], r"--box 0:12,10,16,12: the model finds no mask in this box. Use a larger box, or --masks."),
        (["0:32,4"], "the point is not inside of the image. Use x from 0 to 32 and y from 0 to 24"),
        (["0:4,5,33,9"], "the box is not inside of the image"),
        (["4:4,5"], r"--point 4:4,5: the video has no such frame. Use a frame from 0 to 3."),
        (["-0:4,5"], "no object has a box or a positive point in this frame"),
        (["0:4,5", "-0:5,6"], r"--point -0:5,6: no detected object contains this point, but not object 1"),
        (["0:2,3,10,9", "-0:5,6"], "no detected object contains this point, but not object 1. Use a smaller box"),
    ],
)
def test_prompts_that_cannot_be_used(texts: list[str], message: str) -> None:
    network = FakeNetwork()
    if texts == ["0:12,10,16,12"]:
        network.box_masks = lambda features, boxes: torch.zeros(len(boxes), 24, 32)  # type: ignore[method-assign]
    with pytest.raises(VisError, match=message) as caught:
        prompt(make_video(moving_boxes(4)), *texts, network=network)
    assert "\n" not in str(caught.value)


def test_a_box_outside_of_the_image_is_reported_before_a_frame_is_decoded() -> None:
    video = make_video(moving_boxes(4))
    with pytest.raises(VisError, match="not inside of the image"):
        prompt(video, "0:4,5,33,9")
    assert video.decoded == []


def rectangle(box: Box) -> NDArray[np.bool_]:
    mask = np.zeros((24, 32), np.bool_)
    mask[box[1] : box[3], box[0] : box[2]] = True
    return mask


class BlindDetector:
    """A detector of boxes that finds nothing. Its categories have another order than those of the network."""

    reads_video = False
    calibration = None
    categories = (Category(70, "moth"), *(Category(c.id + 1, c.name) for c in reversed(CATEGORIES)))

    def detect(self, key_frame: KeyFrame, *, mask_size: tuple[int, int]) -> FoundBoxes:
        return FoundBoxes(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64), ())


@pytest.mark.parametrize("text", ["2:4,4,12,9", "2:8,5"])
def test_the_model_itself_proposes_and_classifies_what_its_detector_does_not_find(text: str) -> None:
    video = make_video(moving_boxes(4))
    network = BoxesAndMasks(BlindDetector(), FakeNetwork())
    result = prompt(video, text, network=network)  # type: ignore[arg-type]
    assert result.categories == BlindDetector.categories
    (instance,) = result.instances
    assert instance.category_id == 7 + 1  # the same name as category 7 of the network
    if text.count(",") == 1:
        assert_follows(instance, video, 0)


def test_a_category_that_the_detector_lacks_is_no_category() -> None:
    detector = BlindDetector()
    detector.categories = (Category(70, "moth"),)
    result = prompt(make_video(moving_boxes(4)), "2:8,5", network=BoxesAndMasks(detector, FakeNetwork()))  # type: ignore[arg-type]
    assert [instance.category_id for instance in result.instances] == [None]


@pytest.mark.parametrize("text", ["2:4,4,12,9", "2:8,5"])
def test_the_model_itself_has_one_class_if_the_result_has(text: str) -> None:
    network = BoxesAndMasks(BlindDetector(), FakeNetwork())
    result = prompt(make_video(moving_boxes(4)), text, network=network, class_agnostic=True)  # type: ignore[arg-type]
    assert [category.name for category in result.categories] == ["object"]
    assert [instance.category_id for instance in result.instances] == [1]


@pytest.mark.parametrize("detections", [None, VideoDetections(BlindDetector.categories, {})])
def test_only_restricts_the_objects_that_the_model_itself_proposes(detections: VideoDetections | None) -> None:
    segmenter = make_segmenter(BoxesAndMasks(BlindDetector(), PartsNetwork()))  # type: ignore[arg-type]
    video, point = make_video([NESTED] * 2), PointPrompt(0, (8.0, 8.0))
    (instance,) = segmenter.segment(video, prompts=[point], only=["warm"], detections=detections).instances  # type: ignore[arg-type]
    np.testing.assert_array_equal(instance.mask(0), rectangle(NESTED[0]))
    with pytest.raises(VisError, match="no detected object contains this point"):
        segmenter.segment(video, prompts=[point], only=["moth"], detections=detections)  # type: ignore[arg-type]

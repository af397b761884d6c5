"""Given objects together with detected ones: ids, duplicates, competition for pixels, windows."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from vis_cli.engine.video_run import collect_masks
from vis_cli.errors import VisError
from vis_cli.records.prompts import Prompt, parse_box, parse_point
from vis_cli.records.rle import decode_rle
from vis_cli.records.types import InstanceSequence, VideoResult

from .fakes import GREY, HEIGHT, WIDTH, FakeNetwork, FakeVideo, drawn_masks, make_segmenter, make_video, moving_boxes

DEFAULT = {"score_source": "product", "overlap": "exclusive", "containment": 0.8, "early_reduction_iou": 0.7}


def labels(video: FakeVideo, frame: int, ids: dict[int, int]) -> NDArray[np.int64]:
    """Label the objects (colour -> id) where they are truly seen."""
    found = np.zeros((video.height, video.width), dtype=np.int64)
    for colour, id_ in ids.items():
        found[drawn_masks(video, colour)[frame]] = id_
    return found


def segment(
    video: FakeVideo, given: dict[int, dict[int, int]], network: FakeNetwork | None = None, **config: object
) -> VideoResult:
    """Give the objects (colour -> id) of some frames, and detect the others."""
    guidance = {frame: labels(video, frame, ids) for frame, ids in given.items()}
    return make_segmenter(network, **config).segment(video, guidance=guidance, also_detect=True)  # type: ignore[arg-type]


def assert_follows(instance: InstanceSequence, video: FakeVideo, colour: int) -> None:
    for frame, drawn in enumerate(drawn_masks(video, colour)):
        np.testing.assert_array_equal(instance.mask(frame), drawn, str(frame))


@pytest.mark.parametrize("settings", [{}, DEFAULT, {"score_source": "support"}])
@pytest.mark.parametrize("frame", [0, 5])
@pytest.mark.parametrize("window", [None, 8])
def test_given_objects_keep_their_ids_and_others_are_detected(
    settings: dict[str, object], frame: int, window: int | None
) -> None:
    video = make_video(moving_boxes(8))
    given, detected = segment(video, {frame: {0: 5}}, window=window, **settings).instances
    assert (given.id, given.category_id, given.score, given.category_scores, given.key_frame) == (
        5,
        None,
        1.0,
        {},
        frame,
    )
    assert (detected.id, detected.category_id) == (6, 3)
    assert detected.score > 0.7
    assert_follows(given, video, 0)
    assert_follows(detected, video, 1)


def test_the_categories_are_those_of_the_detector() -> None:
    result = segment(make_video(moving_boxes(4)), {0: {0: 5}})
    assert [category.id for category in result.categories] == [7, 3, 9]


def test_boxes_and_points_together_with_detection() -> None:
    video = make_video(moving_boxes(8))
    prompts: list[Prompt] = [parse_box("3:4,2,14,10#9"), parse_point("3:22,16#2")]
    segmenter = make_segmenter()
    first, second = segmenter.segment(video, prompts=prompts, also_detect=True).instances  # type: ignore[arg-type]
    assert [(item.id, item.category_id, item.key_frame) for item in (first, second)] == [(2, 3, 3), (9, 7, 3)]


def test_a_duplicate_detection_is_removed_although_it_is_better() -> None:
    """The given mask is half of the object, and the detection is all of it."""
    video = make_video([{0: (4, 4, 24, 14)}] * 4)
    half = np.zeros((HEIGHT, WIDTH), dtype=np.int64)
    half[4:14, 4:18] = 3
    segmenter = make_segmenter(FakeNetwork(scores=(0.99, 0.9, 0.9, 0.9)))
    (given,) = segmenter.segment(video, guidance={1: half}, also_detect=True).instances  # type: ignore[arg-type]
    assert (given.id, given.score) == (3, 1.0)
    np.testing.assert_array_equal(given.mask(1), half == 3)


def test_given_objects_are_not_duplicates_of_each_other() -> None:
    video = make_video(moving_boxes(4))
    result = segment(video, {0: {0: 1}, 1: {0: 2}})
    assert [instance.id for instance in result.instances][:2] == [1, 2]


def test_a_mask_given_later_corrects_the_object() -> None:
    video = make_video(moving_boxes(8))
    result = segment(video, {0: {0: 4}, 5: {1: 4}})
    given = result.instances[0]
    assert (given.id, given.key_frame) == (4, 0)
    np.testing.assert_array_equal(given.mask(5), drawn_masks(video, 1)[5])


@pytest.mark.parametrize("window", [2, 3, 4])
def test_an_object_that_is_given_later_ends_its_detected_sequence(window: int) -> None:
    video = make_video(moving_boxes(8))
    result = segment(video, {6: {0: 5}}, window=window)
    given = next(item for item in result.instances if item.id == 5)
    frames = [index for index, mask in enumerate(given.segmentations) if mask is not None]
    first = 6 // window * window - window  # of the window before the window of the prompt
    assert frames == list(range(first, 8))
    for index in frames:
        np.testing.assert_array_equal(given.mask(index), drawn_masks(video, 0)[index])
    others = [item for item in result.instances if item.id != 5]
    for index in range(8):
        masks = [mask for item in result.instances if (mask := item.mask(index)) is not None]
        assert sum(int((mask & drawn_masks(video, 0)[index]).any()) for mask in masks) == 1
    assert {item.id for item in others}.isdisjoint({5})


def test_given_objects_of_windows_without_a_new_mask_continue() -> None:
    video = make_video(moving_boxes(8))
    result = segment(video, {0: {0: 2}}, window=3)
    given = next(item for item in result.instances if item.id == 2)
    assert_follows(given, video, 0)
    assert given.score == 1.0
    assert len(result.instances) == 2


@pytest.mark.parametrize("also_detect", [False, True])
def test_a_given_object_that_returns_after_several_windows_keeps_its_id(also_detect: bool) -> None:
    video = make_video([{} if 3 <= index <= 12 else {0: (2, 1, 10, 6)} for index in range(16)])
    guidance = {0: labels(video, 0, {0: 5})}
    network = FakeNetwork()
    network.blind_frames = set(range(16))
    segmenter = make_segmenter(network, window=2)
    (given,) = segmenter.segment(video, guidance=guidance, also_detect=also_detect).instances
    assert given.id == 5
    assert [index for index, mask in enumerate(given.segmentations) if mask is not None] == [0, 1, 2, 13, 14, 15]


def test_a_mask_given_later_ends_the_detection_that_continues_the_object_after_a_cut() -> None:
    boxes = {0: (2, 3, 10, 9), 1: (20, 13, 28, 21)}
    video = make_video([boxes if index < 17 else {0: boxes[0]} for index in range(20)])
    for index, frame in enumerate(video.frames[8:], start=8):
        frame[(frame == GREY).all(axis=2)] = 250
        frame[0, 0] = index
    guidance = {0: labels(video, 0, {0: 1}), 14: labels(video, 14, {1: 1})}
    segmenter = make_segmenter(window=4, cuts=True)
    run = segmenter.start(video, guidance=guidance, also_detect=True)  # type: ignore[arg-type]
    windows = list(run.iter_windows())
    assert [window.starts_shot for window in windows] == [True, False, True, False, False]
    masks = collect_masks(windows)[1]
    drawn = [drawn_masks(video, colour) for colour in (0, 1)]
    for index, mask in enumerate(masks):
        expected = drawn[0][index] if index < 8 else drawn[1][index]
        np.testing.assert_array_equal(np.zeros_like(expected) if mask is None else decode_rle(mask), expected)
    assert windows[-2].num_live == 2  # one per object


def test_arguments_that_exclude_each_other() -> None:
    video, segmenter = make_video(moving_boxes(2)), make_segmenter()
    with pytest.raises(VisError, match="also_detect needs guidance or prompts"):
        segmenter.segment(video, also_detect=True)  # type: ignore[arg-type]
    with pytest.raises(VisError, match="guidance and prompts are both given"):
        segmenter.segment(video, guidance={}, prompts=[parse_box("0:1,1,2,2")])  # type: ignore[arg-type]

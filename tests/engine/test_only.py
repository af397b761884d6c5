"""Objects of some categories only."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from vis_cli.engine.video_run import collect_masks
from vis_cli.errors import VisError
from vis_cli.records.detections import BoxDetections, VideoDetections
from vis_cli.records.types import VideoResult

from .fakes import CATEGORIES, FakeNetwork, FakeVideo, drawn_masks, make_segmenter, make_video, moving_boxes


def segment_only(video: FakeVideo, *names: str, network: FakeNetwork | None = None, **config: object) -> VideoResult:
    return make_segmenter(network, **config).segment(video, only=names)  # type: ignore[arg-type]


@pytest.mark.parametrize("window", [None, 3])
def test_only_objects_of_the_categories_are_detected_and_reported(window: int | None) -> None:
    video = make_video(moving_boxes(6))
    result = segment_only(video, "leaf", window=window)
    assert result.categories == CATEGORIES[1:2]
    (instance,) = result.instances
    assert (instance.category_id, list(instance.category_scores)) == (3, [3])
    for frame, drawn in enumerate(drawn_masks(video, 1)):
        np.testing.assert_array_equal(instance.mask(frame), drawn)


def test_scores_do_not_change() -> None:
    video = make_video(moving_boxes(6))
    expected = {item.category_id: item.score for item in make_segmenter().segment(video).instances}  # type: ignore[arg-type]
    (instance,) = segment_only(video, "leaf").instances
    assert instance.score == pytest.approx(expected[3])


def test_better_objects_of_other_categories_do_not_use_up_the_limit() -> None:
    assert len(segment_only(make_video(moving_boxes(4)), "leaf", max_instances=1).instances) == 1


def test_class_agnostic_results() -> None:
    result = segment_only(make_video(moving_boxes(4)), "leaf", class_agnostic=True)
    assert [category.name for category in result.categories] == ["object"]
    assert len(result.instances) == 1


def test_no_object_of_a_category() -> None:
    assert segment_only(make_video(moving_boxes(4)), "sky").instances == ()


@pytest.mark.parametrize("given", [False, True])
def test_counts_what_is_excluded(given: bool) -> None:
    """The largest number of a key frame, not the sum."""
    video = make_video(moving_boxes(4))
    options: dict[str, Any] = {}
    if given:
        boxes = np.array([[1.0, 2, 12, 10], [19, 12, 29, 22], [1, 1, 4, 4]])
        found = BoxDetections(boxes, np.array([0.9, 0.8, 0.01]), np.array([1, 2, 3]), (None,) * 3)
        options["detections"] = VideoDetections(CATEGORIES, {0: found, 1: found})
    run = make_segmenter().start(video, only=["sky"], **options)  # type: ignore[arg-type]
    result = run.result(collect_masks(run.iter_windows()))
    assert (result.instances, run.excluded) == ((), {"warm": 1, "leaf": 1})


@pytest.mark.parametrize(("class_agnostic", "numbers"), [(False, {"leaf": 2, "sky": 1}), (True, {"leaf": 2})])
def test_does_not_count_duplicates_among_given_detections(class_agnostic: bool, numbers: dict[str, int]) -> None:
    boxes = np.array([[1.0, 2, 12, 10], [1, 2, 12, 11], [19, 12, 29, 22], [1, 2, 11, 10], [1, 1, 12, 10]])
    found = BoxDetections(boxes, np.array([0.9, 0.8, 0.7, 0.6, 0.01]), np.array([2, 2, 2, 3, 2]), (None,) * 5)
    detections, segmenter = VideoDetections(CATEGORIES, {0: found}), make_segmenter(class_agnostic=class_agnostic)
    run = segmenter.start(make_video(moving_boxes(4)), only=["warm"], detections=detections)  # type: ignore[arg-type]
    assert run.excluded == numbers


def test_an_unknown_category_is_an_error_before_a_frame_is_decoded() -> None:
    video, network = make_video(moving_boxes(4)), FakeNetwork()
    with pytest.raises(VisError, match=r"the detector has no category 'lef'. Did you mean leaf\?"):
        segment_only(video, "lef", network=network)
    assert (video.decoded, network.encoded) == ([], [])


def test_given_detections() -> None:
    video, network = make_video(moving_boxes(4)), FakeNetwork()
    boxes = np.array([[1.0, 2, 12, 10], [19, 12, 29, 22]])
    found = BoxDetections(boxes, np.array([0.9, 0.8]), np.array([3, 2]), (None, None))
    other = BoxDetections(boxes[:1], np.array([0.9]), np.array([3]), (None,))
    detections = VideoDetections(CATEGORIES, {0: found, 1: other, 2: other})
    segmenter = make_segmenter(network, num_key_frames=1)
    (instance,) = segmenter.segment(video, detections=detections, only=["leaf"]).instances  # type: ignore[arg-type]
    assert (instance.category_id, instance.key_frame) == (3, 0)
    assert [frame for frame, _ in network.boxed] == [0]
    with pytest.raises(VisError, match="no category 'person'"):
        segmenter.segment(video, detections=detections, only=["person"])  # type: ignore[arg-type]

"""Propose-Reduce, Alg. 1, with a network that detects colours: propagation, memory, and number of network calls."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from vis_cli.records.rle import decode_rle
from vis_cli.records.types import InstanceSequence, VideoResult
from vis_cli.settings import RunSettings

from .fakes import Box, FakeNetwork, FakeVideo, drawn_masks, make_segmenter, make_video, moving_boxes, segment


def test_every_key_frame_proposes_every_object_through_the_whole_video() -> None:
    video = make_video(moving_boxes(9))
    result = segment(video, num_key_frames=3, reduction="none")
    found = sorted((instance.key_frame, instance.category_id) for instance in result.instances)
    assert found == [(0, 3), (0, 7), (3, 3), (3, 7), (6, 3), (6, 7)]
    for instance in result.instances:
        _expect_masks(instance, video, colour=0 if instance.category_id == 7 else 1)


def test_what_is_followed_already_starts_no_sequence() -> None:
    boxes = moving_boxes(9)
    for index in (0, 1, 2):
        del boxes[index][1]  # one of the two objects comes into sight later
    network = FakeNetwork()
    result = segment(make_video(boxes), network, num_key_frames=3, reduction="none", early_reduction_iou=0.7)
    assert sorted((found.key_frame, found.category_id) for found in result.instances) == [(0, 7), (3, 3)]
    for instance in result.instances:
        _expect_masks(instance, make_video(boxes), colour=0 if instance.category_id == 7 else 1)
    assert network.detected == [0, 3, 6]
    assert [frame for frame, _ in network.memorized] == [0, 3, 5]  # no third set, which would begin at 6


def test_a_followed_object_that_is_lost_is_started_again() -> None:
    network = FakeNetwork()
    network.lost_frames = {3}
    result = segment(make_video(moving_boxes(9)), network, num_key_frames=3, reduction="none", early_reduction_iou=0.7)
    assert sorted({found.key_frame for found in result.instances}) == [0, 3]


@pytest.mark.parametrize(("early_reduction_iou", "key_frames"), [(0.5, [0, 0, 3, 3]), (0.49, [0, 0])])
def test_an_overlap_of_the_limit_itself_does_not_count_as_followed(
    early_reduction_iou: float, key_frames: list[int]
) -> None:
    network = FakeNetwork()
    network.half_frames = {3}
    result = segment(
        make_video(moving_boxes(9)),
        network,
        num_key_frames=3,
        reduction="none",
        early_reduction_iou=early_reduction_iou,
    )
    assert [found.key_frame for found in result.instances] == key_frames


def test_an_object_is_found_before_and_after_the_key_frame_that_saw_it() -> None:
    boxes: list[dict[int, Box]] = [{0: (2, 2, 9, 9)} for _ in range(8)]
    for index in (0, 1, 4, 5, 6):
        boxes[index] = {}  # hidden at the first key frame, and again for a while
    video = make_video(boxes)
    network = FakeNetwork()
    (instance,) = segment(video, network, num_key_frames=3).instances  # 0, 2, 4
    assert instance.key_frame == 2
    _expect_masks(instance, video, colour=0)
    assert [mask is None for mask in instance.segmentations] == [True, True, False, False, True, True, True, False]


def test_each_frame_is_decoded_encoded_and_classified_once_for_all_key_frames() -> None:
    network, video = FakeNetwork(), make_video(moving_boxes(9))
    segment(video, network, num_key_frames=3)
    assert video.decoded == list(range(9))
    assert network.encoded == list(range(9))
    assert network.detected == [0, 3, 6]
    assert [frame for frame, _ in network.classified] == [*range(9), *reversed(range(6))]
    forward, backward = [2, 2, 2, 4, 4, 4, 6, 6, 6], [2, 2, 2, 4, 4, 4]  # objects a frame
    assert [len(boxes) for _, boxes in network.classified] == forward + backward


def test_without_budgets_the_result_is_the_same() -> None:
    boxes = moving_boxes(9)
    poor = RunSettings(device="cpu", precision="float32", feature_budget_mb=0, frame_budget_mb=0)
    network, video = FakeNetwork(), make_video(boxes)
    result = make_segmenter(network, run=poor, num_key_frames=3).segment(video)  # type: ignore[arg-type]
    assert result.instances == segment(make_video(boxes), num_key_frames=3).instances
    assert network.encoded == [*range(9), *reversed(range(6))]


def test_both_directions_start_from_the_key_frame_and_memorise_every_stride() -> None:
    network = FakeNetwork()  # key frames 0, where nothing is found, and 5
    network.blind_frames = {0}
    segment(
        make_video(moving_boxes(10)),
        network,
        num_key_frames=2,
        memory_stride=2,
        memory_previous=False,
        memory_frames=None,
    )
    assert [frame for frame, _ in network.memorized] == [5, 7, 3, 1]  # not the last frame of a sweep: 9
    assert network.propagated == [
        (6, [5]),
        (7, [5]),
        (8, [5, 7]),
        (9, [5, 7]),
        (4, [5]),
        (3, [5]),
        (2, [5, 3]),
        (1, [5, 3]),
        (0, [5, 3, 1]),
    ]


def test_the_frame_before_is_in_the_memory_only_for_the_next_one() -> None:
    network = FakeNetwork()
    segment(make_video(moving_boxes(9)), network, num_key_frames=1, memory_stride=3, memory_previous=True)
    assert network.propagated == [
        (1, [0]),
        (2, [0, 1]),
        (3, [0, 2]),
        (4, [0, 3]),
        (5, [0, 3, 4]),
        (6, [0, 3, 5]),
        (7, [0, 3, 6]),
        (8, [0, 3, 6, 7]),
    ]
    assert [frame for frame, _ in network.memorized] == [*range(8)]  # no frame twice


def test_nothing_is_memorised_at_the_last_frame_of_a_sweep() -> None:
    network = FakeNetwork()
    segment(make_video(moving_boxes(6)), network, num_key_frames=2, memory_stride=3, memory_previous=False)  # 0 and 3
    assert [frame for frame, _ in network.memorized] == [0, 3, 3]  # start, the first set's stride, start; none at 0


def test_the_memory_keeps_the_key_frame_and_the_most_recent() -> None:
    network = FakeNetwork()
    segment(make_video(moving_boxes(9)), network, num_key_frames=1, memory_stride=1, memory_frames=3)
    assert network.propagated[-1] == (8, [0, 6, 7])
    assert max(len(frames) for _, frames in network.propagated) == 3


def test_a_memory_of_one_frame_is_never_written() -> None:
    network = FakeNetwork()
    segment(make_video(moving_boxes(6)), network, num_key_frames=1, memory_stride=1, memory_frames=1)
    assert [frame for frame, _ in network.memorized] == [0]


def test_what_is_memorised_is_the_aggregated_soft_mask() -> None:
    network = FakeNetwork()
    network.blur = 0.25
    segment(make_video(moving_boxes(3)), network, num_key_frames=1, memory_stride=1)
    (_, first), (_, second) = network.memorized
    assert first.unique().tolist() == [0.0, 1.0]  # the key frame's detection is binary
    inside = second[0, 5, 6]
    assert 0.99 < inside < 1.0  # 0.95 alone, but the other object has only 0.02 here
    assert second.sum(dim=0).max() < 1.0


def test_the_key_frames_answer_is_the_detection_or_on_request_the_propagation() -> None:
    video = make_video(moving_boxes(4))
    plain, again = FakeNetwork(), FakeNetwork()
    segment(video, plain, num_key_frames=1)
    assert [frame for frame, _ in plain.propagated] == [1, 2, 3]
    result = segment(video, again, num_key_frames=1, resegment_key_frame=True)
    assert again.propagated[0] == (0, [0])
    assert [frame for frame, _ in again.propagated] == [0, 1, 2, 3]
    _expect_masks(result.instances[0], video, colour=0)


def test_frames_before_the_first_detection_are_not_encoded_in_vain() -> None:
    network = FakeNetwork()
    result = segment(make_video([{}] * 12), network, num_key_frames=3)
    assert result.instances == ()
    assert network.encoded == [0, 4, 8]
    assert network.propagated == []


def test_a_sequence_without_a_pixel_is_no_proposal() -> None:
    class Amnesia(FakeNetwork):
        def propagate_one(self, query, memory):  # type: ignore[no-untyped-def]
            return torch.zeros_like(super().propagate_one(query, memory))

    result = segment(
        make_video(moving_boxes(3)), Amnesia(), resegment_key_frame=True, reduction="none", score_threshold=0
    )
    assert result.instances == ()


def test_scores_average_over_all_or_over_visible_frames() -> None:
    boxes: list[dict[int, Box]] = [{0: (2, 2, 9, 9)} if index < 2 else {} for index in range(8)]
    (over_all,) = segment(make_video(boxes), num_key_frames=1).instances
    (over_visible,) = segment(make_video(boxes), num_key_frames=1, score_frames="visible").instances
    np.testing.assert_allclose([over_all.score, over_visible.score], [0.85 * 2 / 8, 0.85], rtol=1e-6)


@pytest.mark.parametrize(
    ("source", "score"),
    [("eq2", 0.85 * 4 / 8), ("detection", 0.8), ("product", (0.8 * 0.85 * 4 / 8) ** 0.5), ("support", 0.8 / 2)],
)
def test_each_source_of_the_score(source: str, score: float) -> None:
    """An object in frames 0 to 3 of 8. Of the key frames 0, 2, 4 and 6, it is detected in 0, and missed in 2."""
    network = FakeNetwork(scores=(0.8, 0.8, 0.7, 0.6))
    network.blind_frames = {2}
    boxes: list[dict[int, Box]] = [{0: (2, 2, 9, 9)} if index < 4 else {} for index in range(8)]
    video = make_video(boxes)
    (instance,) = segment(video, network, num_key_frames=4, score_source=source).instances
    assert instance.score == pytest.approx(score, rel=1e-6)


def test_memory_does_not_grow_with_the_clip() -> None:
    network = FakeNetwork()
    run = RunSettings(device="cpu", precision="float32", feature_budget_mb=1, frame_budget_mb=0)
    make_segmenter(network, run=run, num_key_frames=2).segment(make_video(moving_boxes(3) * 85))  # type: ignore[arg-type]
    assert max(len(frames) for _, frames in network.propagated) <= 6
    encoded_again = network.encoded[255:]
    assert 0 < len(encoded_again) < 127  # some of the 127 frames before the last key frame were kept, not all


def test_time_reversal_mirrors_the_sequences() -> None:
    boxes = moving_boxes(7)
    boxes[2] = {1: boxes[2][1]}  # object 0 is hidden once
    forward = segment(make_video(boxes), num_key_frames=3, key_frame_spacing="endpoints")
    backward = segment(make_video(boxes[::-1]), num_key_frames=3, key_frame_spacing="endpoints")
    assert len(forward.instances) == 2
    assert {instance.category_id: instance.segmentations for instance in forward.instances} == {
        instance.category_id: instance.segmentations[::-1] for instance in backward.instances
    }


def test_the_order_of_detections_does_not_change_the_sequences() -> None:
    boxes = [{**objects, 3: (14, 1, 30, 2 + 9 - index)} for index, objects in enumerate(moving_boxes(6))]
    results = [
        segment(make_video(boxes), FakeNetwork(scores=scores), num_key_frames=2)
        for scores in ((0.9, 0.8, 0.7, 0.6), (0.6, 0.7, 0.8, 0.9))
    ]
    assert len(results[0].instances) == 3
    assert _as_set(results[0]) == _as_set(results[1])


def test_a_still_clip_keeps_its_mask() -> None:
    result = segment(make_video([moving_boxes(1)[0]] * 11))
    for instance in result.instances:
        assert len({str(mask) for mask in instance.segmentations}) == 1


def _as_set(result: VideoResult) -> set[tuple[int, str]]:
    return {(instance.category_id, str(instance.segmentations)) for instance in result.instances}


def _expect_masks(instance: InstanceSequence, video: FakeVideo, *, colour: int) -> None:
    for mask, drawn in zip(instance.segmentations, drawn_masks(video, colour), strict=True):
        assert (mask is None) == (not drawn.any())
        if mask is not None:
            np.testing.assert_array_equal(decode_rle(mask), drawn)

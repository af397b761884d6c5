"""Detections of another program start the sequences: from a file, or from a detector of boxes."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from vis_cli.engine.segmenter import Segmenter
from vis_cli.errors import VisError
from vis_cli.network.config import Calibration
from vis_cli.records.detections import BoxDetections, VideoDetections
from vis_cli.records.rle import Rle, decode_rle, encode_mask
from vis_cli.records.types import Category, KeyFrame, ModelInfo, VideoResult
from vis_cli.settings import PAPER, RunSettings, SegmentSettings
from vis_cli.zoo.detectors import boxes_and_masks
from vis_cli.zoo.detectors.boxes_and_masks import BoxesAndMasks
from vis_cli.zoo.detectors.protocol import FoundBoxes
from vis_cli.zoo.weights import LoadedModel

from .fakes import HEIGHT, WIDTH, Box, FakeNetwork, FakeVideo, drawn_masks, make_video, moving_boxes

ANIMALS = (Category(16, "dog"), Category(17, "cat"))


def frame_of(
    boxes: Sequence[Sequence[float]],
    scores: Sequence[float],
    labels: Sequence[int],
    masks: Sequence[Rle | None] | None = None,
) -> BoxDetections:
    return BoxDetections(
        np.array(boxes, dtype=np.float64).reshape(-1, 4),
        np.array(scores, dtype=np.float64),
        np.array(labels, dtype=np.int64),
        tuple(masks or [None] * len(boxes)),
    )


def video_detections(frames: Mapping[int, BoxDetections]) -> VideoDetections:
    return VideoDetections(ANIMALS, frames)


def true_boxes(boxes: Sequence[dict[int, Box]], frames: Sequence[int]) -> VideoDetections:
    """Object 0 is a cat with the score 0.9, object 1 a dog with the score 0.8."""
    return video_detections(
        {index: frame_of([boxes[index][0], boxes[index][1]], [0.9, 0.8], [2, 1]) for index in frames}
    )


def segment(
    video: FakeVideo, detections: VideoDetections, network: FakeNetwork | None = None, **config: object
) -> VideoResult:
    loaded = LoadedModel(network or FakeNetwork(), ModelInfo("fake", "0" * 64))
    settings = dataclasses.replace(PAPER, **({"early_reduction_iou": 1.0} | config))  # type: ignore[arg-type]
    segmenter = Segmenter(loaded, config=settings, run=RunSettings(device="cpu", precision="float32"))
    return segmenter.segment(video, detections=detections)  # type: ignore[arg-type]


def test_boxes_become_sequences_with_the_categories_of_the_file() -> None:
    boxes, network = moving_boxes(6), FakeNetwork()
    video = make_video(boxes)
    result = segment(video, true_boxes(boxes, [2]), network)
    assert network.detected == []
    assert result.categories == ANIMALS
    assert [(item.category_id, item.key_frame) for item in result.instances] == [(17, 2), (16, 2)]
    for instance, colour in zip(result.instances, (0, 1), strict=True):
        for index, drawn in enumerate(drawn_masks(video, colour)):
            np.testing.assert_array_equal(instance.mask(index), drawn)


def test_key_frames_are_chosen_among_the_frames_with_detections() -> None:
    boxes = moving_boxes(9)
    found = true_boxes(boxes, [1, 3, 4, 6, 7, 8])
    network = FakeNetwork()
    segment(make_video(boxes), found, network, num_key_frames=3)
    assert [frame for frame, _ in network.boxed] == [1, 4, 7]  # every second one of six
    network = FakeNetwork()
    segment(make_video(boxes), found, network, num_key_frames=20)
    assert [frame for frame, _ in network.boxed] == [1, 3, 4, 6, 7, 8]


def test_a_frame_with_unlikely_detections_only_is_no_key_frame() -> None:
    boxes = moving_boxes(4)
    frames = dict(true_boxes(boxes, [3]).frames) | {0: frame_of([boxes[0][0]], [0.1], [1])}
    network = FakeNetwork()
    result = segment(make_video(boxes), video_detections(frames), network, num_key_frames=1)
    assert [instance.key_frame for instance in result.instances] == [3, 3]


def test_without_a_detection_there_are_no_instances() -> None:
    boxes = moving_boxes(3)
    assert segment(make_video(boxes), video_detections({})).instances == ()
    unlikely = {1: frame_of([boxes[1][0]], [0.1], [1])}
    assert segment(make_video(boxes), video_detections(unlikely)).instances == ()


def test_given_detections_do_not_decode_the_video_again() -> None:
    boxes = moving_boxes(5)
    video = make_video(boxes)
    segment(video, true_boxes(boxes, [0, 3]))
    assert video.decoded == list(range(5))


def test_sequences_are_scored_by_support_and_no_other_frame_is_classified() -> None:
    boxes = moving_boxes(4)
    frames = {
        0: frame_of([boxes[0][0], boxes[0][1]], [0.9, 0.8], [2, 1]),
        2: frame_of([boxes[2][0]], [0.5], [2]),  # no detection of object 1
    }
    network = FakeNetwork()
    result = segment(make_video(boxes), video_detections(frames), network)
    assert network.classified == []
    assert result.config["score_source"] == "support"
    scores = {instance.category_id: instance.score for instance in result.instances}
    assert scores == pytest.approx({17: (0.9 + 0.5) / 2, 16: 0.8 / 2})


def test_the_score_of_the_detection_can_be_selected() -> None:
    boxes = moving_boxes(4)
    result = segment(make_video(boxes), true_boxes(boxes, [0, 2]), score_source="detection")
    assert result.config["score_source"] == "detection"
    assert [instance.score for instance in result.instances] == pytest.approx([0.9, 0.8])


def test_a_mask_in_the_file_is_used_exactly() -> None:
    boxes = moving_boxes(3)
    video = FakeVideo([np.kron(frame, np.ones((2, 2, 1), np.uint8)) for frame in make_video(boxes).frames])
    mask = np.zeros((2 * HEIGHT, 2 * WIDTH), dtype=np.bool_)
    mask[7:17, 9:19] = True  # odd sides: the network input has half the size
    frames = {1: frame_of([(9, 7, 19, 17)], [0.9], [1], [encode_mask(mask)])}
    network = FakeNetwork()
    (instance,) = segment(video, video_detections(frames), network).instances
    assert network.boxed == []  # no mask is predicted
    np.testing.assert_array_equal(instance.mask(1), mask)
    covered = network.memorized[0][1]
    assert covered.shape == (1, HEIGHT, WIDTH)
    assert float(covered.sum()) > 0


def test_masks_that_are_left_out_are_not_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    boxes, decoded = moving_boxes(1), []

    def decode(rle: Rle) -> NDArray[np.bool_]:
        decoded.append(rle)
        return decode_rle(rle)

    monkeypatch.setattr(boxes_and_masks, "decode_rle", decode)
    video = make_video(boxes)
    masks = [encode_mask(drawn_masks(video, colour)[0]) for colour in (0, 1)]
    found = frame_of([boxes[0][0], *[boxes[0][1]] * 2], [0.9, 0.1, 0.8], [2, 1, 1], [masks[0], *[masks[1]] * 2])
    result = segment(video, video_detections({0: found}), max_instances=1)
    assert decoded == [masks[0]]
    assert [instance.segmentations for instance in result.instances] == [(masks[0],)]


def test_a_file_can_have_boxes_and_masks() -> None:
    boxes = moving_boxes(2)
    video = make_video(boxes)
    masks = [encode_mask(drawn_masks(video, 0)[0]), None]
    frames = {0: frame_of([boxes[0][0], boxes[0][1]], [0.9, 0.8], [2, 1], masks)}
    first, second = segment(video, video_detections(frames)).instances
    np.testing.assert_array_equal(first.mask(0), drawn_masks(video, 0)[0])
    np.testing.assert_array_equal(second.mask(0), drawn_masks(video, 1)[0])


def test_boxes_are_scaled_to_the_network_input_and_clipped() -> None:
    boxes = moving_boxes(2)
    video = FakeVideo([np.kron(frame, np.ones((3, 3, 1), np.uint8)) for frame in make_video(boxes).frames])
    frames = {0: frame_of([(6, 9, 30, 27), (-50, 39, 500, 63)], [0.9, 0.8], [2, 1])}
    network = FakeNetwork()
    segment(video, video_detections(frames), network)
    ((_, found),) = network.boxed
    np.testing.assert_allclose(found.numpy(), [[2, 3, 10, 9], [0, 13, WIDTH, 21]], atol=1e-5)


def test_duplicate_boxes_of_one_category_and_boxes_above_the_maximum_are_removed() -> None:
    boxes = moving_boxes(2)
    first, second = boxes[0][0], boxes[0][1]
    shifted = (first[0], first[1], first[2], first[3] - 1)
    found = frame_of([second, shifted, first], [0.5, 0.6, 0.7], [1, 2, 2])
    network = FakeNetwork()
    segment(make_video(boxes), video_detections({0: found}), network)
    np.testing.assert_allclose(network.boxed[0][1].numpy(), [first, second])
    network = FakeNetwork()
    segment(make_video(boxes), video_detections({0: found}), network, max_instances=1)
    np.testing.assert_allclose(network.boxed[0][1].numpy(), [first])


def test_boxes_without_area_are_removed() -> None:
    boxes = moving_boxes(2)
    outside = (WIDTH + 5, 2, WIDTH + 9, 9)
    inverted = (20, 20, 12, 12)
    found = frame_of([outside, (4, 4, 4, 9), inverted, boxes[0][0]], [0.9, 0.9, 0.9, 0.8], [1, 1, 1, 2])
    network = FakeNetwork()
    segment(make_video(boxes), video_detections({0: found}), network)
    assert len(network.boxed[0][1]) == 1


def test_class_agnostic_results_merge_the_categories() -> None:
    boxes = moving_boxes(3)
    first, second = boxes[0][0], boxes[0][1]
    found = frame_of([first, first, second], [0.9, 0.85, 0.8], [1, 2, 1])  # one object with two categories
    result = segment(make_video(boxes), video_detections({0: found}), class_agnostic=True)
    assert [category.name for category in result.categories] == ["object"]
    assert [instance.score for instance in result.instances] == pytest.approx([0.9, 0.8])


class FakeDetector:
    """A detector that knows the boxes of each frame, and remembers the key frames."""

    reads_video = True
    calibration: Calibration | None = None

    def __init__(self, frames: Mapping[int, BoxDetections], *, masks: float | None = None) -> None:
        self.categories = ANIMALS
        self.key_frames_read: list[tuple[int, tuple[int, ...]]] = []
        self._frames = frames
        self._masks = masks

    def detect(self, key_frame: KeyFrame, *, mask_size: tuple[int, int]) -> FoundBoxes:
        assert key_frame.pixels[0, 0, 0] == key_frame.index
        self.key_frames_read.append((key_frame.index, key_frame.pixels.shape))
        found = self._frames[key_frame.index]
        masks = None if self._masks is None else np.full((5, 7), self._masks, np.float32)
        return FoundBoxes(
            found.boxes.astype(np.float32), found.scores.astype(np.float32), found.labels, (masks,) * len(found.boxes)
        )


def make_segmenter(detector: FakeDetector, network: FakeNetwork, **settings: Any) -> Segmenter:
    loaded = LoadedModel(BoxesAndMasks(detector, network), ModelInfo("fake", "0" * 64))
    config = dataclasses.replace(PAPER, early_reduction_iou=1.0, num_key_frames=2, **settings)
    return Segmenter(loaded, config=config, run=RunSettings(device="cpu", precision="float32"))


def test_a_detector_reads_the_key_frames_at_the_size_of_the_video() -> None:
    boxes = moving_boxes(6)
    video = FakeVideo([np.kron(frame, np.ones((2, 2, 1), np.uint8)) for frame in make_video(boxes).frames])
    doubled = [{key: tuple(2 * side for side in box) for key, box in frame.items()} for frame in boxes]
    detector = FakeDetector(true_boxes(doubled, range(6)).frames)  # type: ignore[arg-type]
    result = make_segmenter(detector, FakeNetwork()).segment(video)  # type: ignore[arg-type]
    assert detector.key_frames_read == [(index, (2 * HEIGHT, 2 * WIDTH, 3)) for index in (0, 3)]
    assert result.config["score_source"] == "support"
    for instance, colour in zip(result.instances, (0, 1), strict=True):
        for index, drawn in enumerate(drawn_masks(video, colour)):
            np.testing.assert_array_equal(instance.mask(index), drawn)


def test_a_detector_of_the_network_input_needs_no_second_pass() -> None:
    """The video is decoded once, also in several windows, and each key frame has the size of the network input."""
    boxes = moving_boxes(6)
    video = FakeVideo([np.kron(frame, np.ones((2, 2, 1), np.uint8)) for frame in make_video(boxes).frames])
    detector = FakeDetector(true_boxes(boxes, range(6)).frames)
    detector.reads_video = False
    segmenter = make_segmenter(detector, FakeNetwork(), window=3)
    result = segmenter.segment(video)  # type: ignore[arg-type]
    assert detector.key_frames_read == [(index, (HEIGHT, WIDTH, 3)) for index in (0, 1, 3, 4)]
    assert video.decoded == list(range(6))
    for instance, colour in zip(result.instances, (0, 1), strict=True):
        for index, drawn in enumerate(drawn_masks(video, colour)):
            np.testing.assert_array_equal(instance.mask(index), drawn)


@pytest.mark.parametrize(("source", "is_calibrated"), [("product", True), ("support", True), ("detection", False)])
def test_the_calibration_of_a_detector_belongs_to_its_support(source: str, is_calibrated: bool) -> None:
    """`product` becomes `support`, because the detector does not classify boxes."""
    boxes = moving_boxes(4)
    found = []
    for calibration in (None, (2.0, -1.0)):
        detector = FakeDetector(true_boxes(boxes, range(4)).frames)
        detector.calibration = calibration
        segmenter = make_segmenter(detector, FakeNetwork(), score_source=source, calibrate=True)
        found.append(segmenter.segment(make_video(boxes)))  # type: ignore[arg-type]
    for plain, other in zip(*(result.instances for result in found), strict=True):
        odds = plain.score / (1 - plain.score)
        assert other.score == pytest.approx(odds**2 / (odds**2 + np.e) if is_calibrated else plain.score)


def test_one_segmenter_reads_several_videos() -> None:
    boxes = moving_boxes(4)
    detector = FakeDetector(true_boxes(boxes, range(4)).frames)
    segmenter = make_segmenter(detector, FakeNetwork())
    first, second = (segmenter.segment(make_video(boxes)) for _ in range(2))  # type: ignore[arg-type]
    assert first.instances == second.instances
    assert [index for index, _ in detector.key_frames_read] == [0, 2, 0, 2]


def test_masks_of_a_detector_are_resized_to_the_network_input() -> None:
    boxes = moving_boxes(2)
    network = FakeNetwork()
    detector = FakeDetector(true_boxes(boxes, range(2)).frames, masks=0.75)
    make_segmenter(detector, network).segment(make_video(boxes))  # type: ignore[arg-type]
    assert network.boxed == []
    assert network.memorized[0][1].shape[1:] == (HEIGHT, WIDTH)


def test_a_video_that_becomes_shorter_is_an_error() -> None:
    boxes = moving_boxes(4)
    detector = FakeDetector(true_boxes(boxes, range(4)).frames)
    video = make_video(boxes)
    passes = [video.frames, video.frames[:2]]

    class Shrinking(FakeVideo):
        def iter_frames(self):  # type: ignore[no-untyped-def]
            yield from passes.pop(0)

    with pytest.raises(VisError, match=r"frame 2 cannot be read again\. Do not change the video"):
        make_segmenter(detector, FakeNetwork()).segment(Shrinking(video.frames))  # type: ignore[arg-type]


def test_guidance_and_detections_exclude_each_other() -> None:
    boxes = moving_boxes(2)
    loaded = LoadedModel(FakeNetwork(), ModelInfo("fake", "0" * 64))
    segmenter = Segmenter(loaded, config=SegmentSettings(), run=RunSettings(device="cpu", precision="float32"))
    guidance = {0: np.ones((HEIGHT, WIDTH), np.uint8)}
    with pytest.raises(VisError, match="guidance and detections are both given"):
        segmenter.segment(
            make_video(boxes),  # type: ignore[arg-type]
            guidance=guidance,
            detections=true_boxes(boxes, [0]),
        )

"""Mask boxes, class probabilities of a frame and their average."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch

from vis_cli.engine.scoring import (
    FrameDetections,
    calibrate_scores,
    combine_scores,
    frame_class_probs,
    mask_boxes,
    mean_class_scores,
    support_scores,
)
from vis_cli.network.class_agnostic import ClassAgnostic
from vis_cli.network.protocol import VideoNetwork
from vis_cli.records.rle import Rle, encode_mask
from vis_cli.settings import ScoreFrames

from .fakes import FakeNetwork, draw_frame

GOLDEN = Path(__file__).parents[1] / "golden" / "mask_nms_mask2box.npz"


def test_mask_boxes_agree_with_the_authors_implementation() -> None:
    golden = np.load(GOLDEN)
    compared = 0
    for mask, (*box, expand) in zip(golden["mask2box_masks"], golden["mask2box_x0y0x1y1_expand"], strict=True):
        if mask.any():  # of an empty mask the released code makes the whole canvas, and never uses it
            margin = int(expand) + 1  # the authors' implementation always adds one
            found = mask_boxes(torch.from_numpy(mask.astype(bool))[None], margin=margin)[0]
            last = torch.tensor([0.0, 0.0, 1.0, 1.0])  # its boxes end with their last pixel
            assert (found - last).tolist() == box
            compared += 1
    assert compared > 180


def test_mask_boxes_have_a_margin_of_one_pixel_and_are_clipped() -> None:
    masks = torch.ones(2, 6, 8, dtype=torch.bool)
    masks[0] = False
    masks[0, 2:4, 3:5] = True
    assert mask_boxes(masks).tolist() == [[2, 1, 6, 5], [0, 0, 8, 6]]
    assert mask_boxes(masks[:0]).shape == (0, 4)


def test_all_visible_objects_are_classified_in_one_call() -> None:
    network = FakeNetwork()
    probs = _classify(network, [(2, 2, 9, 9), None, (12, 2, 20, 9)])
    assert len(network.classified) == 1
    assert network.classified[0][1].tolist() == [[1, 1, 10, 10], [11, 1, 21, 10]]
    np.testing.assert_allclose(probs, [[0.05, 0.85, 0.05, 0.05], [0, 0, 0, 0], [0.05, 0.05, 0.85, 0.05]], atol=1e-6)


def test_a_box_ends_where_its_last_pixel_does() -> None:
    """The mask fills rows 3 to 5 and columns 4 to 9; a pixel around it, and the last one's own width and height."""
    network = FakeNetwork()
    _classify(network, [(4, 3, 10, 6), (0, 0, 32, 24)])
    assert network.classified[0][1].tolist() == [[3, 2, 11, 7], [0, 0, 32, 24]]


def test_class_agnostic_scores_are_all_but_background() -> None:
    probs = _classify(ClassAgnostic(FakeNetwork()), [(2, 2, 9, 9), None])
    np.testing.assert_allclose(probs, [[0.05, 0.95], [0.0, 0.0]], atol=1e-6)


@pytest.mark.parametrize(("network", "num_scores"), [(FakeNetwork(), 4), (ClassAgnostic(FakeNetwork()), 2)])
def test_no_objects(network: VideoNetwork, num_scores: int) -> None:
    assert _classify(network, []).shape == (0, num_scores)


def test_average_over_all_or_over_visible_frames() -> None:
    sums, visible, lifetimes = np.array([[0.4, 1.6], [0.0, 0.0]]), np.array([1, 0]), np.array([2, 0])
    means = {
        name: mean_class_scores(sums, visible, lifetimes, num_frames=4, score_frames=name)
        for name in get_args(ScoreFrames)
    }
    np.testing.assert_allclose(means["all"], [[0.1, 0.4], [0.0, 0.0]])
    np.testing.assert_allclose(means["visible"], [[0.4, 1.6], [0.0, 0.0]])
    np.testing.assert_allclose(means["lifetime"], [[0.2, 0.8], [0.0, 0.0]])


def _classify(network: VideoNetwork, boxes: list[tuple[int, int, int, int] | None]) -> np.ndarray:
    masks = torch.zeros(len(boxes), 24, 32, dtype=torch.bool)
    for mask, box in zip(masks, boxes, strict=True):
        if box is not None:
            mask[box[1] : box[3], box[0] : box[2]] = True
    frame = draw_frame(0, {0: (2, 2, 9, 9), 1: (12, 2, 20, 9)})
    features = network.encode_frames(torch.from_numpy(frame).permute(2, 0, 1)[None].float())
    return frame_class_probs(network, features, masks)


def test_support_is_the_mean_over_the_key_frames_that_show_the_sequence() -> None:
    left, right = _rle(slice(0, 4)), _rle(slice(6, 10))
    sequences = [{0: left, 1: left, 3: left}, {0: right}]
    detections = {
        0: FrameDetections((right, left), np.array([[0.4, 0.6, 0.0], [0.2, 0.0, 0.8]])),
        2: FrameDetections((left,), np.array([[0.1, 0.9, 0.0]])),  # frame 2 shows no sequence
        3: FrameDetections((), np.zeros((0, 3))),
    }
    scores = support_scores(sequences, detections, 3)
    np.testing.assert_allclose(scores, [[0.1, 0.0, 0.4], [0.4, 0.6, 0.0]])
    assert support_scores([], detections, 3).shape == (0, 3)


@pytest.mark.parametrize(("width", "supported"), [(5, True), (4, False)])
def test_a_detection_supports_from_an_iou_of_one_half(width: int, supported: bool) -> None:
    detections = {0: FrameDetections((_rle(slice(0, width)),), np.array([[0.2, 0.8]]))}
    assert support_scores([{0: _rle(slice(0, 10))}], detections, 2)[0, 1] == (0.8 if supported else 0.0)


def test_a_combined_score_is_the_geometric_mean() -> None:
    combined = combine_scores(np.array([[0.5, 0.5, 0.0]]), np.array([[0.5, 0.02, 0.48]]))
    np.testing.assert_allclose(combined, [[0.5, 0.1, 0.0]])


def test_calibration_keeps_the_order_the_limits_and_the_background() -> None:
    scores = np.array([[0.3, 0.0, 1.0], [0.3, 0.2, 0.5], [0.3, 0.2000001, -1.0]])
    calibrated = calibrate_scores(scores, (2.0, -1.0))
    np.testing.assert_allclose(calibrated[:2], [[0.3, 0.0, 1.0], [0.3, 1 / (1 + 16 * np.e), 1 / (1 + np.e)]])
    assert calibrated[2, 1] > calibrated[1, 1]
    assert calibrated[2, 2] == -1.0  # removed by the reduction
    assert calibrate_scores(scores, None) is scores


def _rle(columns: slice) -> Rle:
    mask = np.zeros((4, 12), dtype=np.bool_)
    mask[:, columns] = True
    return encode_mask(mask)

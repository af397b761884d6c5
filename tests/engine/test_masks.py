"""Masks at the video's size, and the names of sequences."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from vis_cli.engine.instances import make_instances
from vis_cli.engine.masks import encode_probs, mask_iou, mask_nms
from vis_cli.engine.sequences import SequenceProposals
from vis_cli.records.rle import decode_rle, encode_mask
from vis_cli.records.types import Category

GOLDEN = Path(__file__).parents[1] / "golden" / "mask_nms_mask2box.npz"
CATEGORIES = (Category(4, "cat"), Category(2, "dog"))


@pytest.mark.parametrize("video", [(7, 9), (14, 18), (50, 71), (3, 4), (1, 1), (9, 5), (70, 3)])
@pytest.mark.parametrize("seed", range(4))
def test_masks_are_resized_before_the_threshold(video: tuple[int, int], seed: int) -> None:
    probs = np.random.default_rng(seed).random((7, 9), dtype=np.float32)
    probs[: 2 * seed] = 0.01  # also where only a part of the picture is computed
    probs[:, : seed + 1] = 0.0
    for threshold in (0.5, 0.9):
        expected = _resize(probs, video)
        clear = np.abs(expected - threshold) > 1e-5  # the rest is rounding
        np.testing.assert_array_equal(_mask(probs, video, threshold)[clear], (expected > threshold)[clear])


def test_a_mask_at_the_videos_size_is_not_moved() -> None:
    probs = np.zeros((5, 6), dtype=np.float32)
    probs[1:3, 2:5] = 0.9
    np.testing.assert_array_equal(_mask(probs, (5, 6), 0.5), probs > 0.5)


def test_the_threshold_itself_is_background() -> None:
    assert encode_probs(torch.full((1, 3, 3), 0.5), (3, 3), 0.5) == [None]


def test_an_object_that_vanishes_in_a_small_video_is_absent() -> None:
    probs = np.zeros((40, 40), dtype=np.float32)
    probs[0, 0] = 1.0  # no pixel centre of a 2x2 video is near
    assert encode_probs(torch.from_numpy(probs)[None], (2, 2), 0.5) == [None]


def test_mask_nms_agrees_with_the_released_one() -> None:
    golden = np.load(GOLDEN)
    starts = np.concatenate([[0], golden["masknms_count"].cumsum()])
    for case, keep in enumerate(golden["masknms_keep"]):
        masks = torch.from_numpy(golden["masknms_masks"][starts[case] : starts[case + 1]].astype(bool))
        assert mask_nms(masks, float(golden["masknms_thr"])) == np.flatnonzero(keep).tolist(), case
    assert len(golden["masknms_keep"]) == 200


def test_mask_iou_of_every_two() -> None:
    masks = torch.zeros(3, 2, 4, dtype=torch.bool)
    masks[0, 0] = True  # four pixels
    masks[1, :, :2] = True  # four, two of them shared; the third is empty
    expected = [[1.0, 2 / 6, 0.0], [2 / 6, 1.0, 0.0], [0.0, 0.0, 0.0]]
    np.testing.assert_allclose(mask_iou(masks, masks), expected)
    assert mask_iou(masks[:0], masks).shape == (0, 3)
    assert mask_iou(masks, masks[:0]).shape == (3, 0)


def test_mask_nms_of_nothing() -> None:
    assert mask_nms(torch.zeros(0, 4, 5, dtype=torch.bool), 0.2) == []


def test_sequences_are_named_by_their_best_class() -> None:
    first, second = make_instances(_proposals(), CATEGORIES, reported_score=0.3, confident_score=0.5)
    assert (first.id, first.category_id, first.score, first.key_frame) == (5, 2, 0.6, 3)
    assert first.category_scores == {4: 0.3, 2: 0.6}
    assert first.segmentations == _proposals().segmentations[0]
    assert (first.confident, second.confident) == (True, False)
    assert (second.category_id, second.category_scores) == (4, {4: 0.2})  # the best is told however low


def test_the_limit_itself_is_confident() -> None:
    first, _ = make_instances(_proposals(), CATEGORIES, reported_score=0.3, confident_score=0.6)
    assert first.confident


def test_no_sequences() -> None:
    assert make_instances(_proposals().select([]), CATEGORIES, reported_score=0.3, confident_score=0.5) == ()


def _proposals() -> SequenceProposals:
    rle = encode_mask(np.ones((2, 2), dtype=np.bool_))
    scores = np.array([[0.1, 0.3, 0.6], [0.7, 0.2, -1.0]])
    return SequenceProposals((5, 6), (3, 0), ((rle, None), (None, rle)), scores)


def _mask(probs: NDArray[np.float32], video: tuple[int, int], threshold: float) -> NDArray[np.bool_]:
    (rle,) = encode_probs(torch.from_numpy(probs)[None], video, threshold)
    return np.zeros(video, dtype=np.bool_) if rle is None else decode_rle(rle)


def _resize(probs: NDArray[np.float32], video: tuple[int, int]) -> NDArray[np.float32]:
    resized: NDArray[np.float32] = F.interpolate(
        torch.from_numpy(probs)[None, None], size=video, mode="bilinear", align_corners=False
    )[0, 0].numpy()
    return resized

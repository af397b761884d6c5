"""Exclusive masks: the most probable sequence gets a pixel, the better sequence wins a tie."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
import torch.nn.functional as F

from vis_cli.engine.exclusive import make_exclusive
from vis_cli.engine.masks import encode_probs
from vis_cli.engine.packed_probs import PackedProbs, pack_probs
from vis_cli.engine.sequences import SequenceProposals
from vis_cli.records.rle import decode_rle

from .fakes import make_segmenter, make_video

VIDEO = (24, 36)  # (H, W), twice the size of the network input


def _frame(*rows: tuple[slice, slice, float]) -> torch.Tensor:
    probs = torch.zeros(len(rows), 12, 18)
    for index, (vertical, horizontal, value) in enumerate(rows):
        probs[index, vertical, horizontal] = value
    return probs


def _proposals(frames: list[torch.Tensor]) -> SequenceProposals:
    masks = list(zip(*(encode_probs(probs, VIDEO, 0.5) for probs in frames), strict=True))
    packed = list(zip(*(pack_probs(probs, 0.5) for probs in frames), strict=True))
    num = len(masks)
    scores = np.tile([0.1, 0.9], (num, 1))
    return SequenceProposals(tuple(range(1, num + 1)), (0,) * num, tuple(masks), scores, tuple(packed))


def _decoded(proposals: SequenceProposals, frame: int) -> np.ndarray:
    masks = [row[frame] for row in proposals.segmentations]
    return np.stack([np.zeros(VIDEO, np.bool_) if mask is None else decode_rle(mask) for mask in masks])


def test_the_most_probable_sequence_gets_the_pixel() -> None:
    weak, strong = (slice(0, 8), slice(0, 8), 0.52), (slice(4, 10), slice(4, 12), 1.0)
    before = _proposals([_frame(weak, strong)])
    first, second = _decoded(make_exclusive(before), 0)
    whole_first, whole_second = _decoded(before, 0)
    assert (whole_first & whole_second).sum() > 0
    np.testing.assert_array_equal(second, whole_second)
    np.testing.assert_array_equal(first, whole_first & ~whole_second)


def test_the_better_sequence_wins_a_tie() -> None:
    same = (slice(2, 8), slice(3, 9), 0.8)
    before = _proposals([_frame(same, same)])
    after = make_exclusive(before)
    np.testing.assert_array_equal(_decoded(after, 0)[0], _decoded(before, 0)[0])
    assert after.segmentations[1] == (None,)


def test_an_instance_that_is_not_confident_cuts_no_hole_into_a_confident_one() -> None:
    confident, hidden = (slice(0, 8), slice(0, 8), 0.6), (slice(4, 10), slice(4, 12), 1.0)
    before = dataclasses.replace(
        _proposals([_frame(confident, hidden)]), class_scores=np.array([[0.5, 0.5], [0.8, 0.2]])
    )
    first, second = _decoded(make_exclusive(before, confident_score=0.25), 0)
    whole_first, whole_second = _decoded(before, 0)
    np.testing.assert_array_equal(first, whole_first)
    np.testing.assert_array_equal(second, whole_second & ~whole_first)
    first, second = _decoded(make_exclusive(before, confident_score=0.2), 0)  # both are confident
    assert second[10:16, 10:16].all()
    assert not first[10:16, 10:16].any()


def test_a_pixel_belongs_to_one_sequence_at_the_size_of_the_video() -> None:
    """The winner of each common pixel has the highest probability after the resize of F.interpolate."""
    torch.manual_seed(0)
    frames = [F.avg_pool2d(torch.rand(4, 16, 22), 5, stride=1) * 1.4 for _ in range(3)]
    before = _proposals(frames)
    after = make_exclusive(before)
    for index, probs in enumerate(frames):
        whole, shared = _decoded(before, index), _decoded(after, index)
        np.testing.assert_array_equal(shared.any(axis=0), whole.any(axis=0))  # no pixel is lost
        assert shared.sum(axis=0).max() == 1
        resized = F.interpolate(probs[None], size=VIDEO, mode="bilinear", align_corners=False)[0].clamp(max=1).numpy()
        best = np.where(whole, resized, -1).max(axis=0)
        won = np.where(shared, resized, -1).max(axis=0)
        assert np.abs(best - won).max() < 2 / 255  # a probability is stored in one byte


def test_masks_without_common_pixels_do_not_change() -> None:
    left, right = (slice(0, 4), slice(0, 4), 0.7), (slice(6, 9), slice(6, 9), 0.7)
    absent = (slice(0, 0), slice(0, 0), 0.0)
    before = _proposals([_frame(left, right), _frame(left, absent)])
    assert make_exclusive(before).segmentations == before.segmentations
    assert make_exclusive(before.select([])).segmentations == ()


def test_packed_probabilities_are_exact_to_one_byte() -> None:
    probs = torch.rand(3, 12, 18)
    probs[1] = 0.2
    packed = pack_probs(probs, 0.5)
    assert packed[1] is None
    unpacked = packed[0]
    assert isinstance(unpacked, PackedProbs)
    assert float((unpacked.unpack() - probs[0]).abs().max()) < 1 / 255


def test_objects_of_different_key_frames_share_no_pixel() -> None:
    """Object 1 is detected in the second key frame only, and lies over object 0."""
    boxes = [{0: (2, 2, 20, 20)} for _ in range(8)]
    for index in range(4, 8):
        boxes[index][1] = (10, 10, 24, 24)
    result = make_segmenter(overlap="exclusive", num_key_frames=2).segment(make_video(boxes))  # type: ignore[arg-type]
    assert len(result.instances) == 2
    for index in range(8):
        masks = [mask for instance in result.instances if (mask := instance.mask(index)) is not None]
        assert np.sum(masks, axis=0).max() == 1


def test_a_sequence_without_a_remaining_pixel_is_no_instance() -> None:
    """Both key frames detect object 0. Without a reduction, both masks are equal, and the better sequence wins."""
    boxes = [{0: (2, 2, 20, 20)} for _ in range(4)]
    config = {"overlap": "exclusive", "num_key_frames": 2, "reduction": "none", "resegment_key_frame": True}
    result = make_segmenter(**config).segment(make_video(boxes))  # type: ignore[arg-type]
    assert [instance.id for instance in result.instances] == [1]
    assert all(result.instances[0].segmentations)

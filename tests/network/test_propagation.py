"""The walk from frame to frame that inference and training share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import pytest
import torch
from torch import Tensor

from vis_cli.network.memory import MemoryBank, MemoryRule
from vis_cli.network.propagation import Propagation, encode_clip, propagate_masks
from vis_cli.network.seq_mask_rcnn import SeqMaskRCNN
from vis_cli.network.structures import EncodedFrame, FrameFeatures, MemoryEntry, QueryFeatures


class CountingNetwork:
    """A network whose memory entries are frame indices, and whose masks are the newest one in the memory."""

    def encode_query(self, features: FrameFeatures) -> QueryFeatures:
        return QueryFeatures(*(features.c2.clone() for _ in range(4)), features.image_size)

    def memorize(self, features: FrameFeatures, masks: Tensor) -> MemoryEntry:
        index = features.c2[:1, :1].expand(len(masks), 1, 1, 1)
        return MemoryEntry(index, masks.mean(dim=(1, 2))[:, None, None, None])

    def propagate(self, query: QueryFeatures, memories: Sequence[MemoryBank]) -> list[Tensor]:
        return [memory.key[:, 0, -1].expand(-1, *query.image_size) for memory in memories]


NETWORK = cast(SeqMaskRCNN, CountingNetwork())


def frame(index: int) -> EncodedFrame:
    level = torch.full((1, 1, 1, 1), float(index))
    features = FrameFeatures((level,), level, level, (2, 3))
    return EncodedFrame(index, features, NETWORK.encode_query(features))


def propagation(
    start: int, *, num: int = 1, rule: MemoryRule | None = None, memorized_frames: frozenset[int] = frozenset()
) -> Propagation:
    guidance = NETWORK.memorize(frame(start).features, torch.ones(num, 2, 3))
    return Propagation(start, guidance, rule or MemoryRule(), memorized_frames=memorized_frames)


def memorized(bank: MemoryBank) -> list[int]:
    return [int(index) for index in bank.key[0, 0, :, 0, 0]]


def walk(indices: list[int], moved: Propagation) -> list[list[int]]:
    """Propagate to frames and return which frames the memory holds at each of them."""
    held = []
    for step in propagate_masks(NETWORK, map(frame, indices), [moved]):
        held.append(memorized(moved.bank))
        step.masks = [step.separate[0]]
    return held


def test_each_frame_reads_the_frames_before_it() -> None:
    assert walk([1, 2, 3], propagation(0)) == [[0], [0, 1], [0, 1, 2]]
    assert walk([1, 0], propagation(2)) == [[2], [2, 1]]


def test_the_masks_of_the_last_frame_are_not_memorized() -> None:
    moved = propagation(0)
    walk([1, 2, 3], moved)
    assert memorized(moved.bank) == [0, 1, 2]


def test_the_rule_and_the_memorized_frames_decide_what_is_kept() -> None:
    rule = MemoryRule(stride=3)
    assert walk([1, 2, 3, 4, 5], propagation(0, rule=rule))[-1] == [0, 3]
    assert walk([1, 2, 3, 4, 5], propagation(0, rule=rule, memorized_frames=frozenset([2])))[-1] == [0, 2, 3]
    assert walk([8, 7, 6, 5], propagation(9, rule=rule))[-1] == [9, 6]
    previous = MemoryRule(stride=3, keep_previous=True)
    assert walk([1, 2, 3, 4, 5], propagation(0, rule=previous)) == [[0], [0, 1], [0, 2], [0, 3], [0, 3, 4]]
    assert walk([1, 2], propagation(0, rule=MemoryRule(max_frames=1))) == [[0], [0]]


def test_the_guidance_frame_is_not_memorized_again() -> None:
    moved = propagation(4)
    walk([4, 5, 6], moved)
    assert memorized(moved.bank) == [4, 5]


def test_objects_can_start_during_the_walk() -> None:
    propagations = [propagation(0)]
    counts = []
    for step in propagate_masks(NETWORK, map(frame, [1, 2, 3]), propagations):
        counts.append([len(probs) for probs in step.separate])
        step.masks = step.separate
        if step.frame.index == 2:
            propagations.append(propagation(2, num=3))
    assert counts == [[1], [1], [1, 3]]
    assert memorized(propagations[1].bank) == [2]


def test_a_restart_forgets_all_but_the_guidance_frame() -> None:
    moved = propagation(2, memorized_frames=frozenset([1]))
    walk([3, 4, 5], moved)
    again = moved.restart()
    assert memorized(again.bank) == [2]
    assert memorized(moved.bank) == [2, 3, 4]
    assert walk([1, 0], again) == [[2], [2, 1]]


def test_a_step_without_masks_is_an_error() -> None:
    steps = propagate_masks(NETWORK, map(frame, [1, 2]), [propagation(0)])
    next(steps)
    with pytest.raises(ValueError, match="zip"):
        next(steps)


def test_nothing_to_propagate() -> None:
    for step in propagate_masks(NETWORK, map(frame, [1, 2]), []):
        assert step.separate == step.masks == []


def test_a_clip_of_several_videos_is_encoded_for_each_object() -> None:
    level = torch.tensor([10.0, 20.0]).reshape(2, 1, 1, 1)  # two clips
    features = FrameFeatures((level, level), level, level, (2, 3))
    clip = torch.tensor([1, 1, 0])
    (encoded,) = encode_clip(NETWORK, [features], clip)
    assert encoded.index == 1
    assert encoded.query.key.flatten().tolist() == [20.0, 20.0, 10.0]
    assert [part.flatten().tolist() for part in encoded.features.pyramid] == [[20.0, 20.0, 10.0]]
    assert encoded.features.c2 is level

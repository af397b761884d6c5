"""Tests of targets made from id maps, and of the choice of guided objects."""

from __future__ import annotations

import numpy as np
import torch

from vis_cli.training.structures import ClipTargets
from vis_cli.training.targets import FrameObjects, choose_guided, frame_targets


def make_targets(labels: dict[int, int]) -> ClipTargets:
    """Return targets of instances id -> label without a shape."""
    count = len(labels)
    ids, values = torch.tensor(list(labels), dtype=torch.int64), torch.tensor(list(labels.values()), dtype=torch.int64)
    return ClipTargets(torch.zeros(count, 4), values, torch.zeros(count, 2, 2, dtype=torch.uint8), ids)


def test_crowds_and_slivers_are_ignored_and_unknown_values_are_background() -> None:
    id_map = np.zeros((40, 40), np.uint16)
    id_map[0:10, 0:10], id_map[20:40, 20:22], id_map[12:15, 0:5], id_map[30:34, 0:8], id_map[0:5, 30:40] = 1, 2, 3, 4, 9

    targets, ignore = frame_targets(
        id_map, FrameObjects({1: 5, 2: 6, 3: 7}, frozenset({4})), smallest_area=16, smallest_side=3
    )

    assert targets.instance_ids.tolist() == [1]
    assert targets.labels.tolist() == [5]
    assert targets.boxes.tolist() == [[0, 0, 10, 10]]
    assert ignore.tolist() == [[20, 20, 22, 40], [0, 12, 5, 15], [0, 30, 8, 34]]


def test_an_object_of_unknown_class_gets_label_one() -> None:
    targets, _ = frame_targets(
        np.ones((9, 9), np.uint16), FrameObjects({1: 0}, frozenset()), smallest_area=1, smallest_side=1
    )

    assert targets.labels.tolist() == [1]


def guided_sets(draws: int, *frames: dict[int, int], most: int = 5) -> list[list[int]]:
    targets = [make_targets(labels) for labels in frames]
    return [choose_guided(targets, most, np.random.default_rng(seed)).tolist() for seed in range(draws)]


def test_guided_objects_are_of_the_first_frame_sorted_and_limited() -> None:
    chosen = guided_sets(200, {i: i for i in range(1, 9)}, {i: i for i in range(1, 12)}, most=3)

    assert {len(ids) for ids in chosen} == {1, 2, 3}
    assert all(ids == sorted(set(ids)) and max(ids) <= 8 for ids in chosen)
    assert {value for ids in chosen for value in ids} == set(range(1, 9))


def test_a_neighbour_of_the_same_class_is_mostly_not_guided() -> None:
    chosen = guided_sets(300, {1: 4, 2: 4}, {1: 4, 2: 4})

    assert sum(len(ids) == 1 for ids in chosen) > 220
    assert any(len(ids) == 2 for ids in chosen)


def test_a_guided_object_is_seen_again_if_any_is() -> None:
    assert all(3 in ids for ids in guided_sets(40, {1: 1, 2: 2, 3: 3}, {3: 3, 4: 4}))
    assert all(ids == [6] for ids in guided_sets(5, {6: 1}, {}))


def test_nothing_in_the_first_frame_means_nothing_guided() -> None:
    assert guided_sets(1, {}, {1: 1}) == [[]]


def test_what_is_smaller_than_asked_is_not_guided() -> None:
    first = make_targets({1: 1, 2: 1, 3: 2})
    first.masks[0, 0, 0] = 1
    first.masks[1] = 1
    first.masks[2] = 1
    chosen = [choose_guided([first, first], 5, np.random.default_rng(i), smallest=4).tolist() for i in range(40)]

    assert {value for ids in chosen for value in ids} == {2, 3}
    assert choose_guided([first], 5, np.random.default_rng(0), smallest=5).tolist() == []

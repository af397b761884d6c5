"""Comparison with annotations: matches, J of each frame, kinds of errors and worst frames."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.records.result_factory import make_instance, make_mask, make_result
from vis_cli.metrics.report_comparison import compare
from vis_cli.records.rle import encode_mask
from vis_cli.records.types import Category
from vis_cli.records.youtube_vis import YouTubeVisAnnotation

LEFT = make_mask(["##....", "##....", "......", "......"])
HALF = make_mask(["##....", "......", "......", "......"])
RIGHT = make_mask(["....##", "....##", "......", "......"])
CATEGORIES = (Category(33, "cat"), Category(34, "giant panda"), Category(35, "dog"))


def make_object(
    id_: int, masks: Sequence[NDArray[np.bool_] | None], category_id: int = 33, *, is_crowd: bool = False
) -> YouTubeVisAnnotation:
    rles = tuple(None if mask is None else encode_mask(mask) for mask in masks)
    areas = tuple(None if mask is None else float(mask.sum()) for mask in masks)
    return YouTubeVisAnnotation(id_, 1, category_id, is_crowd, rles, areas)


def test_region_of_each_frame() -> None:
    result = make_result([make_instance(4, [LEFT, HALF, None, LEFT, None])], num_frames=5)
    comparison = compare(result, [make_object(7, [LEFT, LEFT, LEFT, None, None])], CATEGORIES, "valid.json")
    (target,) = comparison.objects
    assert (target.id, target.category, target.instance_id) == (7, "cat", 4)
    assert target.region == (1.0, 0.5, 0.0, 0.0, None)
    assert target.mean == comparison.mean == pytest.approx(0.375)
    assert [row.frame for row in comparison.worst] == [2, 3, 1, 0]


def test_objects_are_matched_so_that_the_sum_is_largest() -> None:
    instances = [make_instance(1, [LEFT]), make_instance(2, [HALF])]
    objects = [make_object(7, [HALF]), make_object(8, [LEFT]), make_object(9, [RIGHT])]
    comparison = compare(make_result(instances), objects, CATEGORIES, "")
    assert [item.instance_id for item in comparison.objects] == [2, 1, None]
    assert comparison.objects[2].region == (0.0,)


def test_the_worst_frame_names_its_worst_object() -> None:
    result = make_result([make_instance(1, [LEFT, LEFT]), make_instance(2, [RIGHT, None])], num_frames=2)
    objects = [make_object(7, [LEFT, LEFT]), make_object(8, [RIGHT, RIGHT])]
    worst = compare(result, objects, CATEGORIES, "").worst
    assert [(row.frame, row.mean, row.object_id, row.lowest) for row in worst] == [(1, 0.5, 8, 0.0), (0, 1.0, 7, 1.0)]


def test_kinds_of_errors() -> None:
    instances = [
        make_instance(1, [LEFT], score=0.9),
        make_instance(2, [LEFT], score=0.8),  # the object is taken
        make_instance(3, [RIGHT], score=0.7, category_id=3),  # giant_panda, but the object is a dog
        make_instance(4, [make_mask(["......"] * 3 + ["######"])], score=0.6),
        make_instance(5, [LEFT], score=0.1, confident=False),
    ]
    missed = make_mask(["......"] * 3 + ["....##"])
    objects = [make_object(7, [LEFT]), make_object(8, [RIGHT], 35), make_object(9, [missed], 35)]
    comparison = compare(make_result(instances), objects, CATEGORIES, "")
    assert comparison.kinds == {1: "correct", 2: "duplicate", 3: "class", 4: "both"}
    counts = {row.kind: (row.instance_ids, row.object_ids) for row in comparison.errors if row.count}
    assert counts == {
        "correct": ((1,), ()),
        "duplicate": ((2,), ()),
        "class": ((3,), ()),
        "both": ((4,), ()),
        "missed": ((), (9,)),
    }


def test_crowds_and_absent_objects() -> None:
    result = make_result([make_instance(1, [LEFT])])
    comparison = compare(result, [make_object(7, [LEFT], is_crowd=True)], CATEGORIES, "")
    assert (comparison.objects, comparison.mean, comparison.worst) == ((), None, ())
    nothing = compare(make_result([]), [make_object(7, [None])], CATEGORIES, "")
    assert nothing.objects[0].region == (None,)
    assert nothing.objects[0].mean == 0.0
    assert compare(make_result([]), [], CATEGORIES, "").mean is None

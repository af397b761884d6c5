"""The selected instances, frames and names of an export."""

from __future__ import annotations

import dataclasses

import pytest

from tests.records.result_factory import make_instance, make_result
from vis_cli.records.exports.choice import Choice, Only
from vis_cli.records.rle import encode_mask
from vis_cli.records.selection import Selection
from vis_cli.records.types import Category

from .factory import SIZE, disk, two_objects

CATEGORIES = (Category(1, "sedan"), Category(2, "truck"), Category(3, "Bus"))


def result_of_three():
    instances = [
        make_instance(i, [None], category_id=i, category_scores={1: 0.1, 2: 0.2, i: 0.1 * i}) for i in (1, 2, 3)
    ]
    return make_result([*instances, make_instance(9, [None], category_id=None)], categories=CATEGORIES)


@pytest.mark.parametrize(
    ("only", "ids"),
    [
        (Only(), [1, 2, 3, 9]),
        (Only(frozenset({1, 9})), [1, 9]),
        (Only(names=("TRUCK",)), [2]),
        (Only(names=("car",)), [1]),  # a synonym
        (Only(frozenset({3}), ("truck",)), [2, 3]),
        (Only(names=("object",)), [9]),
        (Only(names=("cat",)), []),
    ],
)
def test_ids_and_categories(only: Only, ids: list[int]) -> None:
    clip = Choice(only=only).clip(result_of_three())
    assert [instance.id for instance in clip.instances] == ids


def test_what_no_result_has_is_reported() -> None:
    unknown, known = Only(frozenset({1, 5}), ("lorry", "car", "object", "cat")).unknown(
        [make_result(), result_of_three()]
    )
    assert unknown == ["5"]
    assert {"sedan", "object"} <= known
    assert "cat" not in known  # no instance has this category
    assert Only(names=("zebra",)).unknown([result_of_three()])[0] == ["zebra"]


def test_top_counts_after_only() -> None:
    choice = Choice(Selection(top=1), Only(names=("car", "truck")))
    assert [instance.id for instance in choice.clip(two_objects()).instances] == []
    instances = [make_instance(i, [None], category_id=i, score=i / 10) for i in (1, 2, 3)]
    result = make_result(instances, categories=CATEGORIES)
    assert [instance.id for instance in choice.clip(result).instances] == [2]


def test_categories_with_one_new_name_become_one() -> None:
    clip = Choice(renamed={"truck": "vehicle", "bus": "vehicle"}).clip(result_of_three())
    assert clip.result.categories == (Category(1, "sedan"), Category(2, "vehicle"))
    assert [clip.category_of(instance) for instance in clip.instances] == ["sedan", "vehicle", "vehicle", "object"]
    assert clip.instances[2].category_scores == {1: 0.1, 2: pytest.approx(0.3)}


def test_every_second_frame() -> None:
    full = two_objects()
    full = dataclasses.replace(full, video=dataclasses.replace(full.video, timestamps=(0.0, 0.1, 0.2, 0.5)))
    clip = Choice(every=2).clip(full)
    assert list(clip.frames) == [0, 2]
    assert clip.result.video.num_frames == 2
    assert clip.result.video.frame_names == ("00000.jpg", "00002.jpg")
    assert [clip.time(position) for position in range(2)] == [0.0, 0.2]
    assert clip.instances[1].segmentations == (None, encode_mask(disk(51, 30, 5)))
    assert clip.image_name(1) == "clip_000002"
    cut = dataclasses.replace(full, shots=((0, 0), (1, 1), (2, full.video.num_frames - 1)))
    assert Choice(every=2).clip(cut).result.shots == ((0, 0), (1, 1))


def test_times_without_timestamps() -> None:
    clip = Choice().clip(two_objects())
    assert clip.time(2) == pytest.approx(2 / 23.976)
    still = dataclasses.replace(two_objects(), video=dataclasses.replace(two_objects().video, fps=0.0))
    assert Choice().clip(still).time(2) is None


def test_no_instances_and_no_frames() -> None:
    clip = Choice(every=3).clip(make_result(size=SIZE, num_frames=0))
    assert (list(clip.frames), clip.instances) == ([], ())

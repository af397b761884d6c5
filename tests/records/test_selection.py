"""Which instances and categories are taken."""

from __future__ import annotations

from tests.records.result_factory import make_instance, make_mask, make_result
from vis_cli.records.categories import CategoryMap, category_names
from vis_cli.records.selection import Selection
from vis_cli.records.types import Category

MASK = make_mask(["#"])
NAMES = category_names([Category(1, "car"), Category(2, "truck"), Category(3, "cat"), Category(4, "zebra")])


def chosen_ids(scores: list[float], **choice: float) -> list[int]:
    instances = [make_instance(i, [MASK], score=score) for i, score in enumerate(scores, 1)]
    selection = Selection(**choice)  # type: ignore[arg-type]
    return [instance.id for instance in selection.instances(make_result(instances, size=(1, 1)))]


def test_everything_is_taken_by_default() -> None:
    assert chosen_ids([0.2, 0.9, 0.0]) == [1, 2, 3]
    assert chosen_ids([]) == []


def test_the_best_are_taken_in_their_own_order() -> None:
    assert chosen_ids([0.2, 0.9, 0.5, 0.7], top=2) == [2, 4]
    assert chosen_ids([0.5, 0.5, 0.9, 0.5], top=3) == [1, 2, 3]  # the earlier of equal ones


def test_what_scores_less_is_left_out_before_the_best_are_counted() -> None:
    assert chosen_ids([0.2, 0.5, 0.7], min_score=0.5) == [2, 3]
    assert chosen_ids([0.2, 0.5, 0.7], min_score=0.6, top=2) == [3]


def ranked(known: list[str], **choice: float) -> list[tuple[int, float]]:
    instance = make_instance(1, [MASK], category_id=1, score=0.6, category_scores={1: 0.6, 2: 0.5, 3: 0.7, 4: 0.1})
    categories = CategoryMap(Category(10 + i, name) for i, name in enumerate(known))
    return Selection(**choice).categories(instance, NAMES, categories)  # type: ignore[arg-type]


def test_categories_are_ranked_by_score() -> None:
    assert ranked(["car", "truck", "cat", "zebra"]) == [(12, 0.7), (10, 0.6), (11, 0.5), (13, 0.1)]
    assert ranked(["car", "truck", "cat", "zebra"], min_score=0.6) == [(12, 0.7), (10, 0.6)]
    assert ranked(["car", "truck", "zebra"], max_categories=2) == [(10, 0.6), (11, 0.5)]


def test_an_instance_without_a_category_is_an_object() -> None:
    instance, categories = make_instance(1, [MASK], category_id=None, score=1.0), CategoryMap([Category(5, "Object")])
    assert Selection().categories(instance, NAMES, categories) == [(5, 1.0)]
    others = CategoryMap([Category(5, "car")])
    assert Selection().categories(instance, NAMES, others) == []
    assert others.unmapped == ("object",)


def test_categories_of_equal_score_follow_the_instance_without_a_category() -> None:
    instance = make_instance(1, [MASK], category_id=None, score=0.5, category_scores={2: 0.5, 1: 0.5})
    categories = CategoryMap([Category(10, "car"), Category(11, "truck"), Category(12, "object")])
    assert Selection().categories(instance, NAMES, categories) == [(12, 0.5), (10, 0.5), (11, 0.5)]


def test_two_categories_that_mean_one_are_listed_once() -> None:
    assert ranked(["Vehical", "Zebra"]) == [(10, 0.6), (11, 0.1)]
    assert ranked(["Vehical", "Zebra"], max_categories=2) == [(10, 0.6), (11, 0.1)]

"""Names of categories as users type them: synonyms, plural forms, suggestions."""

from __future__ import annotations

import pytest

from vis_cli.errors import VisError
from vis_cli.records.categories import plain_name
from vis_cli.records.category_names import SAME, find_categories, read_only
from vis_cli.records.coco_categories import coco_categories
from vis_cli.records.types import Category

COCO = coco_categories()


def make_categories(*names: str) -> tuple[Category, ...]:
    return tuple(Category(10 + index, name) for index, name in enumerate(names))


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("person", "person"),
        (" Person ", "person"),
        ("people", "person"),
        ("humans", "person"),
        ("pedestrians", "person"),
        ("bike", "bicycle"),
        ("Motor-Bike", "motorcycle"),
        ("motorbikes", "motorcycle"),
        ("planes", "airplane"),
        ("sofa", "couch"),
        ("phone", "cell phone"),
        ("cell_phones", "cell phone"),
        ("buses", "bus"),
        ("bus", "bus"),
        ("knives", "knife"),
        ("mice", "mouse"),
        ("wine glasses", "wine glass"),
        ("ski", "skis"),
        ("scissor", "scissors"),
        ("sheep", "sheep"),
    ],
)
def test_a_name_of_coco(typed: str, name: str) -> None:
    assert [category.name for category in find_categories([typed], COCO)] == [name]


def test_plural_in_ies() -> None:
    assert find_categories(["butterflies"], make_categories("fly", "butterfly")) == (Category(11, "butterfly"),)


def test_the_order_is_the_order_of_the_detector() -> None:
    assert [category.name for category in find_categories(["dogs", "person", "human"], COCO)] == ["person", "dog"]
    assert find_categories([], COCO) == ()


def test_a_name_of_the_detector_wins_over_a_synonym() -> None:
    both = make_categories("person", "pedestrian")
    assert find_categories(["pedestrian"], both) == both[1:]
    assert find_categories(["person"], both) == both[:1]
    assert find_categories(["people"], both[1:]) == both[1:]


@pytest.mark.parametrize(
    ("typed", "categories", "message"),
    [
        ("persn", COCO, "the detector has no category 'persn'. Did you mean person"),
        ("motobike", COCO, "Did you mean motorcycle"),
        ("eagle", COCO, "Did you mean bird"),
        ("qqqq", make_categories("cat", "dog"), "no category 'qqqq'. Use one of: cat, dog."),
        ("qqqq", COCO, "Use one of its 80 categories: person, bicycle"),
        ("a\x1b[1m", make_categories("cat"), r"no category 'a\\x1b"),
    ],
)
def test_an_unknown_name_is_an_error_with_the_nearest_names(
    typed: str, categories: tuple[Category, ...], message: str
) -> None:
    with pytest.raises(VisError, match=message):
        find_categories(["person" if categories is COCO else categories[0].name, typed], categories)


def test_lists_of_names() -> None:
    assert read_only(["person, Car", "cell_phone", "car"]) == ("car", "cell phone", "person")
    assert read_only([]) == ()
    for text in ("", "person,", ",", " "):
        with pytest.raises(VisError, match=r"--only: a name is empty. Use names such as person,car."):
            read_only([text])


def test_the_groups_are_plain_and_disjoint() -> None:
    words = [word for group in SAME for word in group]
    assert len(set(words)) == len(words)
    assert [plain_name(word) for word in words] == words

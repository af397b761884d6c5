"""Text about the categories of a video: short for one object, for many objects and for many categories."""

from __future__ import annotations

import pytest

from vis_cli.found_categories import MAX_TEXT, FoundCategory, count_categories, describe_categories


def test_counts_and_scores_of_each_category_the_best_score_first() -> None:
    instances = [("cat", 0.26), ("person", 0.31), ("person", 0.91), (None, 1.0), ("person", 0.5), ("ant", 0.26)]
    assert count_categories(instances) == (
        FoundCategory(None, 1, 1.0, 1.0),
        FoundCategory("person", 3, 0.91, 0.31),
        FoundCategory("ant", 1, 0.26, 0.26),
        FoundCategory("cat", 1, 0.26, 0.26),
    )


@pytest.mark.parametrize(
    ("instances", "text"),
    [
        ([], ""),
        ([(None, 1.0)] * 3, ""),
        ([("person", 0.604), ("cat", 0.256)], "person 0.60, cat 0.26"),
        ([("person", 0.91), ("person", 0.31), ("dog", 0.4)], "person x2 (0.91 to 0.31), dog 0.40"),
        ([("person", 0.912), ("person", 0.911)], "person x2 (0.91)"),
        ([(None, 1.0), (None, 1.0), ("dog", 0.4)], "no category x2 (1.00), dog 0.40"),
    ],
)
def test_text(instances: list[tuple[str | None, float]], text: str) -> None:
    assert describe_categories(count_categories(instances)) == text


@pytest.mark.parametrize("num_categories", [8, 9, 80])
def test_a_long_list_is_cut_after_the_best_categories(num_categories: int) -> None:
    instances = [(f"category {number:02}", 0.99 - number / 100) for number in range(num_categories)]
    text = describe_categories(count_categories(instances))
    listed = text.split(" and ")[0].split(", ")
    assert listed == [f"{name} {score:.2f}" for name, score in instances[: len(listed)]]
    num_others = num_categories - len(listed)
    assert 1 <= len(listed) < num_categories
    assert text.endswith(f" and {num_others} more {'category' if num_others == 1 else 'categories'}")
    assert len(text) <= MAX_TEXT + len(" and 00 more categories")


def test_a_long_name_is_cut() -> None:
    names = ["x" * 5000, "y" * 5000]
    text = describe_categories(count_categories([(name, 0.5) for name in names]))
    assert text == f"{'x' * 40}… 0.50, {'y' * 40}… 0.50"

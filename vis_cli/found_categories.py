"""Categories of the instances that a report of `vis segment` lists: counts, scores and their text.

Used by `console` and `commands.batch`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

MAX_TEXT = 110  # characters of the list of categories: with name and counts of a video, it fits into two lines
MAX_NAME = 40  # characters of the name of a category
NO_CATEGORY = "no category"  # an object that the user gave without a name


@dataclass(frozen=True, slots=True)
class FoundCategory:
    """A category, the number of its instances, and their scores."""

    category: str | None  # None: the user gave the objects without a name
    instances: int
    best_score: float
    lowest_score: float


def count_categories(instances: Iterable[tuple[str | None, float]]) -> tuple[FoundCategory, ...]:
    """Return the categories of instances, the category with the best score first.

    Args:
        instances: Category and score of each instance. None: the user gave the object without a name.
    """
    scores: dict[str | None, list[float]] = {}
    for category, score in instances:
        scores.setdefault(category, []).append(score)
    found = [FoundCategory(name, len(values), max(values), min(values)) for name, values in scores.items()]
    return tuple(sorted(found, key=lambda one: (-one.best_score, one.category or "")))


def describe_categories(found: Sequence[FoundCategory]) -> str:
    """Return the categories in one short text, such as 'person x12 (0.91 to 0.31), dog 0.84 and 3 more categories'.

    The text is empty if no instance has a category. It always lists the first category.
    """
    if all(one.category is None for one in found):
        return ""
    text = _describe(found[0])
    for number, one in enumerate(found[1:], start=1):
        longer = f"{text}, {_describe(one)}"
        if len(longer) > MAX_TEXT:
            num_others = len(found) - number
            return f"{text} and {num_others} more {'category' if num_others == 1 else 'categories'}"
        text = longer
    return text


def _describe(found: FoundCategory) -> str:
    name = NO_CATEGORY if found.category is None else found.category
    if len(name) > MAX_NAME:
        name = f"{name[:MAX_NAME]}…"
    if found.instances == 1:
        return f"{name} {found.best_score:.2f}"
    best, lowest = f"{found.best_score:.2f}", f"{found.lowest_score:.2f}"
    return f"{name} x{found.instances} ({best if best == lowest else f'{best} to {lowest}'})"

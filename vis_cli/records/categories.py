"""Mapping of category names between datasets, by equal names or by the synonyms listed here.

Used by every export.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from vis_cli.records.types import Category

# Keys are categories of the target datasets (YouTube-VIS 2019 and 2021, OVIS, COCO, PASCAL VOC, MOTS). Values are names
# of the same category, or of a part of it, in other datasets. A synonym counts only if the target dataset has no
# category of that name: "sedan" maps to "car" in YouTube-VIS 2021, but stays "sedan" in 2019. The first match wins.
SYNONYMS: dict[str, tuple[str, ...]] = {
    "airplane": ("aeroplane", "aircraft", "plane"),
    "aeroplane": ("airplane", "aircraft", "plane"),
    "bicycle": ("bike",),
    "poultry": ("chicken", "cock", "duck", "goose", "hen", "rooster", "turkey"),
    "bird": ("eagle", "owl"),
    "boat": ("ship",),
    "car": ("sedan",),
    "sedan": ("car",),
    "cow": ("bull", "cattle", "ox"),
    "earless seal": ("seal",),
    "flying disc": ("frisbee",),
    "frisbee": ("flying disc",),
    "giant panda": ("panda",),
    "monkey": ("ape",),
    "motorbike": ("motorcycle",),
    "motorcycle": ("motorbike",),
    "pedestrian": ("human", "person"),
    "person": ("human", "pedestrian"),
    "tennis racket": ("racket", "tennis racquet"),
    "truck": ("lorry",),
    "turtle": ("tortoise",),
    "vehical": ("bus", "car", "lorry", "sedan", "truck", "van", "vehicle"),  # spelling of OVIS
}


UNNAMED = "object"  # category of an instance without a category, in an export that needs one


def category_names(categories: Iterable[Category]) -> dict[int | None, str]:
    """Return the names of a result's categories by id, and UNNAMED for instances without a category."""
    return {None: UNNAMED} | {category.id: category.name for category in categories}


class CategoryMap:
    """Map from category names to the categories of a dataset. It records which names were synonyms or unknown."""

    def __init__(self, categories: Iterable[Category]) -> None:
        """Create the map to the `categories` of the target dataset."""
        self._named = {plain_name(category.name): category for category in categories}
        self._meant: dict[str, Category] = {}
        for name, others in SYNONYMS.items():
            if name in self._named:
                for other in others:
                    self._meant.setdefault(other, self._named[name])
        self._synonyms: dict[str, str] = {}
        self._unmapped: set[str] = set()

    def find(self, name: str) -> int | None:
        """Return the id of the category that corresponds to `name`, or None."""
        plain = plain_name(name)
        if plain in self._named:
            return self._named[plain].id
        if plain in self._meant:
            self._synonyms[name] = self._meant[plain].name
            return self._meant[plain].id
        self._unmapped.add(name)
        return None

    @property
    def synonyms(self) -> tuple[tuple[str, str], ...]:
        """Return the names that `find` mapped by a synonym, each with the name of its category."""
        return tuple(sorted(self._synonyms.items()))

    @property
    def unmapped(self) -> tuple[str, ...]:
        """Return the names for which `find` returned None."""
        return tuple(sorted(self._unmapped))


def plain_name(name: str) -> str:
    """Normalize a category name for comparison: lower case, and single spaces for spaces, hyphens and underscores."""
    return re.sub(r"[\s_-]+", " ", name.casefold()).strip()

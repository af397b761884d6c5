"""Which category of one data set a name of another means: the same name, else one of the synonyms listed here.

Used by every export.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from vis_cli.records.types import Category

# A data set's own name (YouTube-VIS 2019 / 2021, OVIS, COCO, PASCAL VOC, MOTS), and the names of others that stand for
# the same or for a part of it. They count only where the data set has no category of their own name: sedan is car in
# YouTube-VIS 2021, but stays sedan in 2019. Of two that claim a name, the first gets it.
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
    "vehical": ("bus", "car", "lorry", "sedan", "truck", "van", "vehicle"),  # OVIS spells it so
}


class CategoryMap:
    """Find the category that a name means, and remember which names took a synonym or were not known at all."""

    def __init__(self, categories: Iterable[Category]) -> None:
        """Prepare to find names among `categories`."""
        self._named = {plain_name(category.name): category for category in categories}
        self._meant: dict[str, Category] = {}
        for name, others in SYNONYMS.items():
            if name in self._named:
                for other in others:
                    self._meant.setdefault(other, self._named[name])
        self._synonyms: dict[str, str] = {}
        self._unmapped: set[str] = set()

    def find(self, name: str) -> int | None:
        """Return the id of the category that `name` means, None where there is none."""
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
        """Return the pairs of a name that was asked for and the category's own name, where a synonym was taken."""
        return tuple(sorted(self._synonyms.items()))

    @property
    def unmapped(self) -> tuple[str, ...]:
        """Return the names that were asked for in vain."""
        return tuple(sorted(self._unmapped))


def plain_name(name: str) -> str:
    """Return what counts of a category's name when two data sets are compared: not its case, its blanks or strokes."""
    return re.sub(r"[\s_-]+", " ", name.casefold()).strip()

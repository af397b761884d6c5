"""Categories by the names that a user types: other words for the same category, and plural forms.

Used by `--only` of `vis segment`. The synonyms of `categories` serve exports: they also map a name to a wider category.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

from vis_cli.errors import VisError
from vis_cli.files.names import printable
from vis_cli.hints import nearest_names
from vis_cli.records.categories import CategoryMap, plain_name
from vis_cli.records.types import Category

# Words for the same category. A name of the model always wins: "pedestrian" is not "person" in a model that has both.
SAME: tuple[tuple[str, ...], ...] = (
    ("person", "people", "human", "pedestrian"),
    ("bicycle", "bike", "pushbike"),
    ("motorcycle", "motorbike", "motor bike"),
    ("airplane", "aeroplane", "plane", "aircraft"),
    ("car", "automobile"),
    ("truck", "lorry"),
    ("boat", "ship"),
    ("train", "railway train"),
    ("vehical", "vehicle"),  # spelling of OVIS
    ("cow", "cattle", "ox"),
    ("earless seal", "seal"),
    ("giant panda", "panda"),
    ("monkey", "ape"),
    ("turtle", "tortoise"),
    ("rabbit", "bunny"),
    ("couch", "sofa", "settee"),
    ("dining table", "diningtable", "table"),
    ("potted plant", "pottedplant", "plant", "houseplant"),
    ("refrigerator", "fridge"),
    ("tv", "television", "tv monitor", "tvmonitor"),
    ("cell phone", "cellphone", "phone", "mobile phone", "smartphone", "telephone"),
    ("remote", "remote control"),
    ("mouse", "computer mouse"),
    ("donut", "doughnut"),
    ("hair drier", "hair dryer"),
    ("backpack", "rucksack"),
    ("handbag", "purse"),
    ("frisbee", "flying disc"),
    ("skis", "ski"),
    ("sports ball", "ball"),
    ("tennis racket", "tennis racquet", "racket", "racquet"),
    ("teddy bear", "teddy"),
    ("object", "thing"),
)
IRREGULAR = {"mice": "mouse", "geese": "goose", "oxen": "ox", "knives": "knife", "calves": "calf", "wolves": "wolf"}
NUM_SUGGESTED = 3
NUM_LISTED = 12  # maximum number of categories that an error lists


def read_only(values: Iterable[str]) -> tuple[str, ...]:
    """Return the names of comma-separated lists such as "person,car": in lower case, each name once, sorted.

    Raises:
        VisError: A name is empty.
    """
    names = [part for value in values for part in value.split(",")]
    if not all(name.strip() for name in names):
        raise VisError("a name is empty", where="--only", hint="Use names such as person,car.")
    return tuple(sorted({plain_name(name) for name in names}))


def find_categories(names: Iterable[str], categories: Sequence[Category]) -> tuple[Category, ...]:
    """Return the categories with these names, in the order of `categories`.

    Args:
        names: Names of categories, other words for them, or plural forms.
        categories: Categories of the detector.

    Raises:
        VisError: A name belongs to no category. The nearest names are suggested.
    """
    by_name = {plain_name(category.name): category for category in categories}
    found = {_find(name, by_name, categories).id for name in names}
    return tuple(category for category in categories if category.id in found)


def _find(name: str, by_name: dict[str, Category], categories: Sequence[Category]) -> Category:
    plain = plain_name(name)
    forms = (plain, *_singulars(plain), f"{plain}s", *_synonyms(plain))
    category = next((by_name[form] for form in forms if form in by_name), None)
    if category is None:
        raise VisError(f"the detector has no category '{printable(name)}'", hint=_hint(name, categories))
    return category


def _synonyms(plain: str) -> Iterator[str]:
    """Yield the other words for the category of a name."""
    forms = {plain, *_singulars(plain)}
    return chain.from_iterable(group for group in SAME if not forms.isdisjoint(group))


def _singulars(plain: str) -> Iterator[str]:
    """Yield the forms that a plural in -s can have as a singular, for the last word of a name."""
    first, _, word = plain.rpartition(" ")
    prefix = f"{first} " if first else ""
    if word in IRREGULAR:
        yield prefix + IRREGULAR[word]
    for ending, replacement in (("ies", "y"), ("s", ""), ("es", "")):
        if word.endswith(ending) and len(word) > len(ending) + 1:
            yield prefix + word.removesuffix(ending) + replacement


def _hint(name: str, categories: Sequence[Category]) -> str:
    """Return a remedy with the nearest names, or with the names of the detector."""
    names = [category.name for category in categories]
    if near := _nearest(name, categories):
        return f"Did you mean {' or '.join(near)}?"
    if len(names) <= NUM_LISTED:
        return f"Use one of: {', '.join(printable(known) for known in names)}."
    shown = ", ".join(printable(known) for known in names[:NUM_LISTED])
    return f"Use one of its {len(names)} categories: {shown}, … `vis models info MODEL` lists them."


def _nearest(name: str, categories: Sequence[Category]) -> list[str]:
    """Return the categories with the most similar names, and the wider category of a narrow name such as "eagle"."""
    plain = plain_name(name)
    words = {plain_name(category.name): category.name for category in categories}
    for group in SAME:
        known = next((words[word] for word in group if word in words), None)
        if known is not None:
            words |= {word: known for word in group if word not in words}
    wider = CategoryMap(categories).find(name)
    wide = [category.name for category in categories if category.id == wider]
    similar = nearest_names(plain, words, limit=NUM_SUGGESTED)
    suggested = chain(wide, (words[word] for word in similar))
    return [printable(near) for near in dict.fromkeys(suggested)][:NUM_SUGGESTED]

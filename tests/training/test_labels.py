"""Which label a category of a data set gets, by name or by a map; what has none is said."""

from __future__ import annotations

import pytest

from vis_cli.errors import VisError
from vis_cli.training.category_maps import MAPS, make_label_map
from vis_cli.training.config import SourceConfig
from vis_cli.training.config_file import read_train_config
from vis_cli.training.labels import LabelMap
from vis_cli.zoo.included_files import zoo_dir

RECIPES = {
    "coco-to-ytvis2019": "r50-ytvis2019-main.toml",
    "coco-to-ytvis2021": "r50-ytvis2021-main.toml",
    "coco-to-ovis": "r50-ovis-main.toml",
}


def benchmark_names(category_map: str) -> tuple[str, ...]:
    """Return the categories that the recipe with this map learns."""
    config = read_train_config(zoo_dir() / "recipes" / RECIPES[category_map])
    assert config.data[0].category_map == category_map
    return tuple(category.name for category in config.model.categories)


def make_source(**fields: object) -> SourceConfig:
    return SourceConfig(kind="images", annotations="a.json", images=".", **fields)  # type: ignore[arg-type]


def label_name(labels: LabelMap, category: str) -> str | None:
    label = labels.label(category)
    return None if label is None else labels.names[label - 1]


@pytest.mark.parametrize("name", list(MAPS))
def test_a_ready_map_fits_the_categories_of_its_benchmark(name: str) -> None:
    labels = make_label_map(make_source(category_map=name), benchmark_names(name))
    for category in MAPS[name]:
        assert labels.label(category) is not None


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("coco-to-ytvis2019", {"car": "sedan", "tennis racket": "tennis_racket", "bird": None, "mouse": None}),
        ("coco-to-ytvis2021", {"car": "car", "frisbee": "flying_disc", "bird": "bird", "mouse": None}),
        ("coco-to-ovis", {"car": "Vehical", "bus": "Vehical", "sheep": "Sheep", "chair": None}),
    ],
)
def test_coco_is_mapped_by_meaning(name: str, expected: dict[str, str | None]) -> None:
    labels = make_label_map(make_source(category_map=name), benchmark_names(name))
    assert {category: label_name(labels, category) for category in expected} == expected


def test_names_are_compared_without_case_blanks_and_underscores() -> None:
    labels = LabelMap(("Giant_panda", "dog"))
    assert [labels.label(name) for name in ("giant panda", "DOG", "cat")] == [1, 2, None]


def test_everything_may_be_one_class() -> None:
    labels = make_label_map(make_source(category_map="one-class"), ("object",))
    assert [labels.label(name) for name in ("cat", "anything")] == [1, 1]
    with pytest.raises(VisError, match="category_map is 'one-class', but the model has 2 categories"):
        make_label_map(make_source(category_map="one-class"), ("cat", "dog"))


def test_a_map_of_ones_own_is_a_table() -> None:
    labels = make_label_map(make_source(category_map={"Kitten": "cat"}), ("cat", "dog"))
    assert [labels.label(name) for name in ("kitten", "cat", "dog")] == [1, None, None]
    with pytest.raises(VisError, match="puppy: the model has no category 'hound'"):
        make_label_map(make_source(category_map={"puppy": "hound"}), ("cat", "dog"))


def test_a_mistyped_map_is_named_with_a_near_one() -> None:
    with pytest.raises(VisError, match=r"category_map is 'coco-to-ytvis2020'\. Did you mean coco-to-ytvis20"):
        make_label_map(make_source(category_map="coco-to-ytvis2020"), ("cat",))


def test_categories_the_model_does_not_have_are_named() -> None:
    with pytest.raises(VisError, match=r"a\.json: .*no category 'monkeys' and 1 more\. Did you mean 'monkey'\? Map it"):
        LabelMap(("monkey",)).require_known(["zebra", "monkeys", "monkey"], "a.json")
    LabelMap(("monkey", "object")).require_known(["zebra"], "a.json")

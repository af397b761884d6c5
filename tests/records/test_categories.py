"""Names of one data set found in another, by name or by a listed synonym."""

from __future__ import annotations

import pytest

from vis_cli.records.categories import SYNONYMS, CategoryMap, plain_name
from vis_cli.records.types import Category


def category_map(*names: str) -> CategoryMap:
    return CategoryMap(Category(10 + i, name) for i, name in enumerate(names))


@pytest.mark.parametrize("name", ["giant_panda", "Giant Panda", " giant-panda", "GIANT  PANDA"])
def test_case_blanks_and_strokes_do_not_count(name: str) -> None:
    found = category_map("cat", "Giant_panda")
    assert found.find(name) == 11
    assert found.synonyms == found.unmapped == ()


@pytest.mark.parametrize(
    ("name", "known", "taken"),
    [
        ("motorcycle", ("motorbike",), "motorbike"),
        ("motorbike", ("Motorcycle",), "Motorcycle"),
        ("car", ("sedan", "truck"), "sedan"),
        ("sedan", ("car", "truck"), "car"),
        ("eagle", ("bird",), "bird"),
        ("owl", ("bird",), "bird"),
        ("ape", ("monkey",), "monkey"),
        ("car", ("Person", "Vehical"), "Vehical"),
        ("truck", ("Person", "Vehical"), "Vehical"),
        ("bus", ("Person", "Vehical"), "Vehical"),
        ("vehicle", ("Person", "Vehical"), "Vehical"),
        ("chicken", ("Bird", "Poultry"), "Poultry"),
        ("duck", ("Bird", "Poultry"), "Poultry"),
        ("panda", ("giant_panda",), "giant_panda"),
        ("seal", ("earless_seal",), "earless_seal"),
        ("frisbee", ("flying_disc",), "flying_disc"),
        ("Cattle", ("cow",), "cow"),
        ("aeroplane", ("airplane",), "airplane"),
        ("person", ("pedestrian",), "pedestrian"),
    ],
)
def test_a_synonym_is_taken_and_remembered(name: str, known: tuple[str, ...], taken: str) -> None:
    found = category_map(*known)
    assert found.find(name) == 10 + known.index(taken)
    assert found.synonyms == ((name, taken),)
    assert found.unmapped == ()


@pytest.mark.parametrize("name", ["sedan", "ape", "eagle", "duck", "motorbike"])
def test_a_name_of_its_own_comes_before_any_synonym(name: str) -> None:
    found = category_map("car", "monkey", "bird", "poultry", "motorcycle", name)
    assert found.find(name) == 15
    assert found.synonyms == ()


def test_what_is_not_known_is_remembered() -> None:
    found = category_map("cat")
    assert [found.find(name) for name in ("zebra", "car", "zebra")] == [None, None, None]
    assert found.unmapped == ("car", "zebra")
    assert category_map().find("cat") is None


def test_the_table_holds_plain_names_that_differ_from_what_they_stand_for() -> None:
    for name, others in SYNONYMS.items():
        assert plain_name(name) == name
        assert [plain_name(other) for other in others] == list(others)
        assert name not in others
        assert len(set(others)) == len(others) > 0

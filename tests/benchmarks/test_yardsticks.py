"""Tests of the yardsticks: which categories count, and that an unknown category counts as 0."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from pycocotools.coco import COCO

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
SCRIPTS = ("pseudo_clips", "stills_ap", "yardsticks")  # yardsticks imports the others from its own folder


@pytest.fixture(scope="module")
def yardsticks() -> Iterator[ModuleType]:
    sys.path.insert(0, str(BENCHMARKS))
    yield importlib.import_module("yardsticks")
    sys.path.remove(str(BENCHMARKS))
    for name in SCRIPTS:
        sys.modules.pop(name, None)


def truth(yardsticks: ModuleType) -> COCO:
    coco = COCO()
    coco.dataset = {
        "images": [{"id": 1}, {"id": 2}],
        "categories": [{"id": i, "name": name} for i, name in enumerate(("cat", "dog", "cow", "car"), 1)],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 1, "iscrowd": 0, "area": 4},
            {"id": 2, "image_id": 1, "category_id": 2, "iscrowd": 1, "area": 4},
            {"id": 3, "image_id": 2, "category_id": 3, "iscrowd": 0, "area": 4},
        ],
    }
    yardsticks.stills_ap.quietly(coco.createIndex)
    return coco


def test_only_categories_that_the_images_show_count(yardsticks: ModuleType) -> None:
    coco = truth(yardsticks)
    assert yardsticks.shown(coco, ["cow", "car", "dog", "cat", "zebra"]) == ["cow", "cat"]  # the dog is a crowd
    coco.dataset["images"] = coco.dataset["images"][:1]
    assert yardsticks.shown(coco, ["cow", "cat"]) == ["cat"]


def test_a_category_that_the_model_does_not_know_has_no_precision(yardsticks: ModuleType) -> None:
    assert yardsticks.mean_ap({"cat": 0.6, "dog": 0.9}, ["cat", "cow"]) == pytest.approx(0.3)


def test_the_shared_categories_are_those_of_coco(yardsticks: ModuleType) -> None:
    assert len(yardsticks.SHARED) == 18
    assert set(yardsticks.SHARED) <= {category.name for category in yardsticks.coco_categories()}


def test_an_unknown_measure_is_refused(yardsticks: ModuleType) -> None:
    assert yardsticks.split_names("images,clips") == ["images", "clips"]
    with pytest.raises(argparse.ArgumentTypeError, match="'clip' is not one of clips, images"):
        yardsticks.split_names("images,clip")

"""Tests of the measures of identity and of the calibration, by hand."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from vis_cli.records.rle import Rle, encode_mask
from vis_cli.records.types import Category, InstanceSequence, ModelInfo, VideoInfo, VideoResult
from vis_cli.records.youtube_vis import YouTubeVisAnnotation

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
SCRIPTS = ("pseudo_clips", "stills_ap", "identity", "calibration")  # they import each other from their folder


@pytest.fixture(scope="module")
def scripts() -> Iterator[tuple[ModuleType, ModuleType]]:
    sys.path.insert(0, str(BENCHMARKS))
    yield importlib.import_module("identity"), importlib.import_module("calibration")
    sys.path.remove(str(BENCHMARKS))
    for name in SCRIPTS:
        sys.modules.pop(name, None)


def _mask(first: int, last: int) -> Rle:
    mask = np.zeros((4, 40), dtype=np.bool_)
    mask[:, first:last] = True
    return encode_mask(mask)


def _instance(id_: int, masks: tuple[Rle | None, ...], category: int = 1, score: float = 0.9) -> InstanceSequence:
    return InstanceSequence(id_, category, score, {category: score}, 0, masks, confident=score >= 0.3)


def _result(*instances: InstanceSequence) -> VideoResult:
    video = VideoInfo("clip", Path("clip.mp4"), 40, 4, 10.0, len(instances[0].segmentations) if instances else 2)
    categories = (Category(1, "cat"), Category(2, "dog"), Category(3, "object"))
    return VideoResult(video, ModelInfo("fake", ""), {}, categories, instances)


def _truth(id_: int, masks: tuple[Rle | None, ...], category: int = 7) -> YouTubeVisAnnotation:
    return YouTubeVisAnnotation(id_, 1, category, False, masks, (None,) * len(masks))


NAMES = {7: "cat", 8: "dog"}


def test_duplicates_and_categories_are_counted(scripts: tuple[ModuleType, ModuleType]) -> None:
    identity, _ = scripts
    whole, part, far = (_mask(0, 10),) * 2, (_mask(0, 4),) * 2, (_mask(30, 36),) * 2
    result = _result(
        _instance(1, whole),
        _instance(2, part),
        _instance(3, far, category=2),
        _instance(4, (_mask(12, 20),) * 2, score=0.2),  # not confident
    )
    counts = identity.Counts()
    identity.count(counts, [_truth(1, whole), _truth(2, far), _truth(3, (_mask(12, 20),) * 2)], result, NAMES)
    assert (counts.objects, counts.instances, counts.duplicate_pairs) == (3, 3, 1)
    assert (counts.matched, counts.named, counts.switches) == (2, 1, 0)
    figures = counts.figures()
    assert figures["instances_per_object"] == pytest.approx(3 / 2)
    assert figures["precision"] == figures["recall"] == pytest.approx(2 / 3)


def test_a_switch_counts_once_and_a_gap_does_not(scripts: tuple[ModuleType, ModuleType]) -> None:
    identity, _ = scripts
    a = _mask(0, 10)
    assert identity.count_switches([(a, None, a, None), (None, None, None, a)], [(a, a, a, a)]) == 1
    assert identity.count_switches([(a, None, a, a)], [(a, a, a, a)]) == 0


def test_a_video_without_instances_has_a_recall_of_0(scripts: tuple[ModuleType, ModuleType]) -> None:
    identity, _ = scripts
    counts = identity.Counts()
    identity.count(counts, [_truth(1, (_mask(0, 10),) * 2)], _result(), NAMES)
    assert counts.figures()["recall"] == 0.0
    assert counts.figures()["objects"] == 1


def test_ratings_need_the_category_and_one_object_each(scripts: tuple[ModuleType, ModuleType]) -> None:
    _, calibration = scripts
    cat, dog, crowd = _mask(0, 10), _mask(12, 20), _mask(30, 40)
    result = _result(
        _instance(1, (cat,), score=0.9),
        _instance(2, (_mask(0, 9),), score=0.8),  # the cat again
        _instance(3, (dog,), category=3, score=0.7),  # generic
        _instance(4, (_mask(31, 35),), score=0.6),  # in the crowd: not rated
        _instance(5, (dog,), category=1, score=0.5),  # another category
    )
    rated = calibration.rate(result, [cat, dog, crowd], ["cat", "dog", None])
    assert rated == [(0.9, True), (0.8, False), (0.7, True), (0.5, False)]
    assert calibration.rate(result, [], []) == [(score, False) for score in (0.9, 0.8, 0.7, 0.6, 0.5)]


def test_the_fit_finds_the_line_of_the_samples(scripts: tuple[ModuleType, ModuleType]) -> None:
    _, calibration = scripts
    rng = np.random.default_rng(0)
    scores = rng.uniform(0.02, 0.98, 20_000)
    correct = rng.uniform(size=len(scores)) < 1 / (1 + np.exp(-(0.8 * np.log(scores / (1 - scores)) - 1.0)))
    slope, offset = calibration.fit(scores, correct)
    assert (slope, offset) == (pytest.approx(0.8, abs=0.05), pytest.approx(-1.0, abs=0.05))
    after = calibration.calibrate(scores, (slope, offset))
    assert calibration.expected_error(after, correct) < 0.02 < calibration.expected_error(scores, correct)

"""Tests of the counts of corrected categories, by hand."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import pytest

KNOWN = {"dog", "cat"}


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "benchmarks")
    return importlib.import_module("second_opinion")


@pytest.mark.parametrize(
    ("model", "certainty", "result"),
    [
        ("cat", 0.9, "cat"),
        ("cat", 0.89, "dog"),
        ("otter", 0.5, "otter"),
        ("otter", 0.49, "dog"),
        ("object", 1.0, "dog"),
    ],
)
def test_a_category_needs_its_probability(script: ModuleType, model: str, certainty: float, result: str) -> None:
    assert script.corrected(script.Opinion("otter", "dog", model, certainty), KNOWN) == result


def test_changed_categories_are_counted(script: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    opinions = [
        script.Opinion("cat", "dog", "cat", 0.95),  # the model is right
        script.Opinion("dog", "dog", "cat", 0.85),  # the detector is right
        script.Opinion("dog", "dog", "dog", 0.99),  # both agree
        script.Opinion("dog", "cat", "object", 0.99),  # the model says nothing
    ]
    script.print_thresholds("both", opinions)
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["0.80", "2", "1", "1"] in rows
    assert ["0.90", "1", "0", "1"] in rows
    script.print_categories(opinions, KNOWN)
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["dog", "3", "2", "2"] in rows
    assert ["cat", "1", "0", "1"] in rows

"""Detectors of boxes whose weights are part of vis. This module does not import torch."""

from __future__ import annotations

from collections.abc import Sequence

from vis_cli.records.types import Category

PICODET_NAME = "picodet-s"
PICODET_PARAMETERS = 983_891  # a test compares it with the network
INCLUDED_DETECTORS = (PICODET_NAME,)
GENERIC = "object"  # a category of models that says nothing about an object


def join_categories(first: Sequence[Category], second: Sequence[Category]) -> tuple[Category, ...]:
    """Return the first categories, then the second ones with other names and new ids, without the generic category."""
    known = {GENERIC, *(category.name for category in first)}
    names = [category.name for category in second if category.name not in known]
    next_id = max(category.id for category in first) + 1
    return (*first, *(Category(next_id + place, name) for place, name in enumerate(names)))

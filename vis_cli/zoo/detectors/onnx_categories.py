"""Categories of an ONNX detector: which category each class index of its outputs means.

Used by `onnx_plan`. The order of sources: the TOML file, the metadata of the file, COCO's numbers of classes.
"""

from __future__ import annotations

import ast
import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vis_cli.errors import VisError
from vis_cli.files.limits import MAX_CATEGORIES, MIB
from vis_cli.files.names import is_unprintable
from vis_cli.records.coco_categories import coco_categories
from vis_cli.records.types import Category

NAMES_KEYS = ("names", "classes", "class_names")  # of metadata
MAX_NAMES_CHARACTERS = MIB


@dataclass(frozen=True)
class ClassTable:
    """The categories, and the label of each class index."""

    categories: tuple[Category, ...]
    labels: NDArray[np.int64]  # (K,) from 1 to C; 0: no category uses this index
    source: str  # where the categories come from


def choose_classes(
    num_classes: int | None,
    *,
    assumed: int,
    given: Sequence[str] | None,
    metadata: dict[str, str],
    first_label: int,
    spare: int,
    path: Path,
) -> ClassTable:
    """Return the categories of a detector.

    Args:
        num_classes: Number of class indices K that the graph shows. None: the graph does not show it.
        assumed: Number of class indices that COCO has in this layout, for a graph that does not show its own.
        given: Names in the TOML file.
        metadata: Metadata of the ONNX file.
        first_label: Class index of the first category.
        spare: Class indices after the last category that no category may use.
        path: The ONNX file, for messages.

    Raises:
        VisError: There are no names, or their number does not fit the graph.
    """
    if given is not None:
        return _named(given, num_classes, first_label, spare, path, f"categories in {path.with_suffix('.toml')}")
    names = read_names(metadata)
    if names is not None:
        return _named(names, num_classes, first_label, spare, path, "metadata of the file")
    if num_classes is None:
        source = "COCO, assumed: the graph shows neither names nor a number of classes"
        return dataclasses.replace(coco_classes(assumed, path), source=source)
    return coco_classes(num_classes, path)


def coco_classes(num_classes: int, path: Path) -> ClassTable:
    """Return COCO's categories for 80, 90 or 91 class indices.

    Raises:
        VisError: COCO has no such number of classes.
    """
    categories = coco_categories()
    ids = np.array([category.id for category in categories])
    if num_classes == len(categories):
        return ClassTable(categories, np.arange(1, 81), "COCO, because the graph has 80 classes")
    if num_classes not in (90, 91):
        raise _names_required(f"the graph has {num_classes} classes", path)
    labels = np.zeros(num_classes, np.int64)
    labels[ids - (91 - num_classes)] = np.arange(1, 81)  # 91: index 0 is not used
    return ClassTable(categories, labels, f"COCO, because the graph has {num_classes} classes, COCO's ids with gaps")


def read_names(metadata: dict[str, str]) -> tuple[str, ...] | None:
    """Return the names of categories in the metadata of a file: a list, or a table of indices from 0 and names."""
    for key in NAMES_KEYS:
        value = _parse(metadata.get(key, ""))
        if isinstance(value, dict):
            value = _in_order(value)
        if isinstance(value, (list, tuple)) and _are_names(value):
            return tuple(value)
    return None


def _parse(text: str) -> Any:
    """Parse JSON or a Python literal. No code runs."""
    if not text or len(text) > MAX_NAMES_CHARACTERS:
        return None
    for parse in (json.loads, ast.literal_eval):
        try:
            return parse(text)
        except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
            continue
    return None


def _in_order(table: dict[Any, Any]) -> list[Any] | None:
    try:
        numbered = {int(key): value for key, value in table.items()}
    except (ValueError, TypeError):
        return None
    return [numbered[i] for i in sorted(numbered)] if sorted(numbered) == list(range(len(table))) else None


def _are_names(values: Sequence[Any]) -> bool:
    texts = [value for value in values if isinstance(value, str) and value and not any(map(is_unprintable, value))]
    return 0 < len(texts) == len(values) == len(set(texts)) and len(texts) <= MAX_CATEGORIES


def _named(
    names: Sequence[str], num_classes: int | None, first: int, spare: int, path: Path, source: str
) -> ClassTable:
    needed = first + len(names)
    total = needed if num_classes is None else num_classes
    if not needed <= total <= needed + spare:
        problem = f"cannot read {path}: the graph has {total} classes, but there are {len(names)} names ({source})"
        if first:
            problem += f", and the first category has the index {first}"
        raise VisError(problem, hint=f"List {total - first} categories in {path.with_suffix('.toml')}.")
    labels = np.zeros(total, np.int64)
    labels[first:needed] = np.arange(1, len(names) + 1)
    coco = coco_categories()
    is_coco = [name.lower() for name in names] == [category.name for category in coco]
    own = tuple(Category(number, name) for number, name in enumerate(names, 1))
    return ClassTable(coco if is_coco else own, labels, source)


def _names_required(cause: str, path: Path) -> VisError:
    hint = f'Write the names in the order of the classes into {path.with_suffix(".toml")}: categories = ["cat", "dog"].'
    return VisError(f"cannot name the classes of {path}: {cause}, and its metadata has no names", hint=hint)

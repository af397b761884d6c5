"""JSON files read with suspicion: every field is checked, every error names the file and the entry.

Used by `records.result_json` and `records.youtube_vis`.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from vis_cli.errors import VisError
from vis_cli.records.types import Category

T = TypeVar("T", int, float, str, dict[str, Any], list[Any])
NAMES = {int: "a whole number", float: "a number", str: "a text", dict: "an object", list: "a list"}


def read_json_object(path: Path) -> dict[str, Any]:
    """Read a JSON file that holds one object.

    Raises:
        VisError: the file cannot be read or is not JSON, or it holds something else.
    """
    try:
        data = json.loads(path.read_bytes(), parse_constant=_refuse_constant)
    except OSError as error:
        raise VisError(f"{path}: cannot be read ({error.strerror or error})") from error
    except ValueError as error:  # of the text's encoding or of the JSON
        raise VisError(f"{path}: not a JSON file, or a damaged one ({error})") from error
    if not isinstance(data, dict):
        raise VisError(f"{path}: must hold one JSON object, but holds {_describe(data)}")
    return data


def take_field(entry: Mapping[str, Any], key: str, kind: type[T], where: str) -> T:
    """Return `entry[key]`, which must be there and of `kind`; a whole number is also a number.

    Raises:
        VisError: it is not.
    """
    if key not in entry:
        raise VisError(f"{where}: '{key}' is missing")
    value = entry[key]
    if isinstance(value, bool) or not isinstance(value, (int, float) if kind is float else kind):
        raise VisError(f"{where}: '{key}' must be {NAMES[kind]}, but is {_describe(value)}")
    if isinstance(value, (int, float)) and not math.isfinite(value):  # 1e999
        raise VisError(f"{where}: '{key}' is not a finite number")
    return value  # type: ignore[return-value]


def take_objects(entry: Mapping[str, Any], key: str, where: str) -> list[tuple[dict[str, Any], str]]:
    """Return the objects of the list `entry[key]`, each with the words that name it in an error.

    Raises:
        VisError: it is missing, no list, or holds something else.
    """
    objects = []
    for index, item in enumerate(take_field(entry, key, list, where)):
        name = f"{where}: {key}[{index}]"
        if not isinstance(item, dict):
            raise VisError(f"{name} must be an object, but is {_describe(item)}")
        objects.append((item, name))
    return objects


def take_categories(entry: Mapping[str, Any], where: str) -> tuple[Category, ...]:
    """Return the categories under `entry["categories"]`.

    Raises:
        VisError: they are missing or damaged, or two have the same id.
    """
    categories = tuple(
        Category(id=take_field(item, "id", int, name), name=take_field(item, "name", str, name))
        for item, name in take_objects(entry, "categories", where)
    )
    require_unique((category.id for category in categories), f"{where}: categories")
    return categories


def take_crowd(entry: Mapping[str, Any], where: str) -> bool:
    """Return whether `entry["iscrowd"]` marks a crowd; many files leave it out, which means that it does not.

    Raises:
        VisError: it is neither 0 nor 1.
    """
    value = entry.get("iscrowd")
    require(value is None or value in (0, 1), where, f"'iscrowd' is {value!r}, but must be 0 or 1")
    return bool(value)


def require_unique(values: Iterable[int | str], where: str) -> None:
    """Raise a VisError if a value appears twice."""
    value, count = max(Counter(values).items(), key=lambda item: item[1], default=("", 0))
    require(count <= 1, where, f"{value!r} is used {count} times, but must be unique")


def require(holds: bool, where: str, complaint: str) -> None:
    """Raise a VisError unless `holds`."""
    if not holds:
        raise VisError(f"{where}: {complaint}")


def _describe(value: object) -> str:
    if value is None:
        return "null"
    return NAMES[type(value)] if type(value) in NAMES and not isinstance(value, (int, float)) else repr(value)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")

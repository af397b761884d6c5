"""Bounded reading of JSON files and checks of their fields. Each error contains the file, the entry and the field.

Used by every reader of JSON in `records` and `training`.
"""

from __future__ import annotations

import json
import math
import reprlib
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NoReturn, TypeGuard, TypeVar

from vis_cli.errors import VisError
from vis_cli.files.limits import MAX_IMAGE_PIXELS, MAX_IMAGE_SIDE, MAX_INTEGER, MAX_JSON_BYTES, MAX_JSON_VALUES
from vis_cli.files.names import printable
from vis_cli.files.reading import read_bytes
from vis_cli.records.types import Category

T = TypeVar("T", int, float, str, dict[str, Any], list[Any])

RESTORE = "Restore the file, or export it again."  # hint for damaged files
NAMES = {int: "an integer", float: "a number", str: "a string", dict: "an object", list: "a list"}


class _RejectedError(ValueError):
    """Input that Python's JSON parser accepts, but `vis` rejects."""


def read_json_object(path: Path) -> dict[str, Any]:
    """Read a JSON file that contains one object.

    Raises:
        VisError: The file cannot be read, is too large or is not JSON, or it contains another value than an object.
    """
    data = parse_json(read_bytes(path, limit=MAX_JSON_BYTES), str(path))
    if not isinstance(data, dict):
        raise VisError(f"the file contains {describe(data)}", where=path, hint="Use a file with one JSON object.")
    return data


def parse_json(data: bytes | str, where: str) -> object:
    """Parse JSON that may be damaged or hostile. A byte order mark is removed.

    Raises:
        VisError: The data are not JSON, have too many levels or values, or contain NaN or duplicate keys.
    """
    require_bounded(data, where)
    try:
        return json.loads(data, parse_constant=_reject_constant, object_pairs_hook=_unique_keys)
    except (UnicodeError, json.JSONDecodeError, _RejectedError) as error:
        problem = f"not a JSON file, or damaged ({printable(str(error))})"
        raise VisError(problem, where=where, hint=RESTORE) from error
    except ValueError as error:  # Python limits the digits of a number
        raise VisError("a number has thousands of digits", where=where, hint=RESTORE) from error
    except RecursionError as error:
        raise VisError("the lists and objects are nested too deeply", where=where, hint=RESTORE) from error
    except MemoryError as error:
        raise VisError("the file does not fit into memory", where=where, hint="Use a smaller file.") from error


def require_bounded(data: bytes | str, where: str, limit: int | None = None) -> None:
    """Reject JSON with more values than fit into memory. The 3 bytes "[]," need 64 bytes once they are parsed.

    Args:
        data: The JSON text.
        where: File and entry, for the error message.
        limit: Maximum number of values; None is MAX_JSON_VALUES.

    Raises:
        VisError: The limit is exceeded.
    """
    opened, commas = ("[", "{"), ","
    if isinstance(data, str):
        num_values = 2 * sum(map(data.count, opened)) + data.count(commas)
    else:
        num_values = 2 * sum(data.count(text.encode()) for text in opened) + data.count(commas.encode())
    limit = MAX_JSON_VALUES if limit is None else limit
    if num_values > limit:
        raise VisError(f"the limit of {limit:,} values is exceeded", where=where, hint="Use a smaller file.")


def is_finite_number(value: object) -> TypeGuard[float]:
    """Return whether a value from a file is a number (not a boolean) that a float can represent."""
    if isinstance(value, int):
        return not isinstance(value, bool) and abs(value) <= MAX_INTEGER
    return isinstance(value, float) and math.isfinite(value)


def describe(value: object) -> str:
    """Describe a value from a file in a few words, for a message."""
    if value is None:
        return "null"
    return NAMES[type(value)] if type(value) in NAMES and not isinstance(value, (int, float)) else shown(value)


def shown(value: object) -> str:
    """Convert a value from a file to one short printable line, for a message."""
    return printable(reprlib.repr(value))


def take_field(entry: Mapping[str, Any], key: str, kind: type[T], where: str) -> T:
    """Return `entry[key]` after a check of its type.

    Args:
        entry: A JSON object.
        key: Name of the field.
        kind: Required type. An integer is also a valid float.
        where: File and entry, for the error message.

    Raises:
        VisError: The field is missing, has another type, is not finite, or is an integer beyond MAX_INTEGER.
    """
    field = f"'{key}'"
    if key not in entry:
        raise VisError("is missing", where=where, field=field, hint=f"Add {field}, {NAMES[kind]}.")
    value = entry[key]
    if isinstance(value, bool) or not isinstance(value, (int, float) if kind is float else kind):
        raise VisError(f"is {describe(value)}", where=where, field=field, hint=f"Use {NAMES[kind]}.")
    if isinstance(value, float) and not math.isfinite(value):  # 1e999
        raise VisError("is not finite", where=where, field=field, hint="Use a finite number.")
    if isinstance(value, int) and abs(value) > MAX_INTEGER:
        raise VisError(f"is {shown(value)}", where=where, field=field, hint=f"Use at most {MAX_INTEGER:,}.")
    return value  # type: ignore[return-value]


def take_objects(entry: Mapping[str, Any], key: str, where: str) -> list[tuple[dict[str, Any], str]]:
    """Return the objects of the list `entry[key]`, each with its name for error messages.

    Raises:
        VisError: The field is missing, is not a list, or contains another value than an object.
    """
    objects = []
    for index, item in enumerate(take_field(entry, key, list, where)):
        name = f"{where}: {key}[{index}]"
        if not isinstance(item, dict):
            raise VisError(f"the entry is {describe(item)}", where=name, hint="Use an object.")
        objects.append((item, name))
    return objects


def take_categories(entry: Mapping[str, Any], where: str) -> tuple[Category, ...]:
    """Return the categories in `entry["categories"]`.

    Raises:
        VisError: The categories are missing or invalid, or two have the same id.
    """
    categories = tuple(
        Category(id=take_field(item, "id", int, name), name=take_field(item, "name", str, name))
        for item, name in take_objects(entry, "categories", where)
    )
    require_unique((category.id for category in categories), f"{where}: categories")
    return categories


def take_flag(entry: Mapping[str, Any], key: str, where: str, *, default: bool) -> bool:
    """Return the boolean `entry[key]`. If the field is missing, return the default.

    Raises:
        VisError: The field is not a boolean.
    """
    value = entry.get(key, default)
    require(isinstance(value, bool), where, f"'{key}' is {describe(value)}", hint="Use true or false.")
    return bool(value)


def take_crowd(entry: Mapping[str, Any], where: str) -> bool:
    """Return whether `entry["iscrowd"]` marks a crowd. If the field is missing, as in many files, return False.

    Raises:
        VisError: The field is neither 0 nor 1.
    """
    value = entry.get("iscrowd")
    require(value is None or value in (0, 1), where, f"'iscrowd' is {shown(value)}", hint="Use 0 or 1.")
    return bool(value)


def take_size(entry: Mapping[str, Any], where: str) -> tuple[int, int]:
    """Return the width and the height of an image or a video in pixels.

    Raises:
        VisError: A field is missing or not positive, or the size is above the limits.
    """
    width, height = take_field(entry, "width", int, where), take_field(entry, "height", int, where)
    require(width > 0 and height > 0, where, f"the size is {width}x{height}", hint="Use a positive width and height.")
    require_size(width, height, where)
    return width, height


def require_size(width: int, height: int, where: str) -> None:
    """Reject the size of an image in pixels that is above the limits.

    Raises:
        VisError: The size is above MAX_IMAGE_SIDE or MAX_IMAGE_PIXELS.
    """
    require(
        max(width, height) <= MAX_IMAGE_SIDE and width * height <= MAX_IMAGE_PIXELS,
        where,
        f"the size is {width}x{height}, the limit is {MAX_IMAGE_SIDE:,} per side and {MAX_IMAGE_PIXELS:,} pixels",
        hint="Use smaller images.",
    )


def require_unique(values: Iterable[int | str], where: str) -> None:
    """Check that all values are different.

    Raises:
        VisError: A value occurs twice.
    """
    value, count = max(Counter(values).items(), key=lambda item: item[1], default=("", 0))
    require(count <= 1, where, f"{shown(value)} is used {count} times", hint="Use each value once.")


def require(holds: bool, where: str, problem: str, *, hint: str = "") -> None:
    """Check a condition.

    Args:
        holds: The condition.
        where: File and entry, for the error message.
        problem: What is wrong if the condition does not hold.
        hint: How to fix it.

    Raises:
        VisError: The condition does not hold.
    """
    if not holds:
        raise VisError(problem, where=where, hint=hint)


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Create an object from its pairs. Reject duplicate keys, because other programs use the first or the last one."""
    entry = dict(pairs)
    if len(entry) != len(pairs):
        key = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        raise _RejectedError(f"an object has the key {shown(key)} twice")
    return entry


def _reject_constant(name: str) -> NoReturn:
    raise _RejectedError(f"{name} is not JSON")

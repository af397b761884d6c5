"""JSON files: bounded reading, and fields that are checked one by one; an error names the file and the entry.

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
NAMES = {int: "a whole number", float: "a number", str: "a text", dict: "an object", list: "a list"}


class _RefusedError(ValueError):
    """What the JSON parser accepts and this reader does not."""


def read_json_object(path: Path) -> dict[str, Any]:
    """Read a JSON file that holds one object.

    Raises:
        VisError: The file cannot be read, is too large or is not JSON, or it holds something else.
    """
    data = parse_json(read_bytes(path, limit=MAX_JSON_BYTES), str(path))
    if not isinstance(data, dict):
        raise VisError(f"must hold one JSON object, but holds {describe(data)}", where=path)
    return data


def parse_json(data: bytes | str, where: str) -> object:
    """Parse JSON that may be damaged or hostile; a byte order mark is skipped.

    Raises:
        VisError: It is not JSON, nests too deeply, holds too many values, NaN, or a key twice in one object.
    """
    require_bounded(data, where)
    try:
        return json.loads(data, parse_constant=_refuse_constant, object_pairs_hook=_unique_keys)
    except (UnicodeError, json.JSONDecodeError, _RefusedError) as error:
        raise VisError(f"not a JSON file, or damaged ({printable(str(error))})", where=where) from error
    except ValueError as error:  # Python limits the digits of a number
        raise VisError("not a JSON file of ours: a number has thousands of digits", where=where) from error
    except RecursionError as error:
        raise VisError("not a JSON file of ours: lists and objects nest too deeply", where=where) from error
    except MemoryError as error:
        raise VisError("the file does not fit into memory", where=where) from error


def require_bounded(data: bytes | str, where: str, limit: int | None = None) -> None:
    """Raise a VisError if JSON holds more values than fit into memory: "[]," is 3 bytes, and 64 once it is parsed."""
    opened, commas = ("[", "{"), ","
    if isinstance(data, str):
        num_values = 2 * sum(map(data.count, opened)) + data.count(commas)
    else:
        num_values = 2 * sum(data.count(text.encode()) for text in opened) + data.count(commas.encode())
    limit = MAX_JSON_VALUES if limit is None else limit
    if num_values > limit:
        raise VisError(f"holds too many values, the limit is {limit:,}", where=where)


def is_finite_number(value: object) -> TypeGuard[float]:
    """Tell whether a value from a file is a number that a float can hold; true and false are not."""
    if isinstance(value, int):
        return not isinstance(value, bool) and abs(value) <= MAX_INTEGER
    return isinstance(value, float) and math.isfinite(value)


def describe(value: object) -> str:
    """Return what a value from a file is, short enough for a message."""
    if value is None:
        return "null"
    return NAMES[type(value)] if type(value) in NAMES and not isinstance(value, (int, float)) else shown(value)


def shown(value: object) -> str:
    """Return a value from a file as a message can show it: one line, shortened, however long or deep it is."""
    return printable(reprlib.repr(value))


def take_field(entry: Mapping[str, Any], key: str, kind: type[T], where: str) -> T:
    """Return `entry[key]`, which must be there and of `kind`; a whole number is also a number.

    Raises:
        VisError: it is not.
    """
    if key not in entry:
        raise VisError(f"'{key}' is missing", where=where)
    value = entry[key]
    if isinstance(value, bool) or not isinstance(value, (int, float) if kind is float else kind):
        raise VisError(f"'{key}' must be {NAMES[kind]}, but is {describe(value)}", where=where)
    require(not isinstance(value, float) or math.isfinite(value), where, f"'{key}' is not a finite number")  # 1e999
    if isinstance(value, int) and abs(value) > MAX_INTEGER:
        raise VisError(f"'{key}' is {shown(value)}, the limit is {MAX_INTEGER:,}", where=where)
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
            raise VisError(f"{name} must be an object, but is {describe(item)}")
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
    require(value is None or value in (0, 1), where, f"'iscrowd' is {shown(value)}, but must be 0 or 1")
    return bool(value)


def take_size(entry: Mapping[str, Any], where: str) -> tuple[int, int]:
    """Return the width and the height of an image or a video, which memory must hold.

    Raises:
        VisError: one is missing, is not positive, or both are beyond all images.
    """
    width, height = take_field(entry, "width", int, where), take_field(entry, "height", int, where)
    require(width > 0 and height > 0, where, f"its size is {width}x{height}, but both must be positive")
    require_size(width, height, where)
    return width, height


def require_size(width: int, height: int, where: str) -> None:
    """Raise a VisError if an image is beyond the limits."""
    complaint = (
        f"its size is {width}x{height}, the limit is {MAX_IMAGE_SIDE:,} on a side and {MAX_IMAGE_PIXELS:,} pixels"
    )
    require(max(width, height) <= MAX_IMAGE_SIDE and width * height <= MAX_IMAGE_PIXELS, where, complaint)


def require_unique(values: Iterable[int | str], where: str) -> None:
    """Raise a VisError if a value appears twice."""
    value, count = max(Counter(values).items(), key=lambda item: item[1], default=("", 0))
    require(count <= 1, where, f"{shown(value)} is used {count} times, but must be unique")


def require(holds: bool, where: str, complaint: str) -> None:
    """Raise a VisError unless `holds`."""
    if not holds:
        raise VisError(complaint, where=where)


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make an object of its pairs; of a key that is there twice, other programs take the first or the last."""
    entry = dict(pairs)
    if len(entry) != len(pairs):
        key = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        raise _RefusedError(f"an object has the key {shown(key)} twice")
    return entry


def _refuse_constant(name: str) -> NoReturn:
    raise _RefusedError(f"{name} is not JSON")

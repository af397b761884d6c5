"""Errors of a training config: pydantic's error as one line that names table, setting, value and valid values.

Used by `config` and `config_file`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeAlias, Union, get_args, get_origin, get_type_hints

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from vis_cli.errors import VisError
from vis_cli.files.limits import SHOWN_CHARACTERS
from vis_cli.files.names import printable
from vis_cli.hints import did_you_mean, nearest

Location: TypeAlias = Sequence[int | str]  # of a value: names of tables and settings, indices of lists

UNKNOWN = ("unexpected_keyword_argument", "extra_forbidden")  # pydantic's names of an error
SIMPLE = {int: ("an integer", "integers"), float: ("a number", "numbers"), str: ("a string", "strings")}


@contextmanager
def one_line_errors(kind: type) -> Iterator[None]:
    """Replace the error of a pydantic dataclass by a `VisError`.

    Args:
        kind: The dataclass that is built.

    Raises:
        VisError: A value is not valid.
    """
    try:
        yield
    except ValidationError as error:
        details: list[Any] = error.errors(include_url=False)
        first = next((detail for detail in details if detail["type"] in UNKNOWN), details[0])
        raise _describe_error(kind, first) from error


def require_choice(name: str, value: str, choices: Collection[str], *, other: str = "") -> None:
    """Check that a value is one of some words.

    Args:
        name: Name of the setting, for the message.
        value: Its value.
        choices: All valid words.
        other: Other valid values, for the message.

    Raises:
        VisError: The value is another word.
    """
    if value not in choices:
        raise VisError(invalid_choice(value, choices, other=other), field=name)


def invalid_choice(value: str, choices: Collection[str], *, other: str = "") -> str:
    """Return the text after the name of a setting whose value is not one of the choices."""
    return f"is {printable(value)!r}. {_suggestion(value, choices)}Use {', '.join(choices)}{other}."


def shown(value: Any) -> str:
    """Return a value of a file for a message, cut to a readable length."""
    return printable(repr(value), limit=SHOWN_CHARACTERS)


def _describe_error(kind: type, detail: Any) -> VisError:
    if detail["type"] == "value_error":  # of a check of one setting, or of a complete table
        return VisError(str(detail["ctx"]["error"]), where=_find_table(kind, (*detail["loc"], ""))[1])
    table, where, location = _find_table(kind, detail["loc"])
    hints, name = get_type_hints(table, include_extras=True), str(location[0])
    if detail["type"] in UNKNOWN:
        return VisError(f"has no setting {printable(name)}", where=where, hint=did_you_mean(name, hints))
    if detail["type"].startswith("missing"):
        if len(location) == 1:
            return VisError(f"lacks the setting {name}", where=where, hint=f"Add {name}.")
        location = location[:-1]  # a list is too short
    is_part = len(location) > 1 and (isinstance(location[1], int) or get_origin(_without_limits(hints[name])) is dict)
    value, choices = detail["input"], _choices(hints[name])
    near = _suggestion(value, choices) if isinstance(value, str) else ""
    problem = f"{'contains' if is_part else 'is'} {shown(value)}"
    return VisError(problem, where=where, field=name, hint=f"{near}Use {describe_type(hints[name])}.")


def _find_table(kind: type, location: Location) -> tuple[type, str, Location]:
    """Return the dataclass of the table that contains a value, the table's name, and the location inside of it."""
    where = ""
    while len(location) > 1 and (inner := _dataclass_of(get_type_hints(kind).get(str(location[0])))) is not None:
        is_list = isinstance(location[1], int)
        where = f"[[{location[0]}]] {int(location[1]) + 1}" if is_list else f"[{location[0]}]"
        kind, location = inner, location[1 + is_list :]
    return kind, where, location


def _dataclass_of(hint: Any) -> type | None:
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return hint
    return next((found for part in get_args(hint) if (found := _dataclass_of(part)) is not None), None)


def describe_type(hint: Any, *, many: bool = False) -> str:
    """Return the valid values of a type with limits, such as "an integer from 1 to 64".

    Args:
        hint: A type annotation: a number, string, choice, list (as a tuple), table (as a dict) or a union of them.
        many: Use the plural.
    """
    limits = _limits(hint)
    base = _without_limits(hint)
    origin, args = get_origin(base), [arg for arg in get_args(base) if arg not in (NoneType, Ellipsis)]
    if origin in (Union, UnionType):
        return " or ".join(describe_type(arg, many=many) for arg in args)
    if origin is Literal:
        return " or ".join(", ".join(map(repr, args)).rsplit(", ", 1))
    if origin is tuple:
        return f"{'lists' if many else 'a list'} of {_list_length(base, limits)}{describe_type(args[0], many=True)}"
    if origin is dict:
        return f"{'tables' if many else 'a table'} of {describe_type(args[1], many=True)}"
    return f"{SIMPLE[base][many]}{_range(limits)}" if base in SIMPLE else "true or false"


def _without_limits(hint: Any) -> Any:
    while get_origin(hint) is Annotated:
        hint = get_args(hint)[0]
    return hint


def _limits(hint: Any) -> dict[str, float]:
    """Return the limits of a type by their names in pydantic: ge, gt, le, min_length and max_length."""
    found: dict[str, float] = {}
    while get_origin(hint) is Annotated:
        hint, *metadata = get_args(hint)
        for info in metadata:
            for limit in info.metadata if isinstance(info, FieldInfo) else ():
                found |= {name: getattr(limit, name) for name in _LIMITS if hasattr(limit, name)}
    return found


_LIMITS = ("ge", "gt", "le", "min_length", "max_length")


def _range(limits: dict[str, float]) -> str:
    if "gt" in limits:
        return f" above {limits['gt']:,} and up to {limits['le']:,}"
    return f" from {limits['ge']:,} to {limits['le']:,}" if "ge" in limits else ""


def _list_length(hint: Any, limits: dict[str, float]) -> str:
    if Ellipsis not in get_args(hint):
        return f"{len(get_args(hint))} "
    return f"{limits['min_length']} to {limits['max_length']:,} " if "min_length" in limits else ""


def _choices(hint: Any) -> tuple[str, ...]:
    if get_origin(hint) is Literal:
        return get_args(hint)
    return tuple(choice for part in get_args(hint) for choice in _choices(part))


def _suggestion(value: str, choices: Collection[str]) -> str:
    near = nearest(value, choices)
    return f"Did you mean {near}? " if near else ""

"""Definition of a setting: a field of a dataclass with a range and one line of help.

Used by `settings`, which defines the settings.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType, NoneType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from vis_cli.errors import VisError

NONE = "none"  # text for None, the value of a setting that is switched off
BOOLEANS: Mapping[str, bool] = {"true": True, "false": False}
SHOWN_CHARACTERS = 40  # maximum length of a value in a message


@dataclass(frozen=True, slots=True)
class Setting:
    """Meaning and range of a setting. `settings_of` adds the name, type and default of the field."""

    step: str
    help: str
    low: float | None = None  # smallest value
    high: float | None = None  # largest value
    above: float | None = None  # exclusive lower limit
    name: str = ""
    kind: type[Any] = str
    choices: tuple[str, ...] = ()
    optional: bool = False  # None is a valid value
    default: object = None

    @property
    def values(self) -> str:
        """Return the range or the choices, such as '0 to 1'."""
        return ", ".join([*self._words(), *([NONE] if self.optional else [])]).removeprefix("from ")

    def parse(self, text: str) -> object:
        """Return the value of a string such as '0.5', 'true' or 'none'.

        Raises:
            VisError: The string is not a value of this type, or the value is outside the range.
        """
        if self.optional and text == NONE:
            return None
        try:
            value = BOOLEANS[text] if self.kind is bool else self.kind(text)
        except (KeyError, ValueError):
            raise self._invalid(text) from None
        return self.check(value)

    def check(self, value: object) -> object:
        """Return a value after a check of its type and range. An integer becomes a float if the setting is a float.

        Raises:
            VisError: The value has another type or is outside the range.
        """
        if value is None and self.optional:
            return None
        if self.kind is float and type(value) is int:
            value = float(value)
        if type(value) is not self.kind or (self.choices and value not in self.choices):
            raise self._invalid(value)
        if isinstance(value, (int, float)) and not self._is_inside(value):
            raise self._invalid(value)
        return value

    def _is_inside(self, value: float) -> bool:
        return (
            not (isinstance(value, float) and not math.isfinite(value))
            and (self.low is None or value >= self.low)
            and (self.high is None or value <= self.high)
            and (self.above is None or value > self.above)
        )

    def _invalid(self, value: object) -> VisError:
        shown = ascii(shown_value(value))[1:-1]
        if len(shown) > SHOWN_CHARACTERS:
            shown = f"{shown[:SHOWN_CHARACTERS]}..."
        number = {int: "a whole number ", float: "a number "}.get(self.kind, "")
        use = number + " or ".join(", ".join(self._words()).rsplit(", ", 1))
        hint = f"Use {use}, or {NONE}." if self.optional else f"Use {use}."
        return VisError(f"is {shown}", field=self.name, hint=hint)

    def _words(self) -> list[str]:
        """Return the choices, or the range in one phrase."""
        if self.kind is bool:
            return list(BOOLEANS)
        if self.above is not None:
            return [f"above {self.above:,}"]
        if self.low is not None and self.high is not None:
            return [f"from {self.low:,} to {self.high:,}"]
        return list(self.choices)


def shown_value(value: object) -> str:
    """Return a value as the string that `Setting.parse` reads."""
    if value is None:
        return NONE
    return str(value).lower() if isinstance(value, bool) else str(value)


@cache
def settings_of(kind: Any) -> Mapping[str, Setting]:
    """Return the settings of a dataclass by name, in the order of its fields."""
    hints = get_type_hints(kind, include_extras=True)
    settings = (_describe(field, *get_args(hints[field.name])) for field in dataclasses.fields(kind))
    return MappingProxyType({setting.name: setting for setting in settings})


def check_settings(settings: Any) -> None:
    """Check each setting of a new object. An integer becomes a float if the setting is a float.

    Raises:
        VisError: A value has another type or is outside its range; the message names the setting.
    """
    kind: Any = type(settings)
    for name, setting in settings_of(kind).items():
        object.__setattr__(settings, name, setting.check(getattr(settings, name)))


def _describe(field: dataclasses.Field[Any], hint: Any, setting: Setting) -> Setting:
    kinds = [part for part in get_args(hint) if part is not NoneType] if NoneType in get_args(hint) else [hint]
    is_choice = get_origin(kinds[0]) is Literal
    return dataclasses.replace(
        setting,
        name=field.name,
        kind=str if is_choice else kinds[0],
        choices=get_args(kinds[0]) if is_choice else (),
        optional=NoneType in get_args(hint),
        default=field.default,
    )

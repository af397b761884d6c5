"""Order of the frames in a folder: natural order, or by value if the names are decimal numbers.

Used by `media_folder`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

from vis_cli.files.names import natural_key

# A number with optional sign, decimals and exponent, between a prefix and a unit: t=-0.25s
_NUMBER = re.compile(
    r"(?P<prefix>.*?)(?<![0-9][.,])(?P<sign>-?)(?P<whole>[0-9]+)(?:[.,](?P<part>[0-9]+))?(?P<exponent>e-[0-9]{1,3})?(?P<unit>[^0-9.,]*)"
)


def in_frame_order(paths: Sequence[Path]) -> tuple[list[Path], str | None]:
    """Sort frames in natural order, or by value.

    In natural order, 2 comes before 10. Names that are decimal numbers, such as 0.066, 0.1 and 0.25, are sorted by
    value. Names such as 1.9 and 1.10 can be counters or decimal numbers; `_are_counters` decides.

    Returns:
        The sorted paths, and the assumption as a sentence if the two orders differ, or None.
    """
    natural = sorted(paths, key=lambda path: (natural_key(path.stem), path.suffix))
    numbers = [_parsed(path.stem) for path in natural]
    values = [number for number in numbers if number is not None]
    if len(values) < len(numbers) or len({(number.prefix, number.unit) for number in values}) > 1:
        return natural, None
    if any(number.prefix for number in values):  # frame-1: the dash is a separator
        for number in values:
            number.sign = ""
    by_value = [path for _, path in sorted(zip(values, natural, strict=True), key=lambda pair: pair[0].value)]
    differing = next((pair for pair in zip(natural, by_value, strict=True) if pair[0] != pair[1]), None)
    if differing is None:
        return natural, None
    first, second = differing
    if all(number.sign for number in values) or _are_counters(values):
        return natural, f"the names are read as counters: {first.name} comes before {second.name}"
    return by_value, f"the names are read as decimal numbers: {second.name} comes before {first.name}"


class _Number:
    """The name of a frame as a number."""

    def __init__(self, match: re.Match[str]) -> None:
        """Store the parts of the name."""
        self.prefix, self.sign, self.whole = match["prefix"], match["sign"], match["whole"]
        self.part, self.exponent, self.unit = match["part"] or "", match["exponent"] or "", match["unit"]

    @property
    def value(self) -> Decimal:
        """Return the number with its sign."""
        return Decimal(f"{self.sign}{self.whole}.{self.part or 0}{self.exponent}")


def _parsed(stem: str) -> _Number | None:
    match = _NUMBER.fullmatch(stem.lower())
    return None if match is None else _Number(match)


def _are_counters(numbers: Sequence[_Number]) -> bool:
    """Return whether the digits after the points are counters (1.9, 1.10) instead of decimals (0.9, 0.15).

    Counters without padding never start with a zero. Decimals without padding never end with a zero. If neither rule
    decides, consecutive numbers are counters.
    """
    parts = [number.part for number in numbers]
    if any(number.exponent for number in numbers) or any(part.startswith("0") and len(part) > 1 for part in parts):
        return False
    if any(part.endswith("0") and len(part) > 1 for part in parts):
        return True
    counted: dict[str, list[int]] = {}
    for number in numbers:
        counted.setdefault(number.whole, []).append(int(number.part or "0"))
    return all(max(values) - min(values) == len(values) - 1 for values in counted.values())

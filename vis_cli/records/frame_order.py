"""Order of the frames in a folder: natural order, or by value if the names are decimal numbers.

Used by `media_folder`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

from vis_cli.files.names import natural_key

PADDING = "to change the order, pad the numbers with zeros"

_DIGITS = re.compile("[0-9]+")
# A number with optional sign, decimals and exponent, between a prefix and a unit: t=-0.25s
_NUMBER = re.compile(
    r"(?P<prefix>.*?)(?<![0-9][.,])(?P<sign>-?)(?P<whole>[0-9]+)(?:[.,](?P<part>[0-9]+))?(?P<exponent>e-[0-9]{1,3})?(?P<unit>[^0-9.,]*)"
)


def in_frame_order(paths: Sequence[Path]) -> tuple[list[Path], str | None]:
    """Sort frames in natural order, or by value.

    In natural order, 2 comes before 10. Names that end with decimal numbers, such as 0.066, 0.1 and 0.25, are sorted by
    value. Other numbers can come before the last number: 0m59.5s, 1m0.25s, 1m0.5s. Names such as 1.9 and 1.10 can be
    counters or decimal numbers; `_are_counters` decides.

    Returns:
        The sorted paths, and the assumption with a remedy if another order is possible, or None.
    """
    natural = sorted(paths, key=lambda path: (natural_key(path.stem), path.suffix))
    numbers = [_parsed(path.stem) for path in natural]
    values = [number for number in numbers if number is not None]
    if len(values) < len(numbers) or len({number.shape for number in values}) > 1:
        return natural, _same_number(natural) or _unclear_part(natural, numbers)
    _use_dashes_as_separators(values)
    by_value = [path for _, path in sorted(zip(values, natural, strict=True), key=lambda pair: pair[0].sort_key)]
    differing = next((pair for pair in zip(natural, by_value, strict=True) if pair[0] != pair[1]), None)
    if differing is None:
        return natural, _same_number(natural)
    first, second = differing
    if all(number.sign for number in values) or _are_counters(values):
        return natural, f"the names are read as counters: {first.name} comes before {second.name}; {PADDING}"
    return by_value, f"the names are read as decimal numbers: {second.name} comes before {first.name}; {PADDING}"


def _same_number(paths: Sequence[Path]) -> str | None:
    """Return the assumption for two names that differ only in padding or case, such as 1 and 01."""
    for first, second in pairwise(paths):
        if first.stem != second.stem and natural_key(first.stem)[0] == natural_key(second.stem)[0]:
            names = f"{first.name} and {second.name}"
            return f"{names} have the same number: {first.name} comes first; to change the order, rename one of them"
    return None


def _unclear_part(natural: Sequence[Path], numbers: Sequence[_Number | None]) -> str | None:
    """Return the assumption for names of several shapes, if the names of one shape can also be decimal numbers."""
    groups: dict[tuple[str, str], list[tuple[_Number, Path]]] = {}
    for number, path in zip(numbers, natural, strict=True):
        if number is not None:
            groups.setdefault(number.shape, []).append((number, path))
    for group in groups.values():
        _use_dashes_as_separators([number for number, _ in group])
        for (number, path), (next_number, next_path) in pairwise(group):
            if number.sort_key > next_number.sort_key and not (number.sign and next_number.sign):
                return f"the names are read as counters: {path.name} comes before {next_path.name}; {PADDING}"
    return None


def _use_dashes_as_separators(numbers: Sequence[_Number]) -> None:
    """Remove the signs if there is a text before the numbers: the dash of frame-1 is a separator."""
    if any(number.prefix for number in numbers):
        for number in numbers:
            number.sign = ""


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

    @property
    def shape(self) -> tuple[str, str]:
        """Return the text around the number with # for other numbers, such as #m and s for 1m0.25s."""
        return _DIGITS.sub("#", self.prefix), self.unit

    @property
    def sort_key(self) -> tuple[tuple[str | tuple[int, str], ...], Decimal]:
        """Return a key that sorts by the text before the number, then by the number."""
        return natural_key(self.prefix)[0], self.value


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
    counted: dict[tuple[str, str], list[int]] = {}
    for number in numbers:
        counted.setdefault((number.prefix, number.whole), []).append(int(number.part or "0"))
    return all(max(values) - min(values) == len(values) - 1 for values in counted.values())

"""The values of --only and --rename of `vis export`.

Used by `export`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from vis_cli.console import UsageError
from vis_cli.errors import VisError
from vis_cli.files.names import is_unprintable, printable
from vis_cli.files.reading import read_text
from vis_cli.hints import nearest
from vis_cli.records.categories import plain_name
from vis_cli.records.export_messages import shorten
from vis_cli.records.exports.choice import Only
from vis_cli.records.json_fields import describe, parse_json, take_field
from vis_cli.records.types import VideoResult

FILE_SUFFIX = ".json"
EXAMPLE = '{"truck": "vehicle"}'


def parse_only(values: Sequence[str], results: Iterable[VideoResult]) -> Only:
    """Return the ids and categories in the values of --only.

    A value is a list of ids and names. A value that is the name of a category, also with commas, is this category.

    Raises:
        UsageError: No result has an id or a category.
    """
    if not values:
        return Only()
    named = list(results) if any("," in value for value in values) else None
    results = results if named is None else named
    complete = {plain_name(category.name) for result in named or () for category in result.categories}
    words = [
        word.strip() for value in values for word in ([value] if plain_name(value) in complete else value.split(","))
    ]
    ids = frozenset(int(word) for word in words if re.fullmatch("[0-9]{1,18}", word))
    names = tuple(dict.fromkeys(word for word in words if not re.fullmatch("[0-9]{1,18}", word)))
    if "" in names:
        raise UsageError("a name is empty", where="--only", hint="Use ids or categories, such as 1,4 or person.")
    only = Only(ids, names)
    unknown, known = only.unknown(results)
    if unknown:
        raise UsageError(f"no instance or category {_shown(unknown)}", where="--only", hint=_hint(unknown[0], known))
    return only


def parse_renamed(value: str | None, results: Iterable[VideoResult]) -> dict[str, str]:
    """Return the new names in the value of --rename, by the `plain_name` of the category.

    Raises:
        UsageError: A pair is malformed, or no result has a category.
        VisError: The file cannot be read, or does not contain a JSON object of strings.
    """
    if value is None:
        return {}
    pairs = _read_file(Path(value)) if value.lower().endswith(FILE_SUFFIX) else _parse_pairs(value)
    renamed: dict[str, str] = {}
    for old, new in pairs:
        if not new.strip() or any(map(is_unprintable, new)):
            problem = f"the new name of {printable(old)} is empty or contains control characters"
            raise UsageError(problem, where="--rename", hint="Use a name without these characters.")
        if renamed.setdefault(plain_name(old), new.strip()) != new.strip():
            raise UsageError(f"{printable(old)} has two new names", where="--rename", hint="Use each category once.")
    known = {category.name for result in results for category in result.categories}
    plain = {plain_name(name) for name in known}
    unknown = [old for old, _ in pairs if plain_name(old) not in plain]
    if unknown:
        raise UsageError(f"no category {_shown(unknown)}", where="--rename", hint=_hint(unknown[0], known))
    return renamed


def _parse_pairs(value: str) -> list[tuple[str, str]]:
    pairs = []
    for pair in value.split(","):
        old, equals, new = pair.partition("=")
        if not equals or not old.strip():
            hint = f"Use pairs such as truck=vehicle, or a file whose name ends in {FILE_SUFFIX}."
            raise UsageError(f"'{printable(pair)}' is not OLD=NEW", where="--rename", hint=hint)
        pairs.append((old.strip(), new))
    return pairs


def _read_file(path: Path) -> list[tuple[str, str]]:
    data = parse_json(read_text(path), str(path))
    if not isinstance(data, dict) or not data:
        content = "no names" if isinstance(data, dict) else describe(data)
        raise VisError(f"the file contains {content}", where=path, hint=f"Use an object such as {EXAMPLE}.")
    return [(old, take_field(data, old, str, str(path))) for old in data]


def _shown(names: Sequence[str]) -> str:
    return ", ".join(printable(name) for name in names)


def _hint(name: str, known: set[str]) -> str:
    if near := nearest(name, known):
        return f"Did you mean {printable(near)}?"
    shown = shorten([printable(item) for item in sorted(known)])
    return f"The results have these categories: {shown}." if known else "The results have no categories."

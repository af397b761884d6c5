"""Reader of TOML files with limits of size and depth, so that later code can recurse over the values and print them.

Used by `training.config_file` and `commands.method_settings`.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vis_cli.errors import VisError
from vis_cli.files.limits import MAX_CONFIG_BYTES, MAX_CONFIG_CHARACTERS, MAX_CONFIG_DEPTH, MAX_CONFIG_DOTS
from vis_cli.files.names import printable
from vis_cli.files.reading import read_text

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

MAX_INTEGER = 2**63 - 1  # TOML has integers of 64 bits


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file of settings.

    Raises:
        VisError: The file cannot be read, is not TOML, or has too many levels. Or an integer has more than 64 bits, or
            a string is too long or contains NUL.
    """
    text = read_text(path, limit=MAX_CONFIG_BYTES)
    for number, line in enumerate(text.split("\n"), 1):
        if line.count(".") > MAX_CONFIG_DOTS:
            problem = f"line {number} has more than {MAX_CONFIG_DOTS} dots"
            raise VisError(problem, where=path, hint="Split a list over several lines.")
    try:
        raw: dict[str, Any] = tomllib.loads(text)
    except RecursionError as error:
        raise _too_deep(path) from error
    except ValueError as error:  # a TOMLDecodeError, or a ValueError for an integer with thousands of digits
        problem = f"not valid TOML ({printable(str(error))})"
        raise VisError(problem, where=path, hint="Correct the file.") from error
    _require_plain(raw, path)
    return raw


def replace_old_names(table: Mapping[str, Any], names: Mapping[str, str], where: str) -> tuple[dict[str, Any], str]:
    """Replace the old names of settings in a table.

    Args:
        table: The settings in a file.
        names: The current name of each old name.
        where: File and table, for the messages.

    Returns:
        The table with the current names, and a line with the changes, or an empty string.

    Raises:
        VisError: The table has a setting under its old and its current name.
    """
    old = [name for name in table if name in names]
    for name in old:
        if names[name] in table:
            problem = f"is the old name of {names[name]}, and the table has both"
            raise VisError(problem, where=where, field=name, hint=f"Remove {name}.")
    changes = ", ".join(f"{name} is now {names[name]}" for name in old)
    line = f"{where}: {changes}. Old names are still read." if old else ""
    return {names.get(name, name): value for name, value in table.items()}, line


def _require_plain(raw: dict[str, Any], path: Path) -> None:
    """Check depth, integers and strings, one level at a time, because a recursion could be too deep."""
    level: list[Any] = [raw]
    for _ in range(MAX_CONFIG_DEPTH):
        level = [part for value in level for part in _parts(value)]
        for value in level:
            if isinstance(value, int) and not -MAX_INTEGER <= value <= MAX_INTEGER:
                problem = "not valid TOML (an integer has more than 64 bits)"
                raise VisError(problem, where=path, hint="Use a smaller number.")
            if isinstance(value, str):
                _require_plain_string(value, path)
        if not level:
            return
    raise _too_deep(path)


def _too_deep(path: Path) -> VisError:
    problem = f"not valid TOML (it is nested more than {MAX_CONFIG_DEPTH} levels deep)"
    return VisError(problem, where=path, hint="Use fewer levels.")


def _require_plain_string(value: str, path: Path) -> None:
    if "\0" in value:
        raise VisError("a string contains the character NUL", where=path, hint="Remove it.")
    if len(value) > MAX_CONFIG_CHARACTERS:
        hint = f"Use at most {MAX_CONFIG_CHARACTERS:,} characters."
        raise VisError(f"the string {printable(value)!r} is too long", where=path, hint=hint)


def _parts(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []

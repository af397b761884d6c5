"""A TOML file as plain values, limited in size and depth. Code after it may recurse and print.

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
        VisError: The file cannot be read, is not TOML, is nested too deeply, or has an integer of more than 64 bits
            or a string that is too long or has NUL.
    """
    text = read_text(path, limit=MAX_CONFIG_BYTES)
    for number, line in enumerate(text.split("\n"), 1):
        if line.count(".") > MAX_CONFIG_DOTS:
            raise VisError(
                f"{path}: line {number} has more than {MAX_CONFIG_DOTS} dots. Split a list over several lines."
            )
    try:
        raw: dict[str, Any] = tomllib.loads(text)
    except RecursionError as error:
        raise VisError(f"{path}: not valid TOML (it is nested more than {MAX_CONFIG_DEPTH} levels deep)") from error
    except ValueError as error:  # a TOMLDecodeError, or the bare one of an integer with thousands of digits
        raise VisError(f"{path}: not valid TOML ({printable(str(error))})") from error
    _require_plain(raw, path)
    return raw


def replace_old_names(table: Mapping[str, Any], names: Mapping[str, str], where: str) -> tuple[dict[str, Any], str]:
    """Return a table under the current names of its settings, and a line that lists the changes or is empty.

    Args:
        table: The settings as a file has them.
        names: The current name of each old name.
        where: File and table, for the messages.

    Raises:
        VisError: The table has a setting under its old and its current name.
    """
    old = [name for name in table if name in names]
    for name in old:
        if names[name] in table:
            raise VisError(f"{where}: {name} is the old name of {names[name]}, which is also there. Remove {name}.")
    changes = ", ".join(f"{name} is now {names[name]}" for name in old)
    line = f"{where}: {changes}. Old names are still read." if old else ""
    return {names.get(name, name): value for name, value in table.items()}, line


def _require_plain(raw: dict[str, Any], path: Path) -> None:
    """Check depth, integers and strings level by level, since a recursion could be too deep."""
    level: list[Any] = [raw]
    for _ in range(MAX_CONFIG_DEPTH):
        level = [part for value in level for part in _parts(value)]
        for value in level:
            if isinstance(value, int) and not -MAX_INTEGER <= value <= MAX_INTEGER:
                raise VisError(f"{path}: not valid TOML (an integer has more than 64 bits)")
            if isinstance(value, str):
                _require_plain_string(value, path)
        if not level:
            return
    raise VisError(f"{path}: not valid TOML (it is nested more than {MAX_CONFIG_DEPTH} levels deep)")


def _require_plain_string(value: str, path: Path) -> None:
    if "\0" in value:
        raise VisError(f"{path}: a string contains the character NUL. Remove it.")
    if len(value) > MAX_CONFIG_CHARACTERS:
        raise VisError(
            f"{path}: the string {printable(value)!r} is too long. Use at most {MAX_CONFIG_CHARACTERS:,} characters."
        )


def _parts(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []

"""Expansion of `~` in arguments. Shells expand it at the start of a word, but not in `--out=~/results` or in quotes.

Used by `app` for all commands.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from vis_cli.console import UsageError
from vis_cli.files.names import printable

_WITH_TILDE = re.compile(r"(--[\w-]+=|-[A-Za-z])?(~.*)", re.DOTALL)  # --out=~/x, -o~/x, ~/x


def expand_home(arguments: Sequence[str]) -> list[str]:
    """Replace `~` and `~user` by the home folder in each argument and option value that starts with it.

    Raises:
        UsageError: The home folder is unknown.
    """
    return [_expand(argument) for argument in arguments]


def _expand(argument: str) -> str:
    match = _WITH_TILDE.fullmatch(argument)
    if match is None:
        return argument
    option, path = match.group(1) or "", match.group(2)
    user = path[1:].partition("/")[0]
    if not user and os.environ.get("HOME") == "":
        raise UsageError(f"cannot expand {printable(path)}: HOME is empty", hint="Use an absolute path.")
    expanded = os.path.expanduser(path)  # noqa: PTH111 (Path.expanduser drops a final slash)
    if not expanded.startswith("~"):
        return option + expanded
    if not user:
        raise UsageError(f"cannot expand {printable(path)}: the home folder is unknown", hint="Use an absolute path.")
    if os.path.lexists(Path(path)):
        return argument
    name = printable(path)
    problem = f"cannot expand {name}: no user is called {printable(user)!r}"
    raise UsageError(problem, hint=f"For a name with ~, use ./{name}.")

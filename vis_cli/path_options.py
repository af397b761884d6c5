"""Check of the values of path options before a command line is parsed.

Used by `app` for all commands.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any, get_args

from typer.core import TyperGroup
from typer.models import OptionInfo

from vis_cli.console import UsageError
from vis_cli.files.names import printable

FOLDER_OR_URL = "DIR"  # metavar of options that take a string because it can be a URL


def require_paths(arguments: Sequence[str], commands: TyperGroup) -> None:
    """Reject a path option whose value is empty or starts with `=`: `-o=out` means a file called `=out`.

    Args:
        arguments: Arguments of the command line.
        commands: All commands.

    Raises:
        UsageError: A value is empty or starts with `=`.
    """
    options = path_options(commands, arguments)
    for option, value in _path_values(arguments, options):
        path = value.lstrip("=")
        if not path:
            raise UsageError(f"{option} is empty", hint="Pass a path. Is a variable of the shell unset?")
        if path != value:
            path, shown = printable(path), printable(value)
            forms = f"{option}={path}" if option.startswith("--") else f"{option} {path} or {options[option]}={path}"
            problem = f"{option}: the value {shown} starts with '='"
            raise UsageError(problem, hint=f"Use {forms}. For a name that starts with =, use ./{shown}.")


def path_options(commands: TyperGroup, arguments: Sequence[str]) -> dict[str, str]:
    """Return the options of the command in `arguments` that take a path, each with its long form."""
    position, name = next(((i, text) for i, text in enumerate(arguments) if not text.startswith("-")), (0, ""))
    command = commands.commands.get(name)
    if isinstance(command, TyperGroup):
        return path_options(command, arguments[position + 1 :])
    return {} if command is None or command.callback is None else _options_of(command.callback)


def _options_of(callback: Callable[..., Any]) -> dict[str, str]:
    options: dict[str, str] = {}
    # `get_type_hints` of Python 3.10 hides an `Annotated` whose default is None.
    for parameter in inspect.signature(callback, eval_str=True).parameters.values():
        annotation = parameter.annotation
        infos = [part for part in get_args(annotation) if isinstance(part, OptionInfo)]
        if infos and (_mentions_path(annotation) or infos[0].metavar == FOLDER_OR_URL):
            names = (infos[0].default, *(infos[0].param_decls or ()))  # Typer takes the first name for a default
            flags = [name for name in names if isinstance(name, str) and name.startswith("-")]
            options.update(dict.fromkeys(flags, max(flags, key=len, default="")))
    return options


def _mentions_path(annotation: Any) -> bool:
    return annotation is Path or any(map(_mentions_path, get_args(annotation)))


def _path_values(arguments: Sequence[str], options: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for argument, following in zip_longest(arguments, arguments[1:]):
        if argument == "--":
            return
        name, equals, value = argument.partition("=")
        if argument in options:
            if following is not None:
                yield argument, following
        elif argument.startswith("--") and equals and name in options:
            yield name, value
        elif argument[:2] in options and not argument.startswith("--"):
            yield argument[:2], argument[2:]

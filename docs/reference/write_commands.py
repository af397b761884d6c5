"""Writes docs/reference/commands.md from the commands of `vis`: `python docs/reference/write_commands.py`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import typer

from vis_cli.app import make_app

INTRODUCTION = """\
# Commands

This page lists every option of every command. `vis COMMAND --help` prints the same text. For `vis segment`,
`vis batch` and `vis eval`, `--help` omits rare options, and `--help-all` prints all of them.

[Settings](settings.md) lists the values for `--set`, and [exit codes](exit-codes.md) lists the exit codes.
"""
GENERATED = "<!-- write_commands.py writes this page from the commands. Change their options, not this page. -->\n"
SHELL_OPTIONS = ("--install-completion", "--show-completion")  # of Typer
NO_PANEL = "Options"


def page() -> str:
    """Return the page."""
    app: Any = typer.main.get_command(make_app())
    parts = [GENERATED, INTRODUCTION, "## vis\n", "`vis [OPTIONS] COMMAND`\n", _table(_options(app))]
    for name, command in app.commands.items():
        parts += _section(f"vis {name}", command)
        for sub_name, sub_command in getattr(command, "commands", {}).items():
            parts += _section(f"vis {name} {sub_name}", sub_command)
    return "\n".join(parts)


def _section(name: str, command: Any) -> Iterator[str]:
    """Yield the heading, description, arguments, options and examples of a command."""
    parameters = _options(command)
    arguments = [item for item in parameters if item.param_type_name == "argument"]
    usage = " ".join([name, *(_argument(item) for item in arguments), "[OPTIONS]"])
    yield f"## {name}\n"
    yield f"`{usage}`\n"
    description, notes = command.help.partition("\n\n")[::2]
    yield f"{_text(description)}\n"
    if notes:
        yield "\n\n".join(_text(part) for part in notes.split("\n\n")) + "\n"
    if arguments:
        yield _table(arguments)
    options = [item for item in parameters if item.param_type_name == "option"]
    panels = sorted(options, key=lambda item: _panel(item) != NO_PANEL)
    names = list(dict.fromkeys(_panel(item) for item in panels))
    for panel, group in groupby(sorted(options, key=lambda item: names.index(_panel(item))), key=_panel):
        yield f"**{panel}**\n"
        yield _table(list(group))
    if lines := re.findall(r"^  (\S.*)$", command.epilog or "", flags=re.MULTILINE):
        yield "**Examples**\n"
        yield "```console\n" + "".join(f"{line}\n" for line in lines) + "```\n"


def _options(command: Any) -> list[Any]:
    """Return the parameters of a command without the options that every command has."""
    return [item for item in command.params if not {*item.opts} & {"--help", "--help-all", *SHELL_OPTIONS}]


def _panel(parameter: Any) -> str:
    return getattr(parameter, "rich_help_panel", None) or NO_PANEL


def _argument(parameter: Any) -> str:
    name = f"{parameter.metavar}..." if parameter.nargs == -1 else parameter.metavar
    return name if parameter.required else f"[{name}]"


def _table(parameters: list[Any]) -> str:
    head = "argument" if parameters[0].param_type_name == "argument" else "option"
    rows = [f"| {_names(item)} | {_default(item)} | {_meaning(item)} |\n" for item in parameters]
    return "".join([f"| {head} | default | meaning |\n", "| --- | --- | --- |\n", *rows])


def _names(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return f"`{parameter.metavar}`".replace("|", "\\|")
    value = f" {parameter.metavar}" if parameter.metavar else ""
    return ", ".join(f"`{name}{value}`" for name in (*parameter.opts, *parameter.secondary_opts)).replace("|", "\\|")


def _default(parameter: Any) -> str:
    """Return the default: the words of the help, or the value of the option."""
    if described := re.search(r"\[dim\]\\?\[(?:default: )?(.*?)\]\[/dim\]", parameter.help or ""):
        return _text(described[1])
    if parameter.required:
        return "required"
    value = parameter.default
    is_shown = value not in (None, False, (), [], "") and not callable(value)
    return str(getattr(value, "value", value)) if is_shown else ""


def _meaning(parameter: Any) -> str:
    return _text(re.sub(r" *\[dim\].*?\[/dim\]", "", parameter.help or ""))


def _text(text: str) -> str:
    """Return a help text as Markdown: options, paths and names as code."""
    text = re.sub(r"\[/?\w[\w ]*\]", "", text.replace("\\[", "["))
    text = " ".join(text.split()).replace("|", "\\|")
    return re.sub(
        r"(?<![\w`/-])(--[a-z][\w-]*(?: \d[\d:.]*(?=\s))?)(?![\w`]|[^`]*`(?:[^`]*`[^`]*`)*[^`]*$)", r"`\1`", text
    )


if __name__ == "__main__":
    Path(__file__).with_name("commands.md").write_text(page(), encoding="utf-8")

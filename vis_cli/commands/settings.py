"""`vis settings`: every setting with its value in a preset, its range and its meaning.

Registered by `app`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import groupby
from typing import Annotated

import typer

from vis_cli.console import Reporter, UsageError, print_json, print_line
from vis_cli.errors import VisError
from vis_cli.options import Debug, complete_preset
from vis_cli.setting_fields import Setting, settings_of, shown_value
from vis_cli.settings import RunSettings, SegmentSettings, find_preset

COLUMNS = ("setting", "value", "allowed", "meaning")


def settings(
    preset: Annotated[
        str,
        typer.Argument(
            metavar="PRESET",
            help="Preset whose values are printed; `vis segment --help` lists the presets.",
            autocompletion=complete_preset,
        ),
    ] = "default",
    *,
    as_json: Annotated[bool, typer.Option("--json", metavar="", help="Print JSON instead of a table.")] = False,
    as_toml: Annotated[
        bool, typer.Option("--toml", metavar="", help="Print a file for `vis segment --settings` instead of a table.")
    ] = False,
    debug: Debug = False,
) -> None:
    """Print every setting with its value in PRESET, its range and its meaning.

    To change a setting, use `vis segment --set NAME=VALUE`. To change several, use `vis segment --settings FILE.toml`.

    The settings under [run] belong to no preset. --json, --toml and --settings omit them.
    """
    with Reporter(debug=debug).guard():
        if as_json and as_toml:
            raise UsageError("--json and --toml are both given. Omit one of them.")
        try:
            values = find_preset(preset)
        except VisError as error:
            raise UsageError(str(error)) from error
        if as_json:
            print_json(json.dumps({"preset": preset, "settings": [*json_entries(values)]}, indent=2))
            return
        for line in toml_lines(values) if as_toml else table_lines(values):
            print_line(line)


def table_lines(values: SegmentSettings) -> Iterator[str]:
    """Yield the lines of a table with one line per setting, grouped by the steps of the method, then the run."""
    known = [*settings_of(SegmentSettings).values(), *settings_of(RunSettings).values()]
    rows = [COLUMNS, *(_row(setting, values) for setting in known)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(COLUMNS) - 1)]

    def line(row: tuple[str, ...]) -> str:
        return "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]])

    yield line(COLUMNS)
    for step, settings in groupby(known, key=lambda setting: setting.step):
        yield ""
        yield f"[{step}]"
        yield from (line(_row(setting, values)) for setting in settings)


def toml_lines(values: SegmentSettings) -> Iterator[str]:
    """Yield the lines of a TOML file of all settings, each with its range and meaning as a comment."""
    for setting in settings_of(SegmentSettings).values():
        value = getattr(values, setting.name)
        yield f"# {setting.help} ({setting.values})"
        yield f"{setting.name} = {json.dumps(shown_value(value) if value is None else value)}"


def json_entries(values: SegmentSettings) -> Iterator[dict[str, object]]:
    """Yield one object per setting."""
    for setting in settings_of(SegmentSettings).values():
        yield {
            "name": setting.name,
            "value": getattr(values, setting.name),
            "default": setting.default,
            "values": setting.values,
            "step": setting.step,
            "meaning": setting.help,
        }


def _row(setting: Setting, values: SegmentSettings) -> tuple[str, str, str, str]:
    value = getattr(values, setting.name, setting.default)
    return setting.name, shown_value(value), setting.values, setting.help

"""Writes docs/reference/settings.md from `vis_cli/settings.py`: `python docs/reference/write_settings.py`."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

from vis_cli.setting_fields import Setting, settings_of, shown_value
from vis_cli.settings import PRESETS, RunSettings, SegmentSettings

INTRODUCTION = """\
<!-- write_settings.py writes this page from vis_cli/settings.py. Change that file, not this page. -->

# Settings

`vis segment --set NAME=VALUE` and `vis segment --settings FILE.toml` change a setting of the method. The names are the
same in NAME.json and, in Python, in `SegmentSettings`. `vis settings PRESET` prints the values of a preset.
[Differences from the paper](../explanation/propose-reduce.md#differences-from-the-paper) compares the values with the
paper.
"""


def page() -> str:
    """Return the page."""
    known = settings_of(SegmentSettings).values()
    parts = [INTRODUCTION]
    for step, settings in groupby(known, key=lambda setting: setting.step):
        parts.append(f"## {step.capitalize()}\n\n{_table(list(settings))}")
    parts.append(f"## Presets\n\nA preset changes these defaults:\n\n{_presets()}")
    introduction = "These settings are options of `vis segment`, and `--set` accepts them, too."
    parts.append(f"## Run\n\n{introduction}\n\n{_table([*settings_of(RunSettings).values()])}")
    return "\n".join(parts)


def _table(settings: list[Setting]) -> str:
    rows = [
        f"| `{setting.name}` | {shown_value(setting.default)} | {setting.values} | {setting.help} |\n"
        for setting in settings
    ]
    return "".join(["| setting | default | values | meaning |\n", "| --- | --- | --- | --- |\n", *rows])


def _presets() -> str:
    rows = ["| preset | settings |\n", "| --- | --- |\n"]
    for name, preset in PRESETS.items():
        changes = [
            f"`{setting.name} = {shown_value(getattr(preset, setting.name))}`"
            for setting in settings_of(SegmentSettings).values()
            if getattr(preset, setting.name) != setting.default
        ]
        rows.append(f"| `{name}` | {', '.join(changes) or 'none'} |\n")
    return "".join(rows)


if __name__ == "__main__":
    Path(__file__).with_name("settings.md").write_text(page(), encoding="utf-8")

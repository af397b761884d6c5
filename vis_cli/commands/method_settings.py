"""Settings of the method from the command line: preset, then file, then `--set` and options.

Used by `segment` and `evaluate`.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from vis_cli.console import Reporter, UsageError
from vis_cli.errors import VisError
from vis_cli.files.toml_file import read_toml, replace_old_names
from vis_cli.options import MethodOptions, flag_of
from vis_cli.setting_fields import NONE
from vis_cli.settings import OLD_NAMES, SegmentSettings, find_preset, find_setting, parse_overrides, split_overrides

OWN_OPTIONS = ("num_key_frames", "short_side", "score_threshold")  # settings that also have an option


def method_settings(options: MethodOptions, reporter: Reporter, *, preset: str = "default") -> SegmentSettings:
    """Return the settings of the method; `preset` applies if no preset is given.

    Raises:
        UsageError: The preset, file or setting is unknown, or a value is outside its range.
    """
    own = _own_options(options)
    try:
        base = find_preset(options.preset or preset)
        stored = {} if options.settings_file is None else read_settings_file(options.settings_file, reporter)
        overrides = parse_overrides(split_overrides(options.overrides or ())[0])
    except VisError as error:
        raise UsageError(str(error)) from error
    if twice := sorted(own.keys() & overrides):
        raise UsageError(f"{flag_of(twice[0])} and --set {twice[0]} are both given. Omit one of them.")
    return dataclasses.replace(base, **stored | overrides | own)


def sets(name: str, options: MethodOptions) -> bool:
    """Return whether `--set` gives a setting."""
    return any(text.partition("=")[0].strip() == name for text in options.overrides or ())


def read_settings_file(path: Path, reporter: Reporter) -> dict[str, Any]:
    """Read a TOML file of settings. Old names are reported and replaced.

    Raises:
        VisError: The file cannot be read, a name is unknown, or a value is outside its range.
    """
    values, changes = replace_old_names(read_toml(path), OLD_NAMES, str(path))
    if changes:
        reporter.warn(changes)
    try:
        return {
            name: find_setting(name).check(None if value == NONE and find_setting(name).optional else value)
            for name, value in values.items()
        }
    except VisError as error:
        raise error.inside(path) from error


def _own_options(options: MethodOptions) -> dict[str, Any]:
    own: dict[str, Any] = {}
    for name in OWN_OPTIONS:
        value = getattr(options, name)
        if value is None:
            continue
        try:
            own[name] = find_setting(name).check(value)
        except VisError as error:
            raise UsageError(error.problem, field=flag_of(name), hint=error.hint) from error
    return own

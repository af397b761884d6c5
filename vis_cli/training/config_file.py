"""Reader of a training config: TOML files that extend each other, names of earlier versions, and relative paths.

Used by `run`. `config` defines the settings and their limits.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_type_hints

from pydantic import ConfigDict, TypeAdapter, create_model

from vis_cli.errors import VisError
from vis_cli.files.limits import MAX_CATEGORIES, MAX_CONFIG_FILES
from vis_cli.files.reading import real_path
from vis_cli.files.toml_file import read_toml, replace_old_names
from vis_cli.network.backbones import BACKBONES
from vis_cli.network.config import ModelConfig
from vis_cli.records.types import Category
from vis_cli.training.config import OLD_NAMES, OLD_VALUES, TrainConfig
from vis_cli.training.config_errors import one_line_errors, require_choice, shown
from vis_cli.zoo.included_detectors import INCLUDED_DETECTORS

Warn = Callable[[str], None]

BASE = "extends"  # setting that names other files; their settings apply where this file has none; the last file wins
PATHS = ("annotations", "more_annotations", "images")
TABLES, TABLE_LISTS = ("model", "optim", "validation"), ("data", "schedule")


def read_train_config(path: Path, *, data_root: Path | None = None, warn: Warn | None = None) -> TrainConfig:
    """Read the TOML file of a run.

    Args:
        path: The file.
        data_root: Folder of relative data paths. None: the folder of the file that contains the path.
        warn: Is called with one line per file that has names of earlier versions.

    Raises:
        VisError: The file is missing or not TOML, or a setting is unknown, missing, of a wrong type or out of range.
    """
    raw = _TableReader(data_root, warn).read(path)
    try:
        return _build_config(raw)
    except VisError as error:
        raise error.inside(path) from error


def _build_config(raw: dict[str, Any]) -> TrainConfig:
    _require_tables(raw)
    if not raw.get("data"):
        raise VisError("has no dataset", hint="Add at least one [[data]].")
    try:
        model = _build_model_config(raw.get("model", {}))
    except VisError as error:
        raise error.inside("[model]") from error
    with one_line_errors(TrainConfig):
        config = TypeAdapter(TrainConfig).validate_python({**raw, "model": model})
    for number, change in enumerate(config.schedule, 1):
        try:
            config.changed(change)
        except VisError as error:
            raise error.inside(f"[[schedule]] {number}") from error
    return config


def _require_tables(raw: dict[str, Any]) -> None:
    for name in TABLES:
        if not isinstance(raw.get(name, {}), dict):
            raise VisError("is not a table", field=name, hint=f"Write [{name}].")
    for name in TABLE_LISTS:
        entries = raw.get(name, [])
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise VisError("is not a list of tables", field=name, hint=f"Write [[{name}]] before each table.")


def _build_model_config(fields: dict[str, Any]) -> ModelConfig:
    """Build the config of the network. The category ids are 1..C in the order of their names."""
    names = fields.get("categories", [])
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise VisError(f"is {shown(names)}", field="categories", hint="Use a list of at least one name.")
    if len(names) > MAX_CATEGORIES:
        raise VisError(f"has {len(names):,} names", field="categories", hint=f"Use at most {MAX_CATEGORIES:,}.")
    hints, known = get_type_hints(ModelConfig), dataclasses.fields(ModelConfig)
    types: dict[str, Any] = {
        f.name: (hints[f.name], ... if f.default is dataclasses.MISSING else f.default) for f in known
    }
    values = {name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()}
    values["categories"] = tuple(Category(i, name) for i, name in enumerate(names, 1))
    table = create_model("ModelTable", __config__=ConfigDict(extra="forbid", strict=True), **types)
    with one_line_errors(ModelConfig):
        checked = table.model_validate(values)
    config = ModelConfig(**{name: getattr(checked, name) for name in types})
    require_choice("backbone", config.backbone, BACKBONES)
    if config.detector is not None:
        require_choice("detector", config.detector, INCLUDED_DETECTORS)
    return config


class _TableReader:
    """Reader of a file and of the files that it extends."""

    def __init__(self, data_root: Path | None, warn: Warn | None) -> None:
        self._data_root, self._warn = data_root, warn
        self._num_files = 0

    def read(self, path: Path, above: tuple[Path, ...] = ()) -> dict[str, Any]:
        """Return the settings of a file; `above` are the files that extend it."""
        self._num_files += 1
        if self._num_files > MAX_CONFIG_FILES:
            raise VisError(
                f"{BASE} leads to more than {MAX_CONFIG_FILES} files; a file counts once per occurrence",
                where=above[0],
                hint="Merge some of the files.",
            )
        raw = read_toml(path)
        resolved = real_path(path)
        if resolved in above:
            raise VisError("extends itself", where=path, hint=f"Remove it from {BASE}.")
        self._rename_old(path, raw)
        _resolve_paths(raw, self._data_root or path.parent)
        merged: dict[str, Any] = {}
        for base in _base_names(path, raw.pop(BASE, [])):
            merged = _merge(merged, self.read(path.parent / base, (*above, resolved)))
        return _merge(merged, raw)

    def _rename_old(self, path: Path, raw: dict[str, Any]) -> None:
        """Replace names and values of earlier versions, and report them."""
        changes = [_rename(raw, str(path))]
        for name in (*TABLES, *TABLE_LISTS):
            changes += [_rename(table, f"{path}: [{name}]") for table in _tables(raw, (name,))]
        if self._warn is not None and any(changes):
            self._warn(" ".join(filter(None, changes)))


def _rename(table: dict[str, Any], where: str) -> str:
    """Replace names and values of earlier versions in place. Return a line that lists the changes, or an empty one."""
    renamed, line = replace_old_names(table, OLD_NAMES, where)
    table.clear()
    table.update(renamed)
    for (name, old), new in OLD_VALUES.items():
        if table.get(name) == old:
            table[name] = new
            line += f' {where}: {name} "{old}" is now "{new}". Old names are still read.'
    return line.strip()


def _base_names(path: Path, value: Any) -> list[str]:
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise VisError(f"is {shown(value)}", where=path, field=BASE, hint="Use the name of a file or a list of names.")
    return names


def _resolve_paths(raw: dict[str, Any], folder: Path) -> None:
    for table in _tables(raw, ("data", "validation")):
        for name in PATHS:
            if isinstance(table.get(name), str) and table[name]:
                table[name] = str(folder / table[name])


def _tables(raw: dict[str, Any], names: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return the tables with these names, and the entries of lists of tables."""
    parts = [raw.get(name) for name in names]
    entries = [entry for part in parts for entry in (part if isinstance(part, list) else [part])]
    return [entry for entry in entries if isinstance(entry, dict)]


def _merge(base: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """Merge tables recursively. Lists, such as `[[data]]`, replace the lists of the base."""
    merged = dict(base)
    for key, value in own.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merge(merged[key], value) if both else value
    return merged

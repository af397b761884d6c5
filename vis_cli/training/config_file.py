"""Read a training run's TOML file: every field checked by its type, a near name for every mistyped one.

Used by the trainer.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from vis_cli.errors import VisError
from vis_cli.files.limits import MAX_CATEGORIES, MAX_CONFIG_FILES, SHOWN_CHARACTERS
from vis_cli.files.names import printable
from vis_cli.files.reading import real_path
from vis_cli.files.toml_file import read_toml, replace_old_names
from vis_cli.hints import did_you_mean
from vis_cli.network.backbones import BACKBONES
from vis_cli.network.config import ModelConfig
from vis_cli.records.types import Category
from vis_cli.training.config import (
    OLD_NAMES,
    OptimConfig,
    ScheduleConfig,
    SourceConfig,
    TrainConfig,
    ValidationConfig,
    require_choice,
)

T = TypeVar("T")

BASE = "extends"  # the key that names a file, or several, whose fields hold where this one is silent; the last wins
PATHS = ("annotations", "more_annotations", "images")


def read_train_config(
    path: Path, *, data_root: Path | None = None, warn: Callable[[str], None] | None = None
) -> TrainConfig:
    """Read a run's TOML file.

    Args:
        path: of the file.
        data_root: folder that relative data paths are taken from; None: the folder of the file that names them.
        warn: called once with a line for each file that has old names of settings.

    Raises:
        VisError: the file is missing or not TOML, or a field is unknown, missing, of a wrong type or out of range.
    """
    raw = _TableReader(data_root, warn).read(path)
    with _named(f"{path}: "):
        return _build_config(raw)


def _build_config(raw: dict[str, Any]) -> TrainConfig:
    sources = tuple(_build(SourceConfig, entry, "[data] ") for entry in _tables(raw, "data"))
    if not sources:
        raise VisError("no [[data]] is given; name at least one dataset")
    parts: dict[str, Any] = {"data": sources}
    parts["schedule"] = tuple(_build(ScheduleConfig, entry, "[schedule] ") for entry in _tables(raw, "schedule"))
    parts["optim"] = _build(OptimConfig, _table(raw, "optim"), "[optim] ")
    parts["model"] = _build_model_config(_table(raw, "model"))
    if "validation" in raw:
        parts["validation"] = _build(ValidationConfig, _table(raw, "validation"), "[validation] ")
    config = _build(TrainConfig, {**raw, **parts}, "")
    for change in config.schedule:
        with _named("[schedule] "):
            config.changed(change)
    return config


def _build_model_config(fields: dict[str, Any]) -> ModelConfig:
    """Build the network's config; the category ids are 1..C in the order of their names."""
    names = fields.pop("categories", [])
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise VisError("[model] categories must be a list of names, at least one")
    if len(names) > MAX_CATEGORIES:
        raise VisError(f"[model] categories has {len(names):,} names. Use at most {MAX_CATEGORIES:,}")
    categories = tuple(Category(i, name) for i, name in enumerate(names, 1))
    config = _build(ModelConfig, {**fields, "categories": categories}, "[model] ")
    require_choice("[model] backbone", config.backbone, BACKBONES)
    return config


class _TableReader:
    """Read a file and the files that it extends; data paths become paths from here."""

    def __init__(self, data_root: Path | None, warn: Callable[[str], None] | None = None) -> None:
        self._data_root = data_root
        self._warn = warn
        self._num_files = 0

    def read(self, path: Path, above: tuple[Path, ...] = ()) -> dict[str, Any]:
        """Return the fields of a file; `above` are the files that extend it."""
        self._num_files += 1
        if self._num_files > MAX_CONFIG_FILES:
            raise VisError(
                f"{above[0]}: {BASE} leads to more than {MAX_CONFIG_FILES} files; a file counts each time that it is "
                "named. Merge some of the files."
            )
        raw = self._renamed(read_toml(path), path)
        resolved = real_path(path)
        if resolved in above:
            raise VisError(f"{path}: extends itself")
        _resolve_paths(raw, self._data_root or path.parent)
        merged: dict[str, Any] = {}
        for base in _base_names(path, raw.pop(BASE, [])):
            merged = _merge(merged, self.read(path.parent / base, (*above, resolved)))
        return _merge(merged, raw)

    def _renamed(self, raw: dict[str, Any], path: Path) -> dict[str, Any]:
        """Replace old names of settings in a file and in its tables."""
        raw, changes = replace_old_names(raw, OLD_NAMES, str(path))
        lines = [changes]
        for name in ("optim", "schedule"):
            given = raw.get(name)
            tables = [table for table in (given if isinstance(given, list) else [given]) if isinstance(table, dict)]
            for table in tables:
                renamed, changes = replace_old_names(table, OLD_NAMES, f"{path}: [{name}]")
                table.clear()
                table.update(renamed)
                lines.append(changes)
        if self._warn is not None and any(lines):
            self._warn(" ".join(filter(None, lines)))
        return raw


def _base_names(path: Path, value: Any) -> list[str]:
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise VisError(f"{path}: {BASE} is {_shown(value)}, but must be the name of a file or a list of them")
    return names


def _resolve_paths(raw: dict[str, Any], folder: Path) -> None:
    data, validation = raw.get("data"), raw.get("validation")
    tables = [entry for entry in data if isinstance(entry, dict)] if isinstance(data, list) else []
    tables += [validation] if isinstance(validation, dict) else []
    for table in tables:
        for name in PATHS:
            if isinstance(table.get(name), str) and table[name]:
                table[name] = str(folder / table[name])


def _merge(base: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """Lay tables over those of the base; lists, such as [[data]], replace them."""
    merged = dict(base)
    for key, value in own.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merge(merged[key], value) if both else value
    return merged


def _table(raw: dict[str, Any], name: str) -> dict[str, Any]:
    entry = raw.pop(name, {})
    if not isinstance(entry, dict):
        raise VisError(f"{name} must be written as a table: [{name}]")
    return entry


def _tables(raw: dict[str, Any], name: str) -> list[dict[str, Any]]:
    entries = raw.pop(name, [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise VisError(f"{name} must be written as [[{name}]], once for each")
    return entries


def _build(kind: type[T], fields: Mapping[str, Any], where: str) -> T:
    """Build a dataclass of a table's fields; `where` begins each complaint."""
    known = {f.name: f for f in dataclasses.fields(kind)}  # type: ignore[arg-type]
    hints = get_type_hints(kind)
    for name in fields:
        if name not in known:
            raise VisError(f"{where}has no field {printable(name)}. {did_you_mean(name, known)}")
    missing = [
        n
        for n, f in known.items()
        if n not in fields and f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
    ]
    if missing:
        raise VisError(f"{where}lacks the field {missing[0]}")
    values = {name: _convert(hints[name], value, f"{where}{name}") for name, value in fields.items()}
    with _named(where):
        return kind(**values)


@contextmanager
def _named(where: str) -> Iterator[None]:
    """Begin the message of a VisError with where it comes from."""
    try:
        yield
    except VisError as error:
        raise VisError(f"{where}{error}") from error


def _convert(hint: Any, value: Any, where: str) -> Any:
    """Return the value as its field's type has it: lists become tuples.

    Raises:
        VisError: it is of another type.
    """
    try:
        return _fit(hint, value)
    except TypeError:
        raise VisError(f"{where} is {_shown(value)}, but must be of type {_name(hint)}") from None


def _fit(hint: Any, value: Any) -> Any:
    origin, args = get_origin(hint), get_args(hint)
    if hint is Any:
        return value
    if origin in (Union, UnionType):
        return _fit_any(args, value)
    if origin is tuple and isinstance(value, (list, tuple)):
        hints = [args[0]] * len(value) if args[-1] is Ellipsis else list(args)
        if len(hints) == len(value):
            return tuple(_fit(part, item) for part, item in zip(hints, value, strict=True))
    elif origin is list and isinstance(value, list):
        return [_fit(args[0], item) for item in value]
    elif origin is dict and isinstance(value, dict):
        return {_fit(args[0], key): _fit(args[1], item) for key, item in value.items()}
    elif origin is Literal and value in args:
        return value
    elif hint is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    elif origin is None and isinstance(value, hint) and (hint is bool or not isinstance(value, bool)):
        return value
    raise TypeError


def _fit_any(hints: tuple[Any, ...], value: Any) -> Any:
    for hint in hints:
        try:
            return _fit(hint, value)
        except TypeError:
            continue
    raise TypeError


def _shown(value: Any) -> str:
    """Return a value of the file for a message, cut to a readable length."""
    return printable(repr(value), limit=SHOWN_CHARACTERS)


def _name(hint: Any) -> str:
    origin, args = get_origin(hint), [arg for arg in get_args(hint) if arg is not NoneType]
    if origin in (Union, UnionType):
        return " or ".join(_name(arg) for arg in args)
    if origin is tuple:
        return f"list of {_name(args[0])}" if args[-1] is Ellipsis else f"list of {len(args)} {_name(args[0])}"
    if origin is Literal:
        return " or ".join(repr(arg) for arg in args)
    if origin is list:
        return f"list of {_name(args[0])}"
    return "table" if origin is dict else getattr(hint, "__name__", str(hint))

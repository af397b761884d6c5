"""The TOML file next to an ONNX model: entries of its layout, and the names of its categories.

Used by `onnx_plan`. `detector.toml` belongs to `detector.onnx`.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vis_cli.errors import VisError
from vis_cli.files.limits import MAX_CATEGORIES, MAX_INPUT_SIDE
from vis_cli.files.names import is_unprintable, printable
from vis_cli.files.toml_file import read_toml
from vis_cli.hints import did_you_mean
from vis_cli.zoo.detectors.onnx_layouts import BATCH_COLUMNS, LAYOUTS, ROW_COLUMNS, Family, Layout

Check = Callable[[Any], bool]
MAX_NAME_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class Override:
    """The content of a TOML file, valid by itself. Without a file, it has no entries."""

    path: Path
    layout: str | None = None
    categories: tuple[str, ...] | None = None
    entries: dict[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def digest_text(self) -> str:
        """Return all entries as one string, empty without entries."""
        if self.layout is None and self.categories is None and not self.entries:
            return ""
        return json.dumps([self.layout, self.categories, self.entries], sort_keys=True)

    def apply(self, layout: Layout) -> Layout:
        """Return a layout with the entries of the file.

        Raises:
            VisError: An entry has no meaning for this layout.
        """
        for key in self.entries:
            families = ONLY_FOR.get(key)
            if families is not None and layout.family not in families:
                raise VisError(f"has no meaning for the layout {layout.name}", where=self.path, field=key, hint=REMOVE)
        return dataclasses.replace(layout, **self.entries)


REMOVE = "Remove this line."
ONLY_FOR: dict[str, tuple[Family, ...]] = {
    "activation": ("logits",),
    "columns": ("rows",),
    "box_format": ("rows", "labelled", "logits"),
    "box_units": ("rows", "labelled", "logits"),
}


def override_path(model: Path) -> Path:
    """Return the path of the TOML file of a model."""
    return model.with_suffix(".toml")


def read_override(model: Path) -> Override:
    """Read the TOML file next to a model.

    Raises:
        VisError: A key is unknown, or a value is not valid.
    """
    path = override_path(model)
    if not path.exists():
        return Override(path)
    raw = read_toml(path)
    for key, value in raw.items():
        if key not in FIELDS:
            shown = printable(key)
            raise VisError("is not a known key", where=path, field=shown, hint=did_you_mean(key, FIELDS))
        is_valid, expected = FIELDS[key]
        if not is_valid(value):
            shown = printable(json.dumps(value, default=str))
            raise VisError(f"is {shown}", where=path, field=key, hint=f"Use {expected}.")
    entries: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in raw.items()}
    layout, categories = entries.pop("layout", None), entries.pop("categories", None)
    return Override(path, layout, categories, entries)


def _one_of(*choices: object) -> tuple[Check, str]:
    def is_choice(value: Any) -> bool:
        return any(type(value) is type(choice) and value == choice for choice in choices)

    return is_choice, "one of: " + ", ".join(map(str, choices))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= 1e6


def _integers(low: int, high: int) -> Check:
    return lambda value: type(value) is int and low <= value <= high


def _list_of(check: Check, length: int | None = None) -> Check:
    def is_list(value: Any) -> bool:
        return isinstance(value, list) and (length is None or len(value) == length) and all(map(check, value))

    return is_list


def _is_categories(value: Any) -> bool:
    return _list_of(_is_name)(value) and 0 < len(value) <= MAX_CATEGORIES and len(set(value)) == len(value)


def _is_name(value: Any) -> bool:
    is_text = isinstance(value, str) and bool(value.strip()) and len(value) <= MAX_NAME_CHARACTERS
    return is_text and not any(map(is_unprintable, value))


def _is_columns(value: Any) -> bool:
    return _list_of(lambda name: isinstance(name, str))(value) and (
        sorted(value) in (sorted(ROW_COLUMNS), sorted(BATCH_COLUMNS))
    )


FIELDS: dict[str, tuple[Check, str]] = {
    "layout": _one_of(*LAYOUTS),
    "categories": (_is_categories, "a list of different names"),
    "input_size": (_list_of(_integers(1, MAX_INPUT_SIDE), 2), f"[height, width] from 1 to {MAX_INPUT_SIDE}"),
    "axes": _one_of("NCHW", "NHWC"),
    "channels": _one_of("rgb", "bgr"),
    "pixel_range": _one_of(1, 255),
    "mean": (_list_of(_is_number, 3), "three numbers in RGB order"),
    "std": (_list_of(lambda v: _is_number(v) and v > 0, 3), "three positive numbers in RGB order"),
    "resize": _one_of("letterbox", "squeeze", "fit", "none"),
    "pad_value": (_integers(0, 255), "an integer from 0 to 255"),
    "image_position": _one_of("top-left", "center"),
    "antialias": _one_of(True, False),
    "activation": _one_of("sigmoid", "softmax", "none"),
    "box_format": _one_of("xyxy", "cxcywh"),
    "box_units": _one_of("pixels", "normalized"),
    "columns": (_is_columns, f"a list of {', '.join(ROW_COLUMNS)}, and batch if there is such a column"),
    "first_label": (_integers(0, MAX_CATEGORIES), f"an integer from 0 to {MAX_CATEGORIES}"),
    "spare_classes": (_integers(0, MAX_CATEGORIES), f"an integer from 0 to {MAX_CATEGORIES}"),
}

"""Configuration of a model, stored in the metadata of its weights. This module does not import torch."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

from vis_cli.errors import VisError
from vis_cli.files.limits import MAX_CATEGORIES, MAX_CHANNELS, MAX_INPUT_SIDE, MAX_MASK_CONVS
from vis_cli.files.names import printable
from vis_cli.records.types import Category

BackboneName: TypeAlias = Literal["efficientnet_lite2", "r50", "r101", "x101"]  # backbones.BACKBONES builds them
BoxConventionName: TypeAlias = Literal["modern", "legacy"]  # box_conventions.py implements them
# Slope a and offset b of p = sigmoid(a * logit(score) + b): docs/explanation/scores.md
Calibration: TypeAlias = tuple[float, float]

RANGES: Mapping[str, tuple[int, int]] = {  # minimum and maximum of the integer fields
    "short_side": (1, MAX_INPUT_SIDE),
    "long_side": (1, MAX_INPUT_SIDE),
    "finest_box": (1, MAX_INPUT_SIDE),
    "fpn_channels": (1, MAX_CHANNELS),
    "box_channels": (1, MAX_CHANNELS),
    "mask_convs": (0, MAX_MASK_CONVS),
    "encoder_channels": (1, MAX_CHANNELS),
    "key_channels": (1, MAX_CHANNELS),
    "value_channels": (1, MAX_CHANNELS),
    "decoder_channels": (1, MAX_CHANNELS),
}
MAX_ID = 2**63 - 1  # of a category
MAX_CALIBRATION = 100  # slope and offset
MAX_PIXEL_VALUE = 1e6  # of mean and standard deviation; images have values from 0 to 255


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """Widths and categories of a Seq Mask R-CNN. The defaults are the values of the paper.

    See docs/explanation/authors-implementation.md#backbone-and-fpn and the sections after it.
    """

    name: str
    backbone: str  # one of BackboneName
    categories: tuple[Category, ...]  # label i is categories[i - 1]
    short_side: int = 360  # input size in pixels
    long_side: int = 640
    box_convention: BoxConventionName = "modern"  # "legacy" for the authors' checkpoints: box_conventions.py
    # RGB 0..255: docs/explanation/authors-implementation.md#fact-1
    pixel_mean: tuple[float, float, float] = (123.675, 116.28, 103.53)
    pixel_std: tuple[float, float, float] = (58.395, 57.12, 57.375)
    fpn_channels: int = 256
    box_channels: int = 1024  # width of the two fully connected layers of the box head
    mask_convs: int = 4
    class_specific: bool = True  # box regression and mask per class, instead of one for all classes
    encoder_channels: int = 512  # Seq-Prop head: second residual block of memorize and query
    key_channels: int = 64
    value_channels: int = 256
    decoder_channels: int = 256
    # The detector has a separate FPN for P3 to P6. Propagation reads P2 of the first FPN.
    detector_fpn: bool = False
    # It converts a score of the preset `default` to the probability that the instance is correct. None: not measured.
    calibration: Calibration | None = None
    # An included detector that finds the boxes for `vis segment` instead of the RPN and the box head. None: they do.
    detector: str | None = None
    finest_box: int = 112  # pixels: the box head pools boxes up to this side from P2, up to twice as large from P3

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            VisError: A value is outside of its range.
        """
        for name, (low, high) in RANGES.items():
            if not low <= getattr(self, name) <= high:
                raise VisError(f"{name} is {getattr(self, name)}. Use a value from {low} to {high:,}")
        for name in ("pixel_mean", "pixel_std"):
            if not all(abs(value) <= MAX_PIXEL_VALUE for value in getattr(self, name)):
                raise VisError(f"{name} is {list(getattr(self, name))}. Use values up to {MAX_PIXEL_VALUE:,.0f}")
        if min(self.pixel_std) <= 0.0:
            raise VisError(f"pixel_std is {list(self.pixel_std)}, but must be above 0")
        slope, offset = self.calibration or (1.0, 0.0)
        if not 0 < slope <= MAX_CALIBRATION or abs(offset) > MAX_CALIBRATION:
            raise VisError(
                f"calibration has the slope {slope} and the offset {offset}. Use a slope above 0, and values up to "
                f"{MAX_CALIBRATION}"
            )
        if self.box_convention not in get_args(BoxConventionName):
            known = " or ".join(get_args(BoxConventionName))
            raise VisError(f"box_convention is {printable(repr(self.box_convention))}, but must be {known}")
        if not 1 <= self.num_classes <= MAX_CATEGORIES:
            raise VisError(f"categories has {self.num_classes:,} names. Use from 1 to {MAX_CATEGORIES:,}")
        names = [category.name for category in self.categories]
        if len(set(names)) < len(names):
            twice, _ = Counter(names).most_common(1)[0]
            raise VisError(f"categories names {printable(twice)} more than once")

    @property
    def num_classes(self) -> int:
        """Count the classes without background (C)."""
        return len(self.categories)

    def to_json(self) -> str:
        """Return the config as one JSON object."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> ModelConfig:
        """Build the config that `to_json` wrote.

        Raises:
            ValueError: the text is not such a JSON object.
        """
        try:
            fields: Any = json.loads(text)
        except RecursionError as error:
            raise ValueError("not a model config: nested too deeply") from error
        if not isinstance(fields, dict) or not isinstance(fields.get("categories"), list):
            raise ValueError("not a model config: not an object with categories")
        try:
            fields["categories"] = tuple(_category(category) for category in fields["categories"])
            known = {field.name: field for field in dataclasses.fields(cls)}
            return cls(**{name: _typed(known, name, value) for name, value in fields.items()})
        except (TypeError, VisError) as error:
            raise ValueError(f"not a model config: {error}") from error


def _typed(known: Mapping[str, dataclasses.Field[Any]], name: str, value: Any) -> Any:
    """Return a field's value if its type is right.

    Raises:
        TypeError: There is no such field, or the value has another type.
    """
    if name not in known:
        raise TypeError(f"it has no field {printable(name)}")
    kind = str(known[name].type)  # annotations are strings here
    if kind == "int":
        fits = isinstance(value, int) and not isinstance(value, bool)
    elif kind == "bool":
        fits = isinstance(value, bool)
    elif kind.startswith("Calibration"):
        fits = value is None or (isinstance(value, list) and len(value) == 2 and all(map(_is_number, value)))
        value = tuple(value) if fits and value is not None else value
    elif kind == "str | None":
        fits = value is None or isinstance(value, str)
    elif kind.startswith("tuple[float"):
        fits = isinstance(value, list) and len(value) == 3 and all(map(_is_number, value))
        value = tuple(value) if fits else value
    else:
        fits = isinstance(value, tuple if name == "categories" else str)
    if not fits:
        raise TypeError(f"{name} is {printable(repr(value))}")
    return value


def _category(fields: Any) -> Category:
    if isinstance(fields, dict) and fields.keys() == {"id", "name"}:
        number, name = fields["id"], fields["name"]
        if isinstance(number, int) and not isinstance(number, bool) and abs(number) <= MAX_ID and isinstance(name, str):
            return Category(number, name)
    raise TypeError(f"a category is {printable(repr(fields))}")


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= MAX_PIXEL_VALUE

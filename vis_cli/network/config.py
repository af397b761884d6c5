"""What makes one model differ from another; stored in its weights' metadata, read by `weights` and `seq_mask_rcnn`."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import Any

from vis_cli.errors import VisError
from vis_cli.network.box_conventions import BoxConventionName
from vis_cli.records.types import Category

SIZES = (  # fields that count pixels or channels
    "short_side",
    "long_side",
    "fpn_channels",
    "box_channels",
    "encoder_channels",
    "key_channels",
    "value_channels",
    "decoder_channels",
)


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """Hold the widths and the categories of a Seq Mask R-CNN; the defaults are the paper's.

    See docs/explanation/authors-implementation.md#backbone-and-fpn and the sections after it.
    """

    name: str
    backbone: str  # a key of backbones.BACKBONES
    categories: tuple[Category, ...]  # label i is categories[i - 1]
    short_side: int = 360  # working size in pixels
    long_side: int = 640
    box_convention: BoxConventionName = "modern"  # "legacy" for the authors' checkpoints: box_conventions.py
    # RGB 0..255: docs/explanation/authors-implementation.md#fact-1
    pixel_mean: tuple[float, float, float] = (123.675, 116.28, 103.53)
    pixel_std: tuple[float, float, float] = (58.395, 57.12, 57.375)
    fpn_channels: int = 256
    box_channels: int = 1024  # width of the two fully connected layers of the box head
    mask_convs: int = 4
    class_specific: bool = True  # one box regression and one mask channel a class, instead of one for all
    encoder_channels: int = 512  # Seq-Prop head: second residual block of memorize and query
    key_channels: int = 64
    value_channels: int = 256
    decoder_channels: int = 256

    def __post_init__(self) -> None:
        """Refuse values outside their range with a VisError that names the field."""
        for name in SIZES:
            if getattr(self, name) < 1:
                raise VisError(f"{name} is {getattr(self, name)}, but must be at least 1")
        if self.mask_convs < 0:
            raise VisError(f"mask_convs is {self.mask_convs}, but must not be below 0")
        if min(self.pixel_std) <= 0.0:
            raise VisError(f"pixel_std is {list(self.pixel_std)}, but must be above 0")
        names = [category.name for category in self.categories]
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise VisError(f"categories names {twice} more than once")

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
        fields: dict[str, Any] = json.loads(text)
        try:
            categories = tuple(Category(**category) for category in fields.pop("categories"))
            mean, std = (tuple(fields.pop(name)) for name in ("pixel_mean", "pixel_std"))
            return cls(categories=categories, pixel_mean=mean, pixel_std=std, **fields)
        except (KeyError, TypeError, VisError) as error:
            raise ValueError(f"not a model config: {error}") from error

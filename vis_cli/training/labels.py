"""Mapping from the categories of a dataset to the labels of a model. Used by `datasets` and `category_maps`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import torch
from torch import Tensor

from vis_cli.errors import VisError
from vis_cli.hints import nearest
from vis_cli.records.categories import plain_name

ANY_SOURCE = "*"  # all image collections that the table does not name
ANY_OBJECT = "object"  # category for all objects without another category of the model


@dataclass(frozen=True, slots=True)
class LabelMap:
    """Mapping from category names to the labels 1..C of a model."""

    names: tuple[str, ...]  # label i is names[i - 1]
    # Image collection to the only categories labelled in it; "" stands for images without a collection. A collection
    # that is missing here labels all categories.
    labelled_by_source: Mapping[str, Sequence[str]] = field(default_factory=dict)
    renames: Mapping[str, str] | None = None  # plain names of the dataset to names of the model; others have no label
    one_class: bool = False  # all objects have label 1

    def __post_init__(self) -> None:
        """Check that the model has all categories.

        Raises:
            VisError: The model has no category of a name.
        """
        for source, names in self.labelled_by_source.items():
            unknown = [name for name in names if name not in self.names]
            if unknown:
                raise VisError(f"labelled: {source}: the model has no category {unknown[0]!r}. Use names of the model.")
        for name, target in (self.renames or {}).items():
            if self._find(target) is None:
                raise VisError(f"category_map: {name}: the model has no category {target!r}. Use a name of the model.")

    def label(self, category: str) -> int | None:
        """Return the label of a category.

        A category that the model does not have gets the label of 'object', if the model has this category.
        """
        if self.one_class:
            return 1
        if self.renames is not None:
            target = self.renames.get(plain_name(category))
            return None if target is None else self._find(target)
        return self._find(category) or self._find(ANY_OBJECT)

    def labelled(self, source: str) -> Tensor:
        """Return the labels that an image collection labels completely, (C+1,) bool. Index 0 stands for all labels."""
        names = self.labelled_by_source.get(source, self.labelled_by_source.get(ANY_SOURCE))
        if names is None:
            return torch.ones(len(self.names) + 1, dtype=torch.bool)
        return torch.tensor([False, *(name in names for name in self.names)])

    def require_known(self, categories: Iterable[str], where: str) -> None:
        """Check that all categories of a dataset have a label.

        Raises:
            VisError: A category has no label. The message suggests a similar name.
        """
        unknown = sorted({name for name in categories if self.label(name) is None})
        if unknown:
            near = nearest(unknown[0], self.names, cutoff=0.7)
            meant = f"Did you mean {near!r}? " if near else ""
            more = f" and {len(unknown) - 1} more" if len(unknown) > 1 else ""
            raise VisError(
                f"cannot train on {where}: the model has no category {unknown[0]!r}{more}. {meant}Map it with "
                'category_map, or set unmapped = "background".'
            )

    def _find(self, name: str) -> int | None:
        return _index(self.names).get(plain_name(name))


@lru_cache(maxsize=8)
def _index(names: tuple[str, ...]) -> dict[str, int]:
    return {plain_name(name): label for label, name in reversed(list(enumerate(names, 1)))}

"""Names of a data set's categories brought to the labels of a model; used by `datasets`, made by `sources`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import torch
from torch import Tensor

from vis_cli.errors import VisError
from vis_cli.hints import nearest
from vis_cli.records.categories import plain_name

ANY_SOURCE = "*"  # stands for every source of images that is not named
ANY_OBJECT = "object"  # the category that stands for whatever the model has no name for


@dataclass(frozen=True, slots=True)
class LabelMap:
    """Bring the categories of data sets to the labels 1..C of a model, by name."""

    names: tuple[str, ...]  # label i is names[i - 1]
    # Source -> the only names labelled there; "" are pictures that name no source. One not here labels everything.
    labelled_by_source: Mapping[str, Sequence[str]] = field(default_factory=dict)
    renames: Mapping[str, str] | None = None  # the data set's plain names -> the model's; others mean nothing then
    one_class: bool = False  # everything is label 1

    def __post_init__(self) -> None:
        """Refuse names that no category has.

        Raises:
            VisError: a name is unknown.
        """
        for source, names in self.labelled_by_source.items():
            unknown = [name for name in names if name not in self.names]
            if unknown:
                raise VisError(f"labelled: {source} names '{unknown[0]}', which is no category of the model")
        for name, target in (self.renames or {}).items():
            if self._find(target) is None:
                raise VisError(f"category_map: {name} becomes {target!r}, which is no category of the model")

    def label(self, category: str) -> int | None:
        """Return the label of a category, that of 'object' if the model does not know it, None without either."""
        if self.one_class:
            return 1
        if self.renames is not None:
            target = self.renames.get(plain_name(category))
            return None if target is None else self._find(target)
        return self._find(category) or self._find(ANY_OBJECT)

    def labelled(self, source: str) -> Tensor:
        """Return the (C+1,) bool tensor of the labels that `source` labels exhaustively; index 0: all of them."""
        names = self.labelled_by_source.get(source, self.labelled_by_source.get(ANY_SOURCE))
        if names is None:
            return torch.ones(len(self.names) + 1, dtype=torch.bool)
        return torch.tensor([False, *(name in names for name in self.names)])

    def require_known(self, categories: Iterable[str], where: str) -> None:
        """Require that every category used in a data set has a label.

        Raises:
            VisError: one has none; what could be meant is said.
        """
        unknown = sorted({name for name in categories if self.label(name) is None})
        if unknown:
            near = nearest(unknown[0], self.names, cutoff=0.7)
            meant = f" (is {near!r} meant?)" if near else ""
            more = f" and {len(unknown) - 1} more" if len(unknown) > 1 else ""
            raise VisError(
                f"{where}: category {unknown[0]!r}{more} is not among the model's{meant}; map it with category_map, or "
                'give unmapped = "background"'
            )

    def _find(self, name: str) -> int | None:
        return _index(self.names).get(plain_name(name))


@lru_cache(maxsize=8)
def _index(names: tuple[str, ...]) -> dict[str, int]:
    return {plain_name(name): label for label, name in reversed(list(enumerate(names, 1)))}

"""Comparison of a result with annotations, as a report page shows it.

`metrics.report_comparison` computes it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vis_cli.records.rle import Rle


@dataclass(frozen=True, slots=True)
class ObjectComparison:
    """One object of the ground truth, and the instance that is matched with it."""

    id: int
    category: str
    instance_id: int | None  # None: no instance overlaps the object
    region: tuple[float | None, ...]  # J in each frame, from 0 to 1; None where neither mask is visible
    segmentations: Sequence[Rle | None]

    @property
    def mean(self) -> float:
        """Return the mean of J over the frames that show the object or its instance; 0 without such a frame."""
        known = [value for value in self.region if value is not None]
        return sum(known) / len(known) if known else 0.0


@dataclass(frozen=True, slots=True)
class ErrorRow:
    """One kind of error of the confident instances, or the correct ones."""

    kind: str
    meaning: str
    instance_ids: tuple[int, ...]  # empty for missed objects
    object_ids: tuple[int, ...]  # only for missed objects

    @property
    def count(self) -> int:
        """Return the number of instances or objects."""
        return len(self.instance_ids) + len(self.object_ids)


@dataclass(frozen=True, slots=True)
class WorstFrame:
    """A frame in the order of its J."""

    frame: int
    mean: float  # of J over the objects of the frame
    object_id: int  # the object with the lowest J
    lowest: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """All objects of the video, except crowds."""

    source: str  # name of the annotation file
    objects: tuple[ObjectComparison, ...]
    errors: tuple[ErrorRow, ...]
    kinds: Mapping[int, str]  # kind of each confident instance by id: an error, or CORRECT
    worst: tuple[WorstFrame, ...]  # the lowest mean first

    @property
    def mean(self) -> float | None:
        """Return the mean of J over the objects, None without objects."""
        return sum(item.mean for item in self.objects) / len(self.objects) if self.objects else None

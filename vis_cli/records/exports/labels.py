"""Numbers of category names from 0, for the formats whose labels have no ids of a dataset.

Used by `yolo_seg` and `datumaro`.
"""

from __future__ import annotations

from vis_cli.records.categories import UNNAMED
from vis_cli.records.exports.clip import Clip
from vis_cli.records.types import InstanceSequence


class LabelNumbers:
    """Labels of all clips, in the order of the categories of the results."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}

    def add(self, clip: Clip) -> None:
        """Number the categories of a clip: all that its result lists, also without an instance."""
        for category in clip.result.categories:
            self.numbers.setdefault(category.name, len(self.numbers))
        if any(instance.category_id is None for instance in clip.instances):
            self.numbers.setdefault(UNNAMED, len(self.numbers))

    def of(self, clip: Clip, instance: InstanceSequence) -> int:
        """Return the label of an instance of an added clip."""
        return self.numbers[clip.category_of(instance)]

"""Categories of an export without a split: the ids of the results where possible.

Used by `coco_video` and `coco`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import count

from vis_cli.errors import VisError
from vis_cli.files.names import printable
from vis_cli.records.categories import UNNAMED
from vis_cli.records.json_fields import shown
from vis_cli.records.types import Category, InstanceSequence, VideoResult


class OwnCategories:
    """Categories by their ids in an export. An id that belongs to given objects is not an id of a dataset."""

    def __init__(self) -> None:
        self.names: dict[int, str] = {}
        self._replaceable: set[int] = set()  # ids that are not ids of a dataset

    def ids_of(self, result: VideoResult, instances: Iterable[InstanceSequence]) -> dict[int | None, int]:
        """Add the categories of a result, and return their ids in the export by the ids of the result.

        Instances without a category get the category UNNAMED.

        Raises:
            VisError: Two results of detected objects use one id for different names.
        """
        where, is_given = printable(result.video.name), result.given_masks is not None
        taken = [category.id for category in result.categories]
        ids: dict[int | None, int] = {
            category.id: self._add(category, taken, where, is_given=is_given) for category in result.categories
        }
        if any(instance.category_id is None for instance in instances):
            ids[None] = self._add(Category(1, UNNAMED), taken, where, is_given=True)
        return ids

    def to_json(self) -> list[dict[str, object]]:
        """Return all categories in the order of their ids."""
        return [{"id": key, "name": name} for key, name in sorted(self.names.items())]

    def _add(self, category: Category, taken: Sequence[int], where: str, *, is_given: bool) -> int:
        """Return the id of a category in the file: its own id, unless another category has this id.

        In a conflict with an id of given objects, the id of the same name or the lowest free id is used.

        Args:
            category: A category of a result.
            taken: Ids of all categories of this result.
            where: Name of its video, for the error message.
            is_given: Whether the user gave the objects of this category.

        Raises:
            VisError: Two results of detected objects use the id for different names.
        """
        id_, name = category.id, category.name
        if self.names.get(id_) == name:
            return id_
        for known in self.names if is_given else self._replaceable:
            if self.names[known] == name:
                return known
        if id_ in self.names:
            if not is_given and id_ not in self._replaceable:
                problem = f"category {id_} is {shown(name)} here, but {shown(self.names[id_])} in a previous result"
                raise VisError(problem, where=where, hint="Use --split FILE to take the ids of a split.")
            id_ = next(free for free in count(1) if free not in self.names and free not in taken)
            is_given = True
        self.names[id_] = name
        if is_given:
            self._replaceable.add(id_)
        return id_

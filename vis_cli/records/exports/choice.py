"""Selection of instances, frames and category names for an export.

Used by `commands.export`. `selection` selects by score, this module in addition by id, category and frame.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from vis_cli.records.categories import UNNAMED, CategoryMap, plain_name
from vis_cli.records.exports.clip import Clip
from vis_cli.records.part import PartRequest, VideoPart
from vis_cli.records.selection import Selection
from vis_cli.records.types import Category, InstanceSequence, VideoInfo, VideoResult


@dataclass(frozen=True, slots=True)
class Only:
    """Instances to export: the union of some ids and some categories. If both are empty, all instances."""

    ids: frozenset[int] = frozenset()
    names: tuple[str, ...] = ()  # names or synonyms of categories; `object` is also an instance without a category

    def instances(self, result: VideoResult) -> list[InstanceSequence]:
        """Return the instances with one of the ids or categories."""
        if not self.ids and not self.names:
            return list(result.instances)
        categories = self._categories(result)
        return [item for item in result.instances if item.id in self.ids or item.category_id in categories]

    def unknown(self, results: Iterable[VideoResult]) -> tuple[list[str], set[str]]:
        """Return the ids and names that no result knows, and the names of the categories of instances."""
        ids, names, used = set(self.ids), set(self.names), set[str]()
        for result in results:
            ids -= {instance.id for instance in result.instances}
            categories = CategoryMap(result.categories)
            names = {name for name in names if plain_name(name) != UNNAMED and categories.find(name) is None}
            by_id = {category.id: category.name for category in result.categories}
            used |= {by_id.get(instance.category_id or 0, UNNAMED) for instance in result.instances}
        return [*map(str, sorted(ids)), *sorted(names)], used

    def _categories(self, result: VideoResult) -> set[int | None]:
        known = CategoryMap(result.categories)
        found = {known.find(name) for name in self.names} - {None}
        equal = {plain_name(category.name) for category in result.categories if category.id in found}
        ids: set[int | None] = {category.id for category in result.categories if plain_name(category.name) in equal}
        return ids | ({None} if UNNAMED in map(plain_name, self.names) else set())


@dataclass(frozen=True, slots=True)
class Choice:
    """Contents of an export."""

    selection: Selection = field(default_factory=Selection)
    only: Only = field(default_factory=Only)
    every: int = 1  # every n-th frame, from frame 0
    renamed: Mapping[str, str] = field(default_factory=dict)  # new name of a category by its `plain_name`

    def clip(self, result: VideoResult) -> Clip:
        """Return the selected part of a result."""
        chosen = dataclasses.replace(result, instances=tuple(self.only.instances(result)))
        selected = dataclasses.replace(chosen, instances=tuple(self.selection.instances(chosen)))
        frames = result.video.frame_numbers[:: self.every]
        return Clip(_with_frames(self._with_names(selected), self.every), frames)

    def _with_names(self, result: VideoResult) -> VideoResult:
        """Rename the categories. Categories that get the same name become one category."""
        if not self.renamed:
            return result
        kept: dict[str, int] = {}
        ids: dict[int | None, int | None] = {None: None}
        for category in result.categories:
            name = self.renamed.get(plain_name(category.name), category.name)
            ids[category.id] = kept.setdefault(name, category.id)
        instances = (_with_categories(item, ids) for item in result.instances)
        categories = tuple(Category(id_, name) for name, id_ in kept.items())
        return dataclasses.replace(result, categories=categories, instances=tuple(instances))


def _with_categories(instance: InstanceSequence, ids: Mapping[int | None, int | None]) -> InstanceSequence:
    scores: dict[int, float] = {}
    for category, score in instance.category_scores.items():
        kept = ids[category]
        if kept is not None:
            scores[kept] = max(score, scores.get(kept, 0.0))
    return dataclasses.replace(instance, category_id=ids[instance.category_id], category_scores=scores)


def _with_frames(result: VideoResult, every: int) -> VideoResult:
    """Return a result with every n-th frame. Frames without a name get their number as name, so that it is kept."""
    if every == 1:
        return result
    video, part = result.video, slice(None, None, every)
    frames = video.frame_numbers
    names = video.frame_names or tuple(f"{number:05d}.jpg" for number in frames)
    request = PartRequest(every=frames.step * every)
    info: VideoInfo = dataclasses.replace(
        video,
        num_frames=len(frames[part]),
        part=VideoPart(frames.start, frames.stop, request, video.part is None or video.part.ends_with_video),
        frame_names=names[part],
        timestamps=None if video.timestamps is None else video.timestamps[part],
    )
    instances = (dataclasses.replace(item, segmentations=item.segmentations[part]) for item in result.instances)
    shots = ((-(-first // every), last // every) for first, last in result.shots)
    kept = tuple((first, last) for first, last in shots if first <= last)
    return dataclasses.replace(result, video=info, instances=tuple(instances), shots=kept)

"""Selection of the instances and categories of a result that an export contains.

Used by every export.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vis_cli.records.categories import CategoryMap
from vis_cli.records.types import InstanceSequence, VideoResult


@dataclass(frozen=True, slots=True)
class Selection:
    """Limits of a selection. None means no limit."""

    min_score: float = 0.0  # of an instance and of each of its categories, from 0 to 1
    top: int | None = None  # maximum number of instances per video
    max_categories: int | None = None  # maximum number of categories per instance

    def limited(self, max_instances: int | None) -> Selection:
        """Return the same selection with at most `max_instances` instances per video."""
        if max_instances is None:
            return self
        return dataclasses.replace(self, top=min(self.top or max_instances, max_instances))

    def instances(self, result: VideoResult) -> list[InstanceSequence]:
        """Return the selected instances of a video in the order of the result. The first instance wins a tie."""
        scored = [instance for instance in result.instances if instance.score >= self.min_score]
        kept = {instance.id for instance in rank_instances(scored)[: self.top]}
        return [instance for instance in scored if instance.id in kept]

    def categories(
        self, instance: InstanceSequence, names: Mapping[int | None, str], known: CategoryMap
    ) -> list[tuple[int, float]]:
        """Return the ids and scores of the selected categories of an instance, highest score first.

        If several categories of the result map to the same category, the highest score counts.

        Args:
            instance: The instance.
            names: Names of the result's categories, from `category_names`.
            known: The categories of the target dataset. Other categories are omitted.
        """
        scores: dict[int | None, float] = {instance.category_id: instance.score}
        scores.update(instance.category_scores.items())
        ranked: dict[int, float] = {}
        for category, score in sorted(scores.items(), key=lambda item: (-item[1], item[0] or 0)):
            if score >= self.min_score and score > 0.0:
                found = known.find(names[category])
                if found is not None:
                    ranked.setdefault(found, score)
        return list(ranked.items())[: self.max_categories]


def rank_instances(instances: Sequence[InstanceSequence]) -> list[InstanceSequence]:
    """Sort instances by descending score. Instances of equal score keep their order."""
    return sorted(instances, key=lambda instance: -instance.score)

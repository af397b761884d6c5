"""Which of a result's instances and categories an export takes.

Used by every export.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from vis_cli.records.categories import CategoryMap
from vis_cli.records.types import InstanceSequence, VideoResult


@dataclass(frozen=True, slots=True)
class Selection:
    """Hold what is taken; None means all."""

    min_score: float = 0.0  # of an instance, and of each of its categories
    top: int | None = None  # instances a video
    max_categories: int | None = None  # an instance

    def limited(self, most: int | None) -> Selection:
        """Return the same selection with at most so many instances per video."""
        return self if most is None else dataclasses.replace(self, top=min(self.top or most, most))

    def instances(self, result: VideoResult) -> list[InstanceSequence]:
        """Return the best instances of a video, in the result's order; of equal scores the earlier count as better."""
        scored = [instance for instance in result.instances if instance.score >= self.min_score]
        kept = {instance.id for instance in rank_instances(scored)[: self.top]}
        return [instance for instance in scored if instance.id in kept]

    def categories(
        self, instance: InstanceSequence, names: dict[int, str], known: CategoryMap
    ) -> list[tuple[int, float]]:
        """Return the ids of the best categories that are `known`, with their scores, best first.

        Of several categories that mean the same one, the best stands for it.

        Args:
            instance: whose categories are ranked.
            names: of the result's categories, by id.
            known: the categories of the data set to export for.
        """
        scores = {instance.category_id: instance.score} | instance.category_scores
        ranked: dict[int, float] = {}
        for category, score in sorted(scores.items(), key=lambda item: (-item[1], item[0])):
            if score >= self.min_score and score > 0.0:
                found = known.find(names[category])
                if found is not None:
                    ranked.setdefault(found, score)
        return list(ranked.items())[: self.max_categories]


def rank_instances(instances: Sequence[InstanceSequence]) -> list[InstanceSequence]:
    """Sort by score, the best first; equal ones keep their order."""
    return sorted(instances, key=lambda instance: -instance.score)

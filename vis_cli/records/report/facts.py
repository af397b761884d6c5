"""Facts about the instances of a result that a report page shows: frames, gaps, areas, categories and colours.

Used by `pages`, `thumbnails` and `mask_text`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vis_cli.records.categories import UNNAMED, category_names
from vis_cli.records.exports.clip import Clip
from vis_cli.records.exports.measures import Measures, measure
from vis_cli.records.exports.tables import instance_lines
from vis_cli.records.instance_colors import assign_colors
from vis_cli.records.palette import Color
from vis_cli.records.types import InstanceSequence, VideoResult

PROFILE_BINS = 2000  # maximum number of values in a timeline; screens are not wider
PROFILE_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_"
MAX_SCORES = 5  # categories of an instance that the page lists


@dataclass(frozen=True, slots=True)
class InstanceFacts:
    """One instance as the page shows it. Frames are indices in the video."""

    instance: InstanceSequence
    measures: Measures
    category: str
    color: Color
    gaps: tuple[tuple[int, int], ...]  # first and last frame of each absence between two visible frames
    profile: str  # one of PROFILE_DIGITS per bin of frames: the largest area, relative to the largest of the instance
    scores: tuple[tuple[str, float], ...]  # the best categories, highest score first
    csv: str  # line of the table of instances

    @property
    def first(self) -> int | None:
        """Return the first visible frame, None if no frame shows the object."""
        visible = self.measures.visible
        return int(visible[0]) if len(visible) else None

    @property
    def last(self) -> int | None:
        """Return the last visible frame."""
        visible = self.measures.visible
        return int(visible[-1]) if len(visible) else None

    @property
    def num_visible(self) -> int:
        """Return the number of frames that show the object."""
        return len(self.measures.visible)

    @property
    def mean_area(self) -> int | None:
        """Return the mean area in pixels over the visible frames, rounded."""
        visible = self.measures.visible
        return round(float(self.measures.areas[visible].mean())) if len(visible) else None

    @property
    def hex_color(self) -> str:
        """Return the colour for CSS."""
        return "#{:02x}{:02x}{:02x}".format(*self.color)

    @property
    def pictured_frame(self) -> int | None:
        """Return the frame with the largest area, which the thumbnail shows; None if no frame shows the object."""
        areas = self.measures.areas
        return int(areas.argmax()) if areas.any() else None


@dataclass(frozen=True, slots=True)
class ReportFacts:
    """A result and the instances that its page shows."""

    result: VideoResult
    instances: tuple[InstanceFacts, ...]
    csv_header: str

    @property
    def num_unlikely(self) -> int:
        """Return the number of instances that are not confident."""
        return sum(not item.instance.confident for item in self.instances)

    @property
    def seconds(self) -> float | None:
        """Return the duration from the first frame to the end of the last one, None if the frame rate is unknown."""
        video = self.result.video
        step = video.frame_numbers.step / video.fps if video.fps > 0 else None  # with --every N, each N-th frame
        if video.timestamps:
            return video.timestamps[-1] - video.timestamps[0] + (step or 0.0)
        return None if step is None else video.num_frames * step


def gather_facts(result: VideoResult, min_score: float = 0.0) -> ReportFacts:
    """Return the facts about the instances with a score of at least `min_score`. All instances count for colours."""
    chosen = tuple(instance for instance in result.instances if instance.score >= min_score)
    names = category_names(result.categories)
    colors = assign_colors(result.instances, min(result.video.width, result.video.height))
    measured = [measure(instance.segmentations) for instance in chosen]
    clip = Clip(dataclasses.replace(result, instances=chosen), result.video.frame_numbers)
    header, *lines = instance_lines(clip, measured)
    facts = tuple(
        InstanceFacts(
            instance=instance,
            measures=measures,
            category=names[instance.category_id],
            color=colors[instance.id],
            gaps=find_gaps(measures.visible),
            profile=area_profile(measures.areas),
            scores=_best_scores(instance, names),
            csv=line,
        )
        for instance, measures, line in zip(chosen, measured, lines, strict=True)
    )
    return ReportFacts(result, facts, header)


def find_gaps(visible: NDArray[np.intp]) -> tuple[tuple[int, int], ...]:
    """Return the first and last frame of each gap between visible frames, which are in ascending order."""
    before = np.flatnonzero(np.diff(visible) > 1)
    return tuple((int(visible[index]) + 1, int(visible[index + 1]) - 1) for index in before)


def area_profile(areas: NDArray[np.int64]) -> str:
    """Return the areas as one digit per bin of frames, 0 only where no frame of the bin shows the object."""
    if len(areas) == 0 or not areas.any():
        return ""
    starts = np.arange(min(len(areas), PROFILE_BINS)) * len(areas) // min(len(areas), PROFILE_BINS)
    largest = np.maximum.reduceat(areas, starts)
    levels = np.ceil(largest * (len(PROFILE_DIGITS) - 1) / areas.max()).astype(np.intp)
    return "".join(PROFILE_DIGITS[level] for level in levels.tolist())


def _best_scores(instance: InstanceSequence, names: Mapping[int | None, str]) -> tuple[tuple[str, float], ...]:
    ranked = sorted(instance.category_scores.items(), key=lambda item: -item[1])
    return tuple((names.get(category, UNNAMED), score) for category, score in ranked[:MAX_SCORES])


def frame_times(facts: ReportFacts) -> Sequence[float] | None:
    """Return the timestamp of each frame in seconds, None if the frame rate is unknown."""
    video = facts.result.video
    if video.timestamps is not None:
        return video.timestamps
    return [frame / video.fps for frame in range(video.num_frames)] if video.fps > 0 else None

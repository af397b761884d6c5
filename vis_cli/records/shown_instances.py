"""Selection of the instances that overlay videos and tables show, and its description in an overlay video.

Used by `vis segment` and `vis render`. Results, exports and scores contain all instances.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from vis_cli.errors import VisError
from vis_cli.records.container import opened_container
from vis_cli.records.result_summary import InstanceSummary
from vis_cli.records.types import InstanceSequence

Instance = TypeVar("Instance", InstanceSequence, InstanceSummary)

DRAWN_BY = "vis segment: "  # start of the comment in an overlay video


def shown_instances(instances: Sequence[Instance], min_score: float | None) -> list[Instance]:
    """Return the instances with a score of at least `min_score`. If it is None, return the confident instances."""
    if min_score is None:
        return [instance for instance in instances if instance.confident]
    return [instance for instance in instances if instance.score >= min_score]


def shows_selection(overlay: Path, min_score: float | None) -> bool:
    """Return whether an existing overlay video shows the selected instances.

    Earlier versions of `vis segment`, `vis render` and other programs do not describe a selection. Such a video is
    accepted unless the user selects instances by score.
    """
    drawn = _read_description(overlay)
    return min_score is None if drawn is None else drawn == describe_selection(min_score)


def describe_selection(min_score: float | None) -> str:
    """Return the comment in the metadata of an overlay video that `vis segment` draws."""
    selection = "confident instances" if min_score is None else f"instances with a score of at least {min_score!r}"
    return f"{DRAWN_BY}{selection}"


def _read_description(overlay: Path) -> str | None:
    """Return the description of the selection. None: the file does not have it, or is damaged."""
    try:
        with opened_container(overlay) as container:
            comment = container.metadata.get("comment", "")
    except (VisError, OSError):
        return None
    return comment if comment.startswith(DRAWN_BY) else None

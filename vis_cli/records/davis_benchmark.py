"""The part of a DAVIS folder that an evaluation needs: true masks, frames and the sequences of one split.

Used by `eval`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vis_cli.errors import VisError
from vis_cli.records.davis import list_sequences
from vis_cli.records.davis_layout import (
    ANNOTATIONS,
    RESOLUTIONS,
    Task,
    find_davis_folders,
    find_davis_masks,
    read_sequence_list,
)
from vis_cli.records.json_fields import require
from vis_cli.records.youtube_vis import read_youtube_vis, require_distinct_names

YEARS = ("2017", "2019")  # of the lists of sequences; test-dev and challenge of unsupervised are of 2019


@dataclass(frozen=True, slots=True)
class DavisBenchmark:
    """Hold where the true masks lie, and the frames where there are any, in one folder a sequence."""

    masks: Path
    frames: Path | None
    sequences: tuple[str, ...]


def find_davis_benchmark(root: Path, task: Task, *, split: str, sequences: Sequence[str] = ()) -> DavisBenchmark:
    """Find the data of a task in DAVIS's own layout, or in a plain one: Annotations/<sequence>, JPEGImages/<sequence>.

    Args:
        root: holds both, and ImageSets or <split>.json, which name the sequences.
        task: decides which annotations are meant.
        split: names the sequences to score; without such a list they are all.
        sequences: only these.

    Raises:
        VisError: there are no such annotations, list or sequences.
    """
    frames = find_davis_folders(root).frames
    masks = find_davis_masks(root, task)
    if masks is None:
        own, plain = ANNOTATIONS[task], ANNOTATIONS["semi-supervised"]
        raise VisError(f"{root}: has neither {own}/{RESOLUTIONS[0]} nor a plain {plain} folder, which {task} needs")
    known = _list_split(root, split) or list_sequences(masks)
    for name in sequences:
        require(name in known, name, f"is no sequence of {split} in {root}; there are: {', '.join(sorted(known))}")
    chosen = tuple(name for name in known if name in sequences) if sequences else tuple(known)
    for name in chosen:
        require((masks / name).is_dir(), str(masks / name), f"is missing, though {split} names it")
    return DavisBenchmark(masks, None if frames == root else frames, chosen)


def _list_split(root: Path, split: str) -> list[str] | None:
    """Name the sequences of a split; None where nothing here lists splits."""
    for year in YEARS:
        listed = root / "ImageSets" / year / f"{split}.txt"
        if listed.exists():
            return read_sequence_list(listed)
    if (root / f"{split}.json").exists():
        listed_videos = read_youtube_vis(root / f"{split}.json")
        require_distinct_names(listed_videos)
        return [video.name for video in listed_videos.videos]
    if (root / "ImageSets").is_dir():
        raise VisError(
            f"{root}: has no ImageSets/{YEARS[0]}/{split}.txt; --davis-split names another list, in a training config "
            "`split` does"
        )
    return None

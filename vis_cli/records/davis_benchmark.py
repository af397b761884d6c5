"""Ground truth, frames and sequences of one DAVIS split.

Used by `vis eval` and by the validation of a training run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vis_cli.errors import VisError
from vis_cli.files.names import printable
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
    """Folders of one split. Each of them contains one folder per sequence."""

    masks: Path  # ground truth
    frames: Path | None  # None if the DAVIS folder has no frames
    sequences: tuple[str, ...]


def find_davis_benchmark(root: Path, task: Task, *, split: str, sequences: Sequence[str] = ()) -> DavisBenchmark:
    """Find the data of a task in the layout of DAVIS, or in a plain layout.

    The folders of a plain layout are Annotations/<sequence> and JPEGImages/<sequence>.

    Args:
        root: The DAVIS folder. It contains annotations and frames, and lists of sequences as ImageSets or
            <split>.json.
        task: The task, which determines the annotations.
        split: Name of the list of sequences. Without lists, all sequences are used.
        sequences: Names of the sequences to use. An empty list uses all sequences of the split.

    Raises:
        VisError: The annotations, the list or a sequence are missing.
    """
    frames = find_davis_folders(root).frames
    masks = find_davis_masks(root, task)
    if masks is None:
        own, plain = ANNOTATIONS[task], ANNOTATIONS["semi-supervised"]
        problem = f"neither {own}/{RESOLUTIONS[0]} nor a plain {plain} folder exists"
        raise VisError(problem, where=root, hint=f"Pass the DAVIS folder of the {task} task.")
    known = _list_split(root, split) or list_sequences(masks)
    for name in sequences:
        problem = f"the sequence is not in {split} of {root}"
        require(name in known, printable(name), problem, hint=f"Use one of: {', '.join(sorted(known))}.")
    chosen = tuple(name for name in known if name in sequences) if sequences else tuple(known)
    for name in chosen:
        problem = f"the folder does not exist, but {split} lists the sequence"
        hint = "Restore the folder, or remove the sequence from the list."
        require((masks / name).is_dir(), str(masks / name), problem, hint=hint)
    return DavisBenchmark(masks, None if frames == root else frames, chosen)


def _list_split(root: Path, split: str) -> list[str] | None:
    """Return the sequences of a split, or None if the DAVIS folder has no lists."""
    for year in YEARS:
        listed = root / "ImageSets" / year / f"{split}.txt"
        if listed.exists():
            return read_sequence_list(listed)
    if (root / f"{split}.json").exists():
        listed_videos = read_youtube_vis(root / f"{split}.json")
        require_distinct_names(listed_videos)
        return [video.name for video in listed_videos.videos]
    if (root / "ImageSets").is_dir():
        problem = f"ImageSets/{YEARS[0]}/{split}.txt does not exist"
        hint = "Use --davis-split, or `split` in a training config, with the name of a list."
        raise VisError(problem, where=root, hint=hint)
    return None

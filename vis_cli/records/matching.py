"""Which sequence of a split each result is of: matched by name, with its size and its number of frames compared.

Used by every export.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from vis_cli.errors import VisError
from vis_cli.files.names import folded_name, printable, safe_relative_path
from vis_cli.records.categories import CategoryMap
from vis_cli.records.davis_layout import SequenceFrames, read_davis
from vis_cli.records.json_fields import require, shown
from vis_cli.records.selection import Selection
from vis_cli.records.types import InstanceSequence, VideoInfo, VideoResult
from vis_cli.records.youtube_vis import YouTubeVis, read_youtube_vis, require_distinct_names


@dataclass(frozen=True, slots=True)
class SplitSequences:
    """Hold the sequences of a split and the file or folder that lists them."""

    path: Path
    sequences: tuple[SequenceFrames, ...]


@dataclass(frozen=True, slots=True)
class ExportReport:
    """Say what an export holds and what it had to leave out."""

    num_videos: int  # with a result, be it empty
    num_entries: int
    num_left_out: int  # instances of the results that were not selected
    videos_without_result: tuple[str, ...]  # of the split; they count as found nothing
    synonyms: tuple[tuple[str, str], ...]  # categories of the results that go under another name, and that name
    unmapped_categories: tuple[str, ...]  # of the results, unknown to the split; their entries are left out
    relabelled: tuple[str, ...] = ()  # given ids that are no label, with the label that stands for each


@dataclass(frozen=True, slots=True)
class Match:
    """Hold the sequence that a result is of, and the instances to export, in the result's order."""

    sequence: SequenceFrames
    instances: tuple[InstanceSequence, ...]


class ResultMatcher:
    """Match results with the sequences of a split, each once; without a split each result is its own sequence."""

    def __init__(self, split: SplitSequences | None, selection: Selection) -> None:
        """Prepare to match; no result was seen yet."""
        self._split = split
        self._selection = selection
        self._num_left_out = 0
        self._sequences = {sequence.name: sequence for sequence in split.sequences} if split else {}
        self._seen: set[str] = set()

    def match(self, result: VideoResult, *, max_instances: int | None = None) -> Match:
        """Find the sequence that a result is of, and select its instances, at most `max_instances`.

        Raises:
            VisError: it is of none, of one that was seen before, or of another size or length.
        """
        sequence = self._find_sequence(result)
        instances = self._selection.limited(max_instances).instances(result)
        self._num_left_out += len(result.instances) - len(instances)
        return Match(sequence, tuple(instances))

    def unmatched(self) -> list[SequenceFrames]:
        """Return the sequences of the split that no result was of."""
        return [sequence for sequence in self._sequences.values() if sequence.name not in self._seen]

    def report(self, num_entries: int, categories: CategoryMap | None = None) -> ExportReport:
        """Sum up an export of all results that were matched."""
        return ExportReport(
            num_videos=len(self._seen),
            num_entries=num_entries,
            num_left_out=self._num_left_out,
            videos_without_result=tuple(sequence.name for sequence in self.unmatched()),
            synonyms=categories.synonyms if categories else (),
            unmapped_categories=categories.unmapped if categories else (),
        )

    def _find_sequence(self, result: VideoResult) -> SequenceFrames:
        name = result.video.name
        require(name not in self._seen, printable(name), "has two results; keep one of them")
        self._seen.add(name)
        if self._split is None:
            is_plain = safe_relative_path(name, "name of the video in a result").as_posix() == name and "/" not in name
            require(is_plain, shown(name), "cannot name a file or folder; rename the video in its result")
            return own_frames(result.video)
        path = self._split.path
        require(name in self._sequences, printable(name), f"is no video of {path}; give the split that it belongs to")
        sequence = self._sequences[name]
        has = f"{result.video.width}x{result.video.height}, {result.video.num_frames} frames"
        needs = f"{sequence.width}x{sequence.height}, {len(sequence.file_names)} frames"
        require(has == needs, name, f"the result is {has}, but {path} lists {needs}; segment its own frames")
        return sequence


def read_split(path: Path) -> SplitSequences:
    """Read the sequences of a split in either layout: a YouTube-VIS JSON, or a DAVIS list or folder.

    Raises:
        VisError: it is damaged or contradicts itself.
    """
    if path.suffix.lower() == ".json":
        split = youtube_vis_sequences(read_youtube_vis(path))
    else:
        split = SplitSequences(path, tuple(read_davis(path)))
    _require_distinct_names(split)
    return split


def youtube_vis_sequences(split: YouTubeVis) -> SplitSequences:
    """Return the sequences of a YouTube-VIS split.

    Raises:
        VisError: two videos have one name.
    """
    require_distinct_names(split)
    sequences = (SequenceFrames(video.name, video.width, video.height, video.file_names) for video in split.videos)
    return SplitSequences(split.path, tuple(sequences))


def _require_distinct_names(split: SplitSequences) -> None:
    """Raise a VisError if two sequences, or two frames of one, would get one file of an export."""
    _require_distinct({sequence.name: sequence.name for sequence in split.sequences}.items(), str(split.path))
    for sequence in split.sequences:
        named = zip(sequence.file_names, sequence.frame_names, strict=True)
        _require_distinct(named, f"{split.path}: {printable(sequence.name)}")


def _require_distinct(named: Iterable[tuple[str, str]], where: str) -> None:
    first: dict[str, str] = {}
    for source, name in named:
        other = first.setdefault(folded_name(name), source)
        if other is not source:
            both = f"{printable(other)} and {printable(source)}"
            rule = "have one name, but for suffix, case or Unicode form, and would be one file"
            raise VisError(f"{where}: {both} {rule}. Rename one of them.")


def own_frames(video: VideoInfo) -> SequenceFrames:
    """Name the frames of a video as its result stores them; else 00000, 00001, …

    Raises:
        VisError: A stored name is unsafe, or two frames would be one file.
    """
    names = video.frame_names or tuple(f"{frame:05d}.jpg" for frame in range(video.num_frames))
    where = f"{printable(video.name)}: frame names"
    files = tuple(f"{video.name}/{safe_relative_path(name, where).name}" for name in names)
    sequence = SequenceFrames(video.name, video.width, video.height, files)
    _require_distinct(zip(names, sequence.frame_names, strict=True), where)
    return sequence

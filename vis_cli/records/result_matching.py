"""Matching of results with the sequences of a split by name, with a check of their size and number of frames.

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
    """Sequences of a split."""

    path: Path  # file or folder that lists them
    sequences: tuple[SequenceFrames, ...]


@dataclass(frozen=True, slots=True)
class ExportReport:
    """Contents of an export, and what it omits."""

    num_videos: int  # videos with a result, including results without instances
    num_entries: int
    num_left_out: int  # instances that were not selected
    videos_without_result: tuple[str, ...]  # videos of the split, exported without instances
    synonyms: tuple[tuple[str, str], ...]  # names of a category in the results and in the export
    unmapped_categories: tuple[str, ...]  # names that the split does not have; their entries are omitted
    relabelled: tuple[str, ...] = ()  # given ids that are not valid labels, each with its label in the export


@dataclass(frozen=True, slots=True)
class Match:
    """The sequence of a result and the instances to export."""

    sequence: SequenceFrames
    instances: tuple[InstanceSequence, ...]  # in the order of the result


class ResultMatcher:
    """Match of each result with one sequence of a split. Without a split, each result is a sequence."""

    def __init__(self, split: SplitSequences | None, selection: Selection) -> None:
        """Store the split, or None, and the instances to export."""
        self._split = split
        self._selection = selection
        self._num_left_out = 0
        self._sequences = {sequence.name: sequence for sequence in split.sequences} if split else {}
        self._seen: set[str] = set()

    def match(self, result: VideoResult, *, max_instances: int | None = None) -> Match:
        """Return the sequence of a result, and at most `max_instances` selected instances.

        Raises:
            VisError: The video of the result is not in the split, has two results, or has another size or length.
        """
        sequence = self._find_sequence(result)
        instances = self._selection.limited(max_instances).instances(result)
        self._num_left_out += len(result.instances) - len(instances)
        return Match(sequence, tuple(instances))

    def unmatched(self) -> list[SequenceFrames]:
        """Return the sequences of the split without a result."""
        return [sequence for sequence in self._sequences.values() if sequence.name not in self._seen]

    def report(self, num_entries: int, categories: CategoryMap | None = None) -> ExportReport:
        """Return the report of an export of all matched results."""
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
        require(name not in self._seen, printable(name), "two results have this video", hint="Keep one of them.")
        self._seen.add(name)
        if self._split is None:
            is_plain = safe_relative_path(name, "name of the video in a result").as_posix() == name and "/" not in name
            problem = "the name of the video is not a valid file name"
            require(is_plain, shown(name), problem, hint="Rename the video in its result.")
            return own_frames(result.video)
        path = self._split.path
        problem = f"the video is not in {path}"
        require(name in self._sequences, printable(name), problem, hint="Pass the split that contains the video.")
        sequence = self._sequences[name]
        if not _has_frames_of(result.video, sequence):
            require_complete(result.video)
        has = f"{result.video.num_frames} frames of {result.video.width}x{result.video.height} pixels"
        needs = f"{len(sequence.file_names)} frames of {sequence.width}x{sequence.height} pixels"
        problem = f"the result has {has}, {path} lists {needs}"
        require(has == needs, printable(name), problem, hint="Segment the frames of the split.")
        return sequence


def read_split(path: Path) -> SplitSequences:
    """Read the sequences of a split from a YouTube-VIS JSON, a DAVIS list or a DAVIS folder.

    Raises:
        VisError: The split is damaged or inconsistent.
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
        VisError: Two videos have the same name.
    """
    require_distinct_names(split)
    sequences = (SequenceFrames(video.name, video.width, video.height, video.file_names) for video in split.videos)
    return SplitSequences(split.path, tuple(sequences))


def require_complete(video: VideoInfo) -> None:
    """Reject a result that covers only a part of its video, because benchmarks score every frame.

    Raises:
        VisError: The result covers a part.
    """
    if video.part is not None:
        problem = f"the result covers only a part of the video: {video.part}"
        hint = "Segment the complete video, without --start, --end and --every."
        raise VisError(problem, where=printable(video.name), hint=hint)


def _has_frames_of(video: VideoInfo, sequence: SequenceFrames) -> bool:
    """Return whether the images of a result are the frames of a sequence, such as every fifth image of a folder."""
    return own_frames(video).frame_names == sequence.frame_names if video.frame_names is not None else False


def _require_distinct_names(split: SplitSequences) -> None:
    """Reject a split in which two sequences, or two frames of a sequence, have the same file name in an export."""
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
            problem = f"{both} differ only in file extension, case or Unicode form, so an export has one file for both"
            raise VisError(problem, where=where, hint="Rename one of them.")


def own_frames(video: VideoInfo) -> SequenceFrames:
    """Return the frames of a video with the names stored in its result, or with their numbers: 00000, 00001, …

    Raises:
        VisError: A stored name is unsafe, or two frames have the same file name in an export.
    """
    names = video.frame_names or tuple(f"{number:05d}.jpg" for number in video.frame_numbers)
    where = f"{printable(video.name)}: frame names"
    files = tuple(f"{video.name}/{safe_relative_path(name, where).name}" for name in names)
    sequence = SequenceFrames(video.name, video.width, video.height, files)
    _require_distinct(zip(names, sequence.frame_names, strict=True), where)
    return sequence

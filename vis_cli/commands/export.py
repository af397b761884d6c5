"""`vis export`: write results in the formats of other tools.

Registered by `app`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from vis_cli.commands.export_choice import FILE_SUFFIX, parse_only, parse_renamed
from vis_cli.commands.export_images import source_images
from vis_cli.commands.export_outputs import check_output, kept_files, output_files, report_kept
from vis_cli.commands.export_to_options import (
    AsMasks,
    Every,
    MinScore,
    NoImages,
    OnlyWords,
    Out,
    Overwrite,
    Rename,
    Results,
    SourceVideo,
    Split,
    To,
    Tolerance,
    Top,
)
from vis_cli.commands.result_files import ResultLoader, expand_patterns, find_results
from vis_cli.commands.source_lookup import with_frame_names
from vis_cli.console import BatchProgress, Reporter, UsageError
from vis_cli.errors import VisError
from vis_cli.files.names import folded_name, printable
from vis_cli.hints import did_you_mean
from vis_cli.messages import Messages, counted
from vis_cli.options import Debug, Quiet
from vis_cli.records.exports.choice import Choice
from vis_cli.records.exports.clip import Clip, Target
from vis_cli.records.exports.formats import FORMATS, Format
from vis_cli.records.result_matching import SplitSequences, own_frames, read_split
from vis_cli.records.selection import Selection
from vis_cli.records.types import VideoResult
from vis_cli.records.youtube_vis import YouTubeVis, read_youtube_vis


def export(
    results: Results,
    *,
    to: To,
    out: Out,
    min_score: MinScore = 0.0,
    only: OnlyWords = None,
    top: Top = None,
    every: Every = 1,
    rename: Rename = None,
    no_images: NoImages = False,
    video: SourceVideo = None,
    masks: AsMasks = False,
    tolerance: Tolerance = 0.5,
    split: Split = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Write results in the format of another tool. No model runs.

    csv, parquet: tables of frames and of instances, for Excel and pandas.

    cvat: polygon tracks (.xml). label-studio: box tracks (.json). labelme: polygons and images.

    coco, datumaro: exact masks and images. yolo-seg: polygons and images for Ultralytics.

    coco-video: one JSON file in the format of YouTube-VIS annotations. mot: boxes. mots: masks of cars and pedestrians.

    OUT is one file for csv, parquet, label-studio and coco-video, and a folder or a .zip for yolo-seg and labelme.

    For the other formats, OUT is one file, a folder or a .zip. docs/how-to/export.md lists what each format keeps.
    """
    reporter = Reporter(quiet, debug)
    with reporter.guard():
        if to not in FORMATS:
            raise UsageError(f"--to: no format {printable(to)!r}", hint=did_you_mean(to, FORMATS))
        files = find_results(expand_patterns(results), reporter)
        given = [split, Path(rename) if rename and rename.lower().endswith(FILE_SUFFIX) else None]
        check_output(out, to, [*files, *(path for path in given if path)], overwrite=overwrite)
        _check_options(to, files, split=split, every=every, masks=masks, video=video, out=out)
        loader = ResultLoader()
        shown = parse_only(only or [], loader.iterate(files))
        choice = Choice(Selection(min_score, top), shown, every, parse_renamed(rename, loader.iterate(files)))
        target = Target(out, reporter, _read_split(to, split), tolerance, masks)
        has_images = FORMATS[to].images and not no_images and out.suffix.lower() != FORMATS[to].suffix
        with BatchProgress(len(files), reporter) as progress:
            clips = _Clips(files, loader, choice, progress, video, images=has_images, out=out)
            _write(to, clips, target)


def _write(to: str, clips: _Clips, target: Target) -> None:
    """Write the clips, and report what is written and omitted."""
    before = output_files(target.path)
    num_written = FORMATS[to].write(clips, target)
    clips.report(target.messages)
    report_kept(target.path, kept_files(before), target.messages)
    videos = counted(len(clips.files), "video")
    target.messages.note(f"{target.path}: {counted(num_written, 'instance')} in {videos}")


class _Clips:
    """The selected parts of the results, read one at a time. It counts what is omitted."""

    def __init__(
        self,
        files: Sequence[Path],
        loader: ResultLoader,
        choice: Choice,
        progress: BatchProgress,
        video: Path | None,
        *,
        images: bool,
        out: Path,
    ) -> None:
        self.files, self._loader, self._choice, self._progress = files, loader, choice, progress
        self._video, self._images, self._out = video, images, out
        self._names: set[str] = set()
        self._num_left_out = self._num_unlikely = self._num_exported = 0

    def __iter__(self) -> Iterator[Clip]:
        for path in self.files:
            result = with_frame_names(self._loader.read(path), path, self._video)
            self._require_new(result)
            self._progress.start_video(result.video.name)
            clip = self._choice.clip(result)
            self._num_left_out += len(result.instances) - len(clip.instances)
            self._num_exported += len(clip.instances)
            self._num_unlikely += sum(not instance.confident for instance in clip.instances)
            if not self._images:
                yield clip
                continue
            images = source_images(result, path, self._video, self._choice.every, self._out, self._progress.update)
            yield Clip(clip.result, clip.frames, images)

    def report(self, messages: Messages) -> None:
        """Report the omitted instances, exported instances that are not confident, and an export without instances."""
        if self._num_left_out:
            messages.note(f"omitted by --min-score, --only or --top: {counted(self._num_left_out, 'instance')}")
        if self._num_unlikely:
            messages.note(
                f"exported with a low score: {counted(self._num_unlikely, 'less likely instance')}. To omit instances, "
                "use --min-score"
            )
        if not self._num_exported:
            messages.warn("the export contains no instance")

    def _require_new(self, result: VideoResult) -> None:
        own_frames(result.video)  # rejects names of frames that are not safe
        name = result.video.name
        if folded_name(name) in self._names:
            raise VisError("two results have this video", where=printable(name), hint="Keep one of them.")
        self._names.add(folded_name(name))


def _check_options(
    to: str, files: Sequence[Path], *, split: Path | None, every: int, masks: bool, video: Path | None, out: Path
) -> None:
    chosen: Format = FORMATS[to]
    if split is not None and not chosen.takes_split:
        raise UsageError(f"--split does not apply to {to}", hint="Omit --split.")
    if split is not None and every > 1:
        raise UsageError("--every cannot be combined with --split", hint="Omit one of them.")
    if split is not None and chosen.per_video and out.suffix.lower() == chosen.suffix:
        raise UsageError(f"cannot write {out}: a split has several videos", hint="Use a folder, or a .zip file.")
    if masks and to != "cvat":
        raise UsageError(f"--masks does not apply to {to}", hint="Omit --masks.")
    if video is not None and not (chosen.images or chosen.takes_split):
        raise UsageError(f"--video does not apply to {to}: the format has no images", hint="Omit --video.")
    if video is not None and len(files) != 1:
        raise UsageError(f"--video needs one result, but there are {len(files)}", hint="Pass one RESULT.json.")
    if chosen.per_video and out.suffix.lower() == chosen.suffix and len(files) != 1:
        problem = f"cannot write {out}: {to} has one file per video, and there are {len(files)} results"
        raise UsageError(problem, hint="Use a folder, or a .zip file.")


def _read_split(to: str, split: Path | None) -> YouTubeVis | SplitSequences | None:
    if split is None:
        return None
    return read_youtube_vis(split) if to == "coco-video" else read_split(split)

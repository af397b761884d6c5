"""`vis export-json`: turn results into the files that benchmarks and other tools read, or check such a file.

Registered by `app`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated

import typer

from vis_cli.commands.check_submission import check_submission
from vis_cli.commands.export_options import (
    Check,
    Format,
    FormatOption,
    MaxCategories,
    MinScore,
    Out,
    Results,
    SourceVideo,
    Split,
    Top,
    choose_format,
)
from vis_cli.commands.outputs import protect_files
from vis_cli.commands.source_lookup import with_frame_names
from vis_cli.console import Reporter, UsageError
from vis_cli.messages import counted
from vis_cli.options import Debug, Quiet
from vis_cli.records.bundle import ZIP_SUFFIX
from vis_cli.records.coco_video import write_coco_video
from vis_cli.records.davis import MAX_LABEL, MAX_PROPOSALS
from vis_cli.records.davis_submission import write_davis_submission
from vis_cli.records.mots import write_mots
from vis_cli.records.result_head import read_head
from vis_cli.records.result_json import list_json, read_result
from vis_cli.records.result_matching import ExportReport, read_split
from vis_cli.records.selection import Selection
from vis_cli.records.types import VideoResult
from vis_cli.records.youtube_vis import read_youtube_vis
from vis_cli.records.youtube_vis_submission import write_youtube_vis_submission

SHOWN_NAMES = 5  # of a list in a message
SUFFIXES: dict[Format, tuple[str, ...]] = {"youtube-vis": (ZIP_SUFFIX,), "coco-video": (".json",)}


def export_json(
    results: Results = None,
    *,
    file_format: FormatOption = None,
    split: Split = None,
    out: Out = None,
    check: Check = None,
    video: SourceVideo = None,
    top: Top = None,
    max_categories: MaxCategories = None,
    min_score: MinScore = 0.0,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", metavar="", help="Replace OUT, or its files, where it exists.")
    ] = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Write results as benchmarks and other tools read them, or check a submission before it is sent.

    youtube-vis: the zip for the YouTube-VIS 2019, 2021 and OVIS servers.

    davis: a palette PNG for every frame, in a zip or a folder, for DAVIS unsupervised.

    coco-video: one JSON of videos, annotations and categories, as data sets have it.

    mots: a text file a video, of cars (1) and pedestrians (2).

    Videos and categories are matched with the split's by name; where a synonym helps (car for sedan), it is said.
    """
    reporter = Reporter(quiet, debug)
    with reporter.guard():
        chosen = choose_format(file_format, split)
        if check is not None:
            _refuse_results_to_check(results, out)
            check_submission(check, split, chosen, reporter)
            return
        if not results or out is None:
            raise UsageError("give results (RESULT.json or a folder of them) and -o OUT, or --check FILE")
        files = find_results(results, reporter)
        protect_files(out, [*files, *([split] if split else [])])
        check_output(out, chosen, overwrite=overwrite)
        if chosen == "davis":
            _check_top(files, top)
        if video is not None and len(files) != 1:
            raise UsageError(f"--video belongs to one result, but there are {len(files)}. Pass one RESULT.json.")
        loaded = (with_frame_names(read_result(path), path, video) for path in files)
        report = write_export(loaded, chosen, split, out, Selection(min_score, top, max_categories))
        tell(report, chosen, split, out, reporter)


def write_export(
    results: Iterable[VideoResult], file_format: Format, split: Path | None, out: Path, selection: Selection
) -> ExportReport:
    """Write the results in one of the formats.

    Raises:
        UsageError: the format needs another kind of split.
        VisError: a result does not fit, or `out` cannot be written.
    """
    if file_format == "davis":
        return write_davis_submission(results, read_split(split) if split else None, out, selection=selection)
    if file_format == "mots":
        return write_mots(results, read_split(split) if split else None, out, selection=selection)
    annotations = read_youtube_vis(split) if split else None
    if file_format == "coco-video":
        return write_coco_video(results, annotations, out, selection=selection)
    if annotations is None:
        raise UsageError("youtube-vis needs --split SPLIT.json, whose ids of videos and categories it takes")
    return write_youtube_vis_submission(results, annotations, out, selection=selection)


def tell(report: ExportReport, file_format: Format, split: Path | None, out: Path, reporter: Reporter) -> None:
    """Say what was written, under other names, and left out."""
    if report.synonyms:
        reporter.note(f"categories under other names: {_shorten([f'{a} as {b}' for a, b in report.synonyms])}")
    if report.videos_without_result:
        reporter.warn(f"videos without a result, counted as empty: {_shorten(report.videos_without_result)}")
    if report.unmapped_categories:
        known_by = "MOTS" if file_format == "mots" else split
        reporter.warn(f"categories that {known_by} does not know, left out: {_shorten(report.unmapped_categories)}")
    if report.relabelled:
        reporter.warn(
            f"ids that are not from 1 to {MAX_LABEL}, written as another label: {_shorten(report.relabelled)}"
        )
    if report.num_left_out:
        reporter.note(f"left out by score or beyond the best of a video: {counted(report.num_left_out, 'instance')}")
    if file_format == "youtube-vis" and not report.num_entries:
        reporter.warn(f"{out} has no entry, and the benchmark's evaluator fails on an empty list")
    reporter.note(f"{out}: {counted(report.num_entries, 'instance')} in {counted(report.num_videos, 'video')}")


def check_output(out: Path, file_format: Format, *, overwrite: bool) -> None:
    """See that an export may be written to `out`.

    Raises:
        UsageError: its name does not suit the format, or it exists without `overwrite`.
    """
    suffixes = SUFFIXES.get(file_format, ())
    if suffixes and out.suffix.lower() not in suffixes:
        raise UsageError(f"{out}: {file_format} is one file, give a name that ends in {' or '.join(suffixes)}")
    if out.is_dir() and suffixes:
        raise UsageError(f"{out} is a folder: give another name with -o")
    is_empty_folder = out.is_dir() and not any(out.iterdir())
    if out.exists() and not is_empty_folder and not overwrite:
        raise UsageError(f"{out} exists: --overwrite replaces it")


def find_results(paths: Sequence[Path], reporter: Reporter) -> list[Path]:
    """List the files given and the results in the folders given; other JSON files there are named.

    Raises:
        UsageError: a folder has none.
    """
    found: list[Path] = []
    for path in paths:
        files, others = list_json(path) if path.is_dir() else ([path], [])
        warn_not_results(others, reporter)
        if not files:
            raise UsageError(f"{path}: no results (*.json) in this folder")
        found.extend(files)
    return list(dict.fromkeys(found))


def warn_not_results(paths: Sequence[Path], reporter: Reporter) -> None:
    """Name JSON files that lie among results and are none."""
    if paths:
        reporter.warn(f"not results of `vis segment`, left out: {_shorten([str(path) for path in paths])}")


def _check_top(files: Sequence[Path], top: int | None) -> None:
    """Reject a --top that the unsupervised protocol does not allow; objects of given masks have no such limit."""
    if top is not None and top > MAX_PROPOSALS:
        heads = [read_head(path) for path in files]
        if any(head is not None and head.given_masks is None for head in heads):
            raise UsageError(f"--top is {top}, but DAVIS allows {MAX_PROPOSALS} proposals a video at most")


def _refuse_results_to_check(results: Sequence[Path] | None, out: Path | None) -> None:
    if results or out is not None:
        raise UsageError("--check writes nothing: give it one FILE and --annotations SPLIT, no results and no -o")


def _shorten(names: Sequence[str]) -> str:
    rest = len(names) - SHOWN_NAMES
    return ", ".join(names[:SHOWN_NAMES]) + (f" and {rest} more" if rest > 0 else "")

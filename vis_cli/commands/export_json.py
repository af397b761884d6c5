"""`vis export-json`: convert results to the formats of benchmarks and other tools, or check a submission.

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

SHOWN_NAMES = 5  # maximum number of names in a message
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
        bool,
        typer.Option(
            "--overwrite", metavar="", help="Replace an existing OUT, or the files in an existing folder OUT."
        ),
    ] = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Convert results to the formats of benchmarks and other tools, or check a submission.

    youtube-vis: zip file for the servers of YouTube-VIS 2019, YouTube-VIS 2021 and OVIS.

    davis: one palette PNG per frame, in a zip file or a folder, for DAVIS unsupervised.

    coco-video: one JSON file with videos, annotations and categories, in the format of the YouTube-VIS annotations.

    mots: one text file per video with cars (1) and pedestrians (2).

    Videos and categories are matched with the split by name. A category that is matched by a synonym, such as car for
    sedan, is reported.
    """
    reporter = Reporter(quiet, debug)
    with reporter.guard():
        chosen = choose_format(file_format, split)
        if check is not None:
            _reject_results_with_check(results, out)
            check_submission(check, split, chosen, reporter)
            return
        if not results or out is None:
            raise UsageError(
                "RESULT.json or -o OUT is missing",
                hint="Give results (RESULT.json or a folder) and -o OUT, or --check FILE.",
            )
        files = find_results(results, reporter)
        protect_files(out, [*files, *([split] if split else [])])
        check_output(out, chosen, overwrite=overwrite)
        if chosen == "davis":
            _check_top(files, top)
        if video is not None and len(files) != 1:
            raise UsageError(f"--video needs one result, but there are {len(files)}", hint="Pass one RESULT.json.")
        loaded = (with_frame_names(read_result(path), path, video) for path in files)
        report = write_export(loaded, chosen, split, out, Selection(min_score, top, max_categories))
        report_export(report, chosen, split, out, reporter)


def write_export(
    results: Iterable[VideoResult], file_format: Format, split: Path | None, out: Path, selection: Selection
) -> ExportReport:
    """Write the results in one format.

    Raises:
        UsageError: The format needs another kind of split.
        VisError: A result does not match the split, or `out` cannot be written.
    """
    if file_format == "davis":
        return write_davis_submission(results, read_split(split) if split else None, out, selection=selection)
    if file_format == "mots":
        return write_mots(results, read_split(split) if split else None, out, selection=selection)
    annotations = read_youtube_vis(split) if split else None
    if file_format == "coco-video":
        return write_coco_video(results, annotations, out, selection=selection)
    if annotations is None:
        raise UsageError("youtube-vis needs the ids of videos and categories", hint="Add --split SPLIT.json.")
    return write_youtube_vis_submission(results, annotations, out, selection=selection)


def report_export(report: ExportReport, file_format: Format, split: Path | None, out: Path, reporter: Reporter) -> None:
    """Report the written, renamed and omitted instances."""
    if report.synonyms:
        reporter.note(f"categories matched by a synonym: {_shorten([f'{a} as {b}' for a, b in report.synonyms])}")
    if report.videos_without_result:
        reporter.warn(f"videos without a result, written without instances: {_shorten(report.videos_without_result)}")
    if report.unmapped_categories:
        target = "MOTS" if file_format == "mots" else split
        reporter.warn(f"omitted categories that {target} does not contain: {_shorten(report.unmapped_categories)}")
    if report.relabelled:
        reporter.warn(
            f"ids that are not from 1 to {MAX_LABEL}, written as another label: {_shorten(report.relabelled)}"
        )
    if report.num_left_out:
        reporter.note(
            f"omitted by --min-score, --top or a limit of the format: {counted(report.num_left_out, 'instance')}"
        )
    if file_format == "youtube-vis" and not report.num_entries:
        reporter.warn(f"{out} has no entries. The official evaluator fails on an empty list")
    reporter.note(f"{out}: {counted(report.num_entries, 'instance')} in {counted(report.num_videos, 'video')}")


def check_output(out: Path, file_format: Format, *, overwrite: bool) -> None:
    """Check that an export can be written to `out`.

    Raises:
        UsageError: The format needs another file extension, or `out` exists without `overwrite`.
    """
    suffixes = SUFFIXES.get(file_format, ())
    if suffixes and out.suffix.lower() not in suffixes:
        raise UsageError(
            f"cannot write {out}: {file_format} is one file", hint=f"Use a name that ends in {' or '.join(suffixes)}."
        )
    if out.is_dir() and suffixes:
        raise UsageError(f"cannot write {out}: it is a folder", hint="Use another -o OUT.")
    is_empty_folder = out.is_dir() and not any(out.iterdir())
    if out.exists() and not is_empty_folder and not overwrite:
        raise UsageError(f"cannot write {out}: it exists", hint="Use --overwrite to replace it.")


def find_results(paths: Sequence[Path], reporter: Reporter) -> list[Path]:
    """Return the given files and the results in the given folders. Warn about other JSON files in the folders.

    Raises:
        UsageError: A folder has no results.
    """
    found: list[Path] = []
    for path in paths:
        files, others = list_json(path) if path.is_dir() else ([path], [])
        warn_not_results(others, reporter)
        if not files:
            raise UsageError(
                f"cannot export {path}: no results (*.json) in this folder", hint="Use the folder of `vis segment -o`."
            )
        found.extend(files)
    return list(dict.fromkeys(found))


def warn_not_results(paths: Sequence[Path], reporter: Reporter) -> None:
    """Warn about JSON files in a results folder that are not results."""
    if paths:
        reporter.warn(f"ignored files that are not results of `vis segment`: {_shorten([str(path) for path in paths])}")


def _check_top(files: Sequence[Path], top: int | None) -> None:
    """Reject a --top above the limit of DAVIS unsupervised. The limit does not apply to given masks."""
    if top is not None and top > MAX_PROPOSALS:
        heads = [read_head(path) for path in files]
        if any(head is not None and head.given_masks is None for head in heads):
            raise UsageError(f"--top is {top}", hint=f"Use at most {MAX_PROPOSALS}, the limit of DAVIS per video.")


def _reject_results_with_check(results: Sequence[Path] | None, out: Path | None) -> None:
    if results or out is not None:
        raise UsageError(
            "--check cannot be combined with RESULT.json or -o", hint="Use --check FILE --annotations SPLIT."
        )


def _shorten(names: Sequence[str]) -> str:
    rest = len(names) - SHOWN_NAMES
    return ", ".join(names[:SHOWN_NAMES]) + (f" and {rest} more" if rest > 0 else "")

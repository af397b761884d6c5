"""`vis export-json`: convert results to submissions for benchmarks, or check a submission.

Registered by `app`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated

import typer

from vis_cli.commands.check_submission import check_submission
from vis_cli.commands.export_options import (
    MOVED,
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
from vis_cli.commands.result_files import find_results
from vis_cli.commands.source_lookup import with_frame_names
from vis_cli.console import Reporter, UsageError
from vis_cli.messages import counted
from vis_cli.options import Debug, Quiet
from vis_cli.records.bundle import ZIP_SUFFIX
from vis_cli.records.davis import MAX_PROPOSALS
from vis_cli.records.davis_submission import write_davis_submission
from vis_cli.records.export_messages import report_matches
from vis_cli.records.result_head import read_head
from vis_cli.records.result_json import read_result
from vis_cli.records.result_matching import ExportReport, read_split
from vis_cli.records.selection import Selection
from vis_cli.records.types import VideoResult, gives_all_objects
from vis_cli.records.youtube_vis import read_youtube_vis
from vis_cli.records.youtube_vis_submission import write_youtube_vis_submission

SUFFIXES: dict[Format, tuple[str, ...]] = {"youtube-vis": (ZIP_SUFFIX,)}


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
    """Convert results to submissions for benchmarks, or check a submission.

    youtube-vis: zip file for the servers of YouTube-VIS 2019, YouTube-VIS 2021 and OVIS.

    davis: one palette PNG per frame, in a zip file or a folder, for DAVIS unsupervised.

    `vis export` writes the formats of other tools, such as tables, CVAT and COCO.

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
        if chosen in MOVED:
            raise UsageError(f"{chosen} is a format of another command", hint=f"Use `vis export --to {chosen}`.")
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
    annotations = read_youtube_vis(split) if split else None
    if annotations is None:
        raise UsageError("youtube-vis needs the ids of videos and categories", hint="Add --split SPLIT.json.")
    return write_youtube_vis_submission(results, annotations, out, selection=selection)


def report_export(report: ExportReport, file_format: Format, split: Path | None, out: Path, reporter: Reporter) -> None:
    """Report the written, renamed and omitted instances."""
    report_matches(report, split, reporter)
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


def _check_top(files: Sequence[Path], top: int | None) -> None:
    """Reject a --top above the limit of DAVIS unsupervised. The limit does not apply to given masks."""
    if top is not None and top > MAX_PROPOSALS:
        heads = [read_head(path) for path in files]
        if any(head is not None and not gives_all_objects(head.given_masks, head.given_prompts) for head in heads):
            raise UsageError(f"--top is {top}", hint=f"Use at most {MAX_PROPOSALS}, the limit of DAVIS per video.")


def _reject_results_with_check(results: Sequence[Path] | None, out: Path | None) -> None:
    if results or out is not None:
        raise UsageError(
            "--check cannot be combined with RESULT.json or -o", hint="Use --check FILE --annotations SPLIT."
        )

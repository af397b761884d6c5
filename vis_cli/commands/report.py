"""`vis report`: write pages that show results in a browser, without a network.

Registered by `app`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import typer

from vis_cli.commands.export_outputs import kept_files, output_files, protect_folder, report_kept
from vis_cli.commands.outputs import protect_files
from vis_cli.commands.report_options import (
    Annotations,
    MinScore,
    NoVideo,
    Out,
    Overwrite,
    Results,
    SourceVideo,
)
from vis_cli.commands.report_page import PageOptions, video_path, write_report_page
from vis_cli.commands.result_files import expand_patterns, find_results
from vis_cli.console import EXIT_FAILED, BatchProgress, Reporter, UsageError
from vis_cli.errors import VisError
from vis_cli.files.limits import MAX_NAME_BYTES
from vis_cli.files.names import folded_name, safe_file_name
from vis_cli.messages import counted
from vis_cli.options import Debug, Quiet
from vis_cli.records.report.pages import IndexEntry, index_facts, write_index
from vis_cli.records.youtube_vis import read_youtube_vis

PAGE_SUFFIX = ".html"
INDEX_NAME = "index"
MAX_STEM_BYTES = MAX_NAME_BYTES - len("_preview.mp4") - len("_999999")


def report(
    results: Results,
    *,
    out: Out,
    annotations: Annotations = None,
    min_score: MinScore = 0.0,
    video: SourceVideo = None,
    no_video: NoVideo = False,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Write a page per result: video with masks, timeline and tables. It works offline in every browser.

    No model runs. The page contains the video (at most 480 lines, without audio). A video above 48 MiB is a file next
    to the page.
    """
    reporter = Reporter(quiet, debug)
    with reporter.guard():
        files = find_results(expand_patterns(results), reporter)
        _check_output(out, files, annotations, overwrite=overwrite)
        if video is not None and no_video:
            raise UsageError("--video cannot be combined with --no-video", hint="Omit one of them.")
        if video is not None and len(files) != 1:
            raise UsageError(f"--video needs one result, but there are {len(files)}", hint="Pass one RESULT.json.")
        split = None if annotations is None else read_youtube_vis(annotations)
        inputs = (*files, *([] if annotations is None else [annotations]))
        options = PageOptions(min_score, video, not no_video, split, inputs, overwrite)
        with BatchProgress(len(files), reporter) as progress:
            if _is_page(out):
                progress.start_video(files[0].stem)
                write_report_page(files[0], out, options, reporter, progress.update)
                reporter.note(f"{out}: {out.stat().st_size / 1e6:.1f} MB")
            else:
                _write_folder(out, files, options, reporter, progress)


def _write_folder(
    out: Path, files: Sequence[Path], options: PageOptions, reporter: Reporter, progress: BatchProgress
) -> None:
    """Write one page per result and an index. A result that fails is listed in the index."""
    before, entries = output_files(out), []
    for path, name in zip(files, _page_names(files), strict=True):
        progress.start_video(name)
        entry = _write_entry(path, out / name, options, reporter, progress)
        entries.append(entry)
        progress.end_video(entry.num_frames)
    write_index(out / f"{INDEX_NAME}{PAGE_SUFFIX}", entries)
    report_kept(out, kept_files(before), reporter)
    failed = sum(entry.page is None for entry in entries)
    end = f", {failed} failed" if failed else ""
    reporter.note(f"{out / INDEX_NAME}{PAGE_SUFFIX}: {counted(len(files) - failed, 'page')}{end}")
    if failed:
        raise typer.Exit(EXIT_FAILED)


def _write_entry(
    path: Path, page: Path, options: PageOptions, reporter: Reporter, progress: BatchProgress
) -> IndexEntry:
    try:
        written = write_report_page(path, page, options, reporter, progress.update)
    except VisError as error:
        reporter.error(str(error), error)
        return IndexEntry(str(path), problem=str(error))
    facts = index_facts(written.facts, written.comparison)
    return IndexEntry(str(path), page.name, facts, written.poster, written.problem)


def _page_names(files: Sequence[Path]) -> list[str]:
    """Return the file name of each page: holiday.html for holiday.json, holiday_2.html for the next holiday.json."""
    taken, names = {INDEX_NAME}, []
    for path in files:
        stems = (
            safe_file_name(path.stem, max_bytes=MAX_STEM_BYTES, fallback="result", tail=tail)
            for tail in ("", *(f"_{number}" for number in range(2, len(files) + 2)))
        )
        stem = next(stem for stem in stems if folded_name(stem) not in taken)
        taken.add(folded_name(stem))
        names.append(f"{stem}{PAGE_SUFFIX}")
    return names


def _is_page(out: Path) -> bool:
    return out.suffix.lower() == PAGE_SUFFIX


def _check_output(out: Path, files: Sequence[Path], annotations: Path | None, *, overwrite: bool) -> None:
    inputs = [*files, *([] if annotations is None else [annotations])]
    if not _is_page(out):
        if out.is_file():
            raise UsageError(f"cannot write {out}: it is a file", hint="Use a folder, or a name that ends in .html.")
        protect_folder(out, inputs)
        if out.is_dir() and any(out.iterdir()) and not overwrite:
            raise UsageError(f"cannot write {out}: it exists", hint="Use --overwrite to replace it.")
        return
    if len(files) != 1:
        problem = f"cannot write {out}: there are {len(files)} results, and each has its own page"
        raise UsageError(problem, hint="Use a folder as -o OUT.")
    if out.is_dir():
        raise UsageError(f"cannot write {out}: it is a folder", hint="Use another -o OUT.")
    for output in (out, video_path(out)):
        protect_files(output, inputs)
    if out.exists() and not overwrite:
        raise UsageError(f"cannot write {out}: it exists", hint="Use --overwrite to replace it.")

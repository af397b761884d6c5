"""`vis export-json`: turn results into a YouTube-VIS submission.

Registered by `app`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from vis_cli.console import Reporter, UsageError, counted
from vis_cli.options import Debug, Quiet
from vis_cli.records.result_json import read_result
from vis_cli.records.selection import Selection
from vis_cli.records.youtube_vis import read_youtube_vis
from vis_cli.records.youtube_vis_submission import write_youtube_vis_submission

SHOWN_NAMES = 5  # of a list in a message


def export_json(
    results: Annotated[
        list[Path],
        typer.Argument(
            metavar="RESULT.json|DIR", help="Files that `vis segment` wrote, or folders of them.", exists=True
        ),
    ],
    split: Annotated[
        Path,
        typer.Option(
            metavar="SPLIT.json", help="The split's own JSON, which has the ids to use.", exists=True, dir_okay=False
        ),
    ],
    out: Annotated[Path, typer.Option("-o", "--out", metavar="OUT.zip", help="The submission to write.")],
    *,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", metavar="", help="Replace OUT.zip where it exists.")
    ] = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Write results as a submission to the YouTube-VIS or OVIS server.

    OUT.zip holds results.json alone: an entry for each object and each of its likely categories.

    Videos and categories are matched with the split's by name.
    """
    reporter = Reporter(quiet, debug)
    with reporter.guard():
        if out.exists() and not overwrite:
            raise UsageError(f"{out} exists: --overwrite replaces it")
        loaded = (read_result(path) for path in find_results(results))
        report = write_youtube_vis_submission(loaded, read_youtube_vis(split), out, selection=Selection())
        if report.videos_without_result:
            reporter.warn(f"videos without a result, counted as empty: {_shorten(report.videos_without_result)}")
        if report.unmapped_categories:
            reporter.warn(f"categories that {split} does not know, left out: {_shorten(report.unmapped_categories)}")
        entries, videos = counted(report.num_entries, "instance"), counted(report.num_videos, "video")
        reporter.note(f"{out}: {entries} in {videos}")


def find_results(paths: Sequence[Path]) -> list[Path]:
    """List the files given and the JSON files in the folders given.

    Raises:
        UsageError: a folder has none.
    """
    found: list[Path] = []
    for path in paths:
        files = sorted(path.glob("*.json")) if path.is_dir() else [path]
        if not files:
            raise UsageError(f"{path}: no results (*.json) in this folder")
        found.extend(files)
    return list(dict.fromkeys(found))


def _shorten(names: Sequence[str]) -> str:
    rest = len(names) - SHOWN_NAMES
    return ", ".join(names[:SHOWN_NAMES]) + (f" and {rest} more" if rest > 0 else "")

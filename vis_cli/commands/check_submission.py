"""`vis export-json --check`: say what is wrong with a submission, ours or another tool's.

Used by `export_json`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import typer

from vis_cli.commands.export_options import Format
from vis_cli.console import EXIT_FAILED, Reporter, UsageError, print_line
from vis_cli.messages import counted
from vis_cli.records.davis_check import iter_davis_problems
from vis_cli.records.result_matching import read_split
from vis_cli.records.submission_check import iter_youtube_vis_problems
from vis_cli.records.submission_problems import Problem, summarise_problems
from vis_cli.records.youtube_vis import read_youtube_vis

SHOWN_PROBLEMS = 5  # of each kind


def check_submission(path: Path, split: Path | None, file_format: Format, reporter: Reporter) -> None:
    """Print the problems of a submission, a line each on stdout.

    Raises:
        UsageError: there is no split to check against, or this format is not submitted anywhere.
        VisError: a file cannot be read.
        typer.Exit: 1 where there is a problem.
    """
    if split is None:
        raise UsageError("--check needs --annotations SPLIT, the split that the submission is for")
    problems = summarise_problems(_iter_problems(path, split, file_format), shown=SHOWN_PROBLEMS)
    for line in problems.lines:
        print_line(line)
    if problems.count:
        reporter.error(f"{path}: {counted(problems.count, 'problem')}; it does not fit {split}")
        raise typer.Exit(EXIT_FAILED)
    reporter.note(f"{path}: no problem found; it fits {split}")


def _iter_problems(path: Path, split: Path, file_format: Format) -> Iterator[Problem]:
    if file_format == "davis":
        return iter_davis_problems(path, read_split(split))
    if file_format == "youtube-vis":
        return iter_youtube_vis_problems(path, read_youtube_vis(split))
    raise UsageError(f"--check knows youtube-vis and davis, not {file_format}")

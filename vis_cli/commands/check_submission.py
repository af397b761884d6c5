"""`vis export-json --check`: check a submission of `vis` or of another tool.

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

SHOWN_PROBLEMS = 5  # maximum number per kind


def check_submission(path: Path, split: Path | None, file_format: Format, reporter: Reporter) -> None:
    """Print the problems of a submission on stdout, one per line.

    Raises:
        UsageError: The split is missing, or no benchmark accepts the format.
        VisError: A file cannot be read.
        typer.Exit: 1 if there is a problem.
    """
    if split is None:
        raise UsageError("--check needs the split of the submission", hint="Add --annotations SPLIT.")
    problems = summarise_problems(_iter_problems(path, split, file_format), shown=SHOWN_PROBLEMS)
    for line in problems.lines:
        print_line(line)
    if problems.count:
        reporter.error(f"{path}: {counted(problems.count, 'problem')}. The submission does not match {split}")
        raise typer.Exit(EXIT_FAILED)
    reporter.note(f"{path}: no problems. The submission matches {split}")


def _iter_problems(path: Path, split: Path, file_format: Format) -> Iterator[Problem]:
    if file_format == "davis":
        return iter_davis_problems(path, read_split(split))
    if file_format == "youtube-vis":
        return iter_youtube_vis_problems(path, read_youtube_vis(split))
    raise UsageError(f"cannot check the format {file_format}", hint="Use --format youtube-vis or davis.")

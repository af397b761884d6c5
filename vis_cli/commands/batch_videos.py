"""`vis batch`: segment thousands of videos with several worker processes.

Registered by `app`. `batch_run` does the work. It is imported late, so that the help page needs neither NumPy nor
FFmpeg.
"""

from __future__ import annotations

from typing import Annotated

import typer

from vis_cli import options
from vis_cli.commands.batch_options import FileOptions, LimitOptions, StateOptions, WorkerOptions
from vis_cli.commands.option_groups import grouped


@grouped
def batch(
    inputs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="INPUT",
            help="Lists of videos (.txt, .csv, .jsonl or .parquet), video files, folders of videos, quoted glob "
            "patterns, or URLs (s3, gs, http, https).",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        str | None,
        typer.Option(
            "-o", "--out", metavar="DIR", help="Folder or URL (s3, gs) of the results. It is created if missing."
        ),
    ] = None,
    *,
    model: options.ModelOptions,
    method: options.MethodOptions,
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="NAMES", help="Categories to detect and track, such as person,car."),
    ] = None,
    files: FileOptions,
    workers: WorkerOptions,
    limits: LimitOptions,
    state: StateOptions,
    run: options.RunOptions,
    messages: options.MessageOptions,
) -> None:
    """Segment thousands of videos with several worker processes, on one machine or as shards on many.

    A list has a column `path`, and optional columns name, start, end, masks, settings and frames.

    DIR/manifest stores one row per attempt at a video. To resume a batch, run the same command again.

    If a video crashes its worker or exceeds a limit, the worker is replaced and the video gets a second attempt.

    `vis batch --help-all` lists all options.
    """
    from vis_cli.commands.batch_run import run_batch_command
    from vis_cli.commands.planned_batch import BatchRequest

    request = BatchRequest(model, method, tuple(only or ()), files, run)
    run_batch_command(inputs or [], out, request, workers, limits, state, messages)

"""`vis train`: train a model as a TOML file says.

Registered by `app`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vis_cli.console import Reporter, StepProgress
from vis_cli.options import Debug, Quiet

RUNS = Path("runs")


def train(
    config: Annotated[
        Path,
        typer.Argument(metavar="CONFIG.toml", help="Data, model and schedule of the run.", exists=True, dir_okay=False),
    ],
    *,
    out: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--out",
            metavar="DIR",
            file_okay=False,
            help="The model's folder. [dim]\\[default: runs/CONFIG][/dim]",
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", metavar="", help="Go on from the last checkpoint in DIR.")
    ] = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Train a model of your own.

    DIR gets its weights, checkpoints and log.jsonl; then `vis segment --model DIR` uses it.

    Ctrl-C loses what came after the last checkpoint; `--resume` goes on from there as if nothing had happened.
    """
    from vis_cli.training import trainer

    reporter = Reporter(quiet, debug)
    with reporter.guard(), StepProgress(reporter) as progress:
        folder = trainer.train(config, out or RUNS / config.stem, resume=resume, progress=progress.update)
        reporter.note(f"{folder}: the model is complete; use it with --model {folder}")

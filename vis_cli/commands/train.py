"""`vis train`: train a model as a TOML file says.

Registered by `app`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vis_cli import options
from vis_cli.console import Reporter, StepProgress, UsageError, print_line
from vis_cli.options import Debug, Quiet

if TYPE_CHECKING:
    from vis_cli.training.check import CheckReport

RUNS = Path("runs")
SHOWN = "loss"  # beginning of the figures beside the progress bar
LINE_EVERY = 60.0  # seconds from one line of progress to the next where no bar can be shown


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
    check: Annotated[
        bool,
        typer.Option(
            "--check", metavar="", help="Only read the data, draw twelve clips into DIR/check.png and do one step."
        ),
    ] = False,
    data: Annotated[
        Path | None,
        typer.Option(
            "--data",
            metavar="DATA",
            file_okay=False,
            exists=True,
            help="Folder that data paths are relative to. [dim]\\[default: the config's own][/dim]",
        ),
    ] = None,
    device: options.Device = options.RUN.device,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Train a model of your own.

    DIR gets its weights, the last checkpoints, log.jsonl and TensorBoard's curves; `vis segment --model DIR` uses it.

    Where CONFIG.toml has a validation table, DIR/best gets the weights that did best there.

    Its fields and their defaults are in vis_cli/training/config.py, the paper's runs in models/recipes.

    SIGTERM saves and ends with 0; `--resume` goes on as if nothing had happened. Ctrl-C keeps the last checkpoint.

    Several GPUs or machines: start it by torchrun, as below; each step's batch is shared.
    """
    reporter = Reporter(quiet or not _is_first_process(), debug)
    with reporter.guard():
        if check and resume:
            raise UsageError("--check starts nothing, so --resume means nothing beside it")
        folder = out or RUNS / config.stem
        if check:
            _check(config, folder, data, device, reporter)
        else:
            _train(config, folder, data, device, resume=resume, reporter=reporter)


def _train(config: Path, folder: Path, data: Path | None, device: str, *, resume: bool, reporter: Reporter) -> None:
    from vis_cli.engine.device import choose_device
    from vis_cli.training import run_log, trainer
    from vis_cli.training.run import Hooks

    if not run_log.has_tensorboard():
        reporter.note("no curves and pictures for TensorBoard: it is not installed (pip install tensorboard)")
    with StepProgress(reporter, line_every=LINE_EVERY) as progress:
        hooks = Hooks(
            lambda step, steps, figures: progress.update(step, steps, _shown(figures)), reporter.note, reporter.warn
        )
        outcome = trainer.train(
            config, folder, resume=resume, device=choose_device(device), data_root=data, hooks=hooks
        )
    if outcome.finished:
        reporter.note(f"{folder}: the model is complete; use it with --model {folder}")
    else:
        reporter.note(f"{folder}: stopped and saved after step {outcome.step}; --resume goes on from there")


def _check(config: Path, folder: Path, data: Path | None, device: str, reporter: Reporter) -> None:
    from vis_cli.engine.device import choose_device
    from vis_cli.training.check import check_run
    from vis_cli.training.run import Hooks

    hooks = Hooks(note=reporter.note, warn=reporter.warn)
    _print_check(check_run(config, folder, device=choose_device(device), data_root=data, hooks=hooks))


def _print_check(report: CheckReport) -> None:
    for name, count in report.num_items.items():
        print_line(f"{name}: {count} stills or frames to start from")
    print_line(f"{report.sheet}: look at these clips; outlined thick is what guides, white what is ignored")
    losses = ", ".join(f"{name} {value:.3f}" for name, value in report.losses.items())
    print_line(f"one of {report.num_steps} steps took {report.seconds:.1f} s: {losses}")


def _shown(figures: Mapping[str, float]) -> dict[str, float]:
    shown = {name.removeprefix("loss_"): value for name, value in figures.items() if name.startswith(SHOWN)}
    return shown | {"images/s": figures["images_per_second"]}


def _is_first_process() -> bool:
    return os.environ.get("RANK", "0") == "0"

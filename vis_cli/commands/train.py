"""`vis train`: train a model with the configuration of a TOML file.

Registered by `app`.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from vis_cli import options
from vis_cli.console import Reporter, StepProgress, UsageError, print_line
from vis_cli.files.atomic import atomic_path
from vis_cli.messages import counted
from vis_cli.options import Debug, Quiet

if TYPE_CHECKING:
    from vis_cli.training.check import CheckReport

RUNS = Path("runs")
CONFIG_SUFFIX = ".toml"
SHOWN = "loss"  # prefix of the values that are printed next to the progress bar
LINE_EVERY = 60.0  # seconds between two progress lines if stderr is not a terminal

Config: TypeAlias = Annotated[
    Path | None,
    typer.Argument(
        metavar="CONFIG.toml",
        help="Configuration of the run: data, model and schedule. Needed without --new.",
        exists=True,
        dir_okay=False,
        show_default=False,
    ),
]
Resume: TypeAlias = Annotated[
    bool, typer.Option("--resume", metavar="", help="Resume the run from the last checkpoint in DIR.")
]
Out: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "-o",
        "--out",
        metavar="DIR",
        help="Folder of the model. [dim]\\[default: runs/CONFIG][/dim] With --new: the config to write.",
    ),
]
Check: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--check",
        metavar="",
        help="Check the data without training: draw 12 training clips in DIR/check.png and time one step.",
    ),
]
Data: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--data",
        metavar="DATA",
        file_okay=False,
        exists=True,
        help="Base folder of the data paths in CONFIG.toml. [dim]\\[default: the folder of CONFIG.toml][/dim]",
    ),
]

New: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--new",
        metavar="FOLDER",
        exists=True,
        help="Write a config that finetunes lite on the images of FOLDER (COCO, YOLO-seg, CVAT, LabelMe or Datumaro), "
        "and do not train. FOLDER can also be the file of the annotations.",
    ),
]
Overwrite: TypeAlias = Annotated[
    bool, typer.Option("--overwrite", metavar="", help="With --new: replace an existing config.")
]


def train(
    config: Config = None,
    *,
    out: Out = None,
    resume: Resume = False,
    check: Check = False,
    data: Data = None,
    new: New = None,
    overwrite: Overwrite = False,
    device: options.Device = options.RUN.device,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Train a model.

    DIR contains the weights, the last checkpoints, log.jsonl and the curves for TensorBoard. To use the model, pass
    `--model DIR` to `vis segment`.

    If CONFIG.toml has a validation table, DIR/best contains the weights with the best validation score.

    To train on your own images, write a config first: `vis train --new FOLDER -o my.toml`.

    vis_cli/training/config.py lists the fields of CONFIG.toml and their defaults. models/recipes contains the
    configurations of the paper.

    SIGTERM saves a checkpoint and ends with exit code 0. Ctrl-C keeps the last checkpoint. To resume the run, add
    --resume: the result is the same as without the interruption.

    To train on several GPUs or machines, start `vis train` with torchrun. The processes share the batch of each step.
    """
    reporter = Reporter(quiet or not _is_first_process(), debug)
    with reporter.guard():
        if new is not None:
            given = {
                "CONFIG.toml": config is not None,
                "--resume": resume,
                "--check": check,
                "--data": data is not None,
            }
            _write_config(new, out, [name for name, is_given in given.items() if is_given], overwrite, reporter)
            return
        if config is None:
            raise UsageError("no config", hint="Pass CONFIG.toml, or write it with --new FOLDER -o my.toml.")
        if overwrite:
            raise UsageError("--overwrite needs --new", hint="Omit it. To continue a run, use --resume.")
        if check and resume:
            raise UsageError("--check and --resume are both given", hint="Omit one of them.")
        if out is not None and out.is_file():
            raise UsageError(f"{out} is a file", hint="Use a folder for -o.")
        folder = out or RUNS / config.stem
        if check:
            _check(config, folder, data, device, reporter)
        else:
            _train(config, folder, data, device, resume=resume, reporter=reporter)


def _write_config(dataset: Path, out: Path | None, others: list[str], overwrite: bool, reporter: Reporter) -> None:
    """Write the config of a dataset."""
    from vis_cli.training.new_config import make_config

    if others:
        raise UsageError(f"--new and {others[0]} are both given", hint="Omit one of them.")
    if out is None or out.suffix.lower() != CONFIG_SUFFIX:
        raise UsageError("--new needs the config to write", hint=f"Use -o with a name that ends in {CONFIG_SUFFIX}.")
    if out.exists() and not overwrite:
        raise UsageError(f"{out} exists", hint="Use another name, or --overwrite to replace it.")
    made = make_config(dataset, out, reporter.note)
    with atomic_path(out) as temporary:
        temporary.write_text(made.text, encoding="utf-8")
    categories = f"{len(made.categories):,} {'category' if len(made.categories) == 1 else 'categories'}"
    reporter.note(f"{out}: {counted(made.num_images, 'image')} ({made.format}) of {categories}")
    reporter.note(f"Next, check the data: vis train {shlex.quote(str(out))} --check")


def _train(config: Path, folder: Path, data: Path | None, device: str, *, resume: bool, reporter: Reporter) -> None:
    from vis_cli.engine.device import choose_device
    from vis_cli.training import run_log, trainer
    from vis_cli.training.run import Hooks
    from vis_cli.zoo.model_argument import model_argument

    if not run_log.has_tensorboard():
        reporter.note(
            "TensorBoard is not installed: no curves and images are written. To install it: pip install tensorboard"
        )
    with StepProgress(reporter, line_every=LINE_EVERY) as progress:
        hooks = Hooks(
            lambda step, steps, values: progress.update(step, steps, _shown(values)), reporter.note, reporter.warn
        )
        outcome = trainer.train(
            config, folder, resume=resume, device=choose_device(device), data_root=data, hooks=hooks
        )
    if outcome.finished:
        reporter.note(f"{folder}: the model is complete. Use it with --model {model_argument(folder)}")
    else:
        reporter.note(f"{folder}: stopped and saved after step {outcome.step}. Use --resume to continue")


def _check(config: Path, folder: Path, data: Path | None, device: str, reporter: Reporter) -> None:
    from vis_cli.engine.device import choose_device
    from vis_cli.training.check import check_run
    from vis_cli.training.run import Hooks

    hooks = Hooks(note=reporter.note, warn=reporter.warn)
    _print_check(check_run(config, folder, device=choose_device(device), data_root=data, hooks=hooks))


def _print_check(report: CheckReport) -> None:
    for name, count in report.num_items.items():
        print_line(f"{name}: {count} images or frames at which a training clip can start")
    print_line(f"{report.sheet}: 12 training clips. Thick outlines: guidance masks; white: ignored regions")
    losses = ", ".join(f"{name} {value:.3f}" for name, value in report.losses.items())
    print_line(f"one of {report.num_steps} steps took {report.seconds:.1f} s: {losses}")


def _shown(values: Mapping[str, float]) -> dict[str, float]:
    shown = {name.removeprefix("loss_"): value for name, value in values.items() if name.startswith(SHOWN)}
    return shown | {"images/s": values["images_per_second"]}


def _is_first_process() -> bool:
    return os.environ.get("RANK", "0") == "0"

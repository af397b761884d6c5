"""The Typer app: registers the commands in their order in `vis --help`.

Used by the console script and by `python -m vis_cli`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from vis_cli import __version__
from vis_cli.commands.evaluate import evaluate
from vis_cli.commands.export import export
from vis_cli.commands.export_json import export_json
from vis_cli.commands.import_ import import_annotations
from vis_cli.commands.models import models_app
from vis_cli.commands.option_groups import GroupedCommand
from vis_cli.commands.render import render
from vis_cli.commands.report import report
from vis_cli.commands.segment import segment
from vis_cli.commands.settings import settings
from vis_cli.commands.train import train
from vis_cli.console import EXIT_INTERRUPTED, Reporter, cleaned, print_line
from vis_cli.home_paths import expand_home
from vis_cli.options import examples
from vis_cli.path_options import require_paths
from vis_cli.signals import SIGNAL_EXIT, install_handlers, received_signal, restore_handlers
from vis_cli.standard_streams import make_streams_safe


class OneLineGroup(TyperGroup):
    """Group of all commands. An error outside of `Reporter.guard` is also printed as one line."""

    def make_context(self, info_name: str | None, args: list[str], *more: Any, **extra: Any) -> Any:
        """Parse the command line; `--help` and `--version` print here."""
        with _one_line():
            require_paths(args, app)
            return super().make_context(info_name, expand_home(args), *more, **extra)

    def invoke(self, ctx: Any) -> Any:
        """Run a command."""
        with _one_line():
            return super().invoke(ctx)


@contextmanager
def _one_line() -> Iterator[None]:
    with Reporter().guard():
        try:
            yield
        except Exception as error:  # a usage error of Typer: its message may contain control characters of an argument
            message = getattr(error, "message", None)
            if isinstance(message, str):
                error.message = cleaned(message)  # type: ignore[attr-defined]
            raise


app = typer.Typer(
    name="vis",
    cls=OneLineGroup,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["--help", "-h"]},
)


def print_version(wanted: bool) -> None:
    """Print the version and exit if `--version` is given."""
    if wanted:
        print_line(f"vis {__version__}")
        raise typer.Exit


app.command(
    cls=GroupedCommand,
    epilog=examples(
        "vis segment holiday.mp4 -o results",
        "vis segment holiday.mp4 -o results --min-score 0",
        "vis segment videos/ -o results --no-render --preset ytvis2021",
        "vis segment clip.mp4 -o results --masks first_frame.png --names 1=dog,2=rider",
        "vis segment clip.mp4 -o results --detector yolox.onnx",
        "vis segment videos/ -o results --detections boxes/",
        "vis segment 'day?/*.mov' -o results --device cuda:1 --num-key-frames 8",
        "vis segment 0 --live -o results",
        "vis segment clip.mp4 -o results --set memory_previous=true --set memory_frames=none",
    ),
)(segment)
app.command(
    epilog=examples(
        "vis render results/holiday.json -o holiday_masks.mp4 --min-score 0.5",
        "vis render results/holiday.json -o cat.mp4 --only 1,4 --video moved/holiday.mp4",
        "vis render results/holiday.json --as blur --only person,car -o blurred.mp4",
        "vis render results/holiday.json --as alpha --only dog -o dog.mov",
        "vis render results/ --as contact-sheet -o sheets",
    ),
)(render)
app.command(
    epilog=examples(
        "vis report results/holiday.json -o holiday.html",
        "vis report results/ -o report --annotations valid.json",
    ),
)(report)
app.command(
    epilog=examples(
        "vis export results/ --to csv -o tracks.csv --min-score 0.5",
        "vis export results/holiday.json --to cvat -o holiday.xml --only person,car",
        "vis export results/ --to yolo-seg -o dataset --every 10 --rename truck=vehicle,bus=vehicle",
        "vis export results/ --to coco-video -o instances.json --min-score 0.3",
        "vis export results/ --to mots -o mots/ --top 50",
    ),
)(export)
app.command(
    "import",
    epilog=examples(
        "vis import corrected.zip --from cvat --video holiday.mp4 -o holiday.json",
        "vis import instances.json --from coco-video --video holiday.mp4 -o holiday.json",
    ),
)(import_annotations)
app.command(
    "export-json",
    epilog=examples(
        "vis export-json results/ --split valid.json -o submission.zip",
        "vis export-json --check submission.zip --annotations valid.json",
        "vis export-json results/ --split DAVIS/ImageSets/2017/val.txt -o davis.zip",
        "vis export-json results/ --format davis -o davis.zip --min-score 0.3",
    ),
)(export_json)
app.command(
    "eval",
    cls=GroupedCommand,
    epilog=examples(
        "vis eval results.json --annotations valid.json",
        "vis eval results/ --annotations valid.json --json scores.json --plots plots",
        "vis eval pngs/ --davis DAVIS",
        "vis eval --segment --annotations valid.json --frames JPEGImages --preset ytvis2021",
        "vis eval --segment --davis DAVIS --task semi-supervised",
    ),
)(evaluate)
app.command(
    epilog=examples(
        "vis train my.toml -o runs/mine --check",
        "vis train my.toml -o runs/mine --device cuda",
        "vis train my.toml -o runs/mine --resume",
        "vis train models/recipes/r50-ytvis2019-main.toml --data DATA",
        "torchrun --nproc-per-node 4 -m vis_cli train my.toml -o runs/mine",
    )
)(train)
app.add_typer(models_app, name="models")
app.command(
    "settings",
    epilog=examples("vis settings", "vis settings ytvis2021 --toml > my.toml", "vis settings released-ytvis --json"),
)(settings)


@app.callback(epilog=examples("vis segment holiday.mp4 -o results", "vis segment --help"))
def vis(
    *,
    show_version: Annotated[
        bool,
        typer.Option("--version", metavar="", help="Print the version.", is_eager=True, callback=print_version),
    ] = False,
) -> None:
    """Segment the objects of videos: a class, a score and a mask in every frame for each object.

    Exit codes:

    0: success. 1: at least one input failed. 2: wrong usage.

    130: interrupted by Ctrl-C. 143: interrupted by SIGTERM. 129: interrupted by SIGHUP.
    """


def main() -> None:
    """Run `vis` with the command-line arguments of the process."""
    install_handlers()
    try:
        make_streams_safe()
        app(prog_name="vis")
    except SystemExit as end:
        code = end.code
    except BaseException:
        if received_signal() is None:
            raise
        Reporter().error("interrupted")  # a library replaced the signal's exception by another exception
        code = EXIT_INTERRUPTED
    finally:
        restore_handlers()
    signal = received_signal()
    sys.exit(code if signal is None or code != EXIT_INTERRUPTED else SIGNAL_EXIT + signal)

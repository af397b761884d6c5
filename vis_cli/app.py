"""The Typer app: registers the commands in their order in `vis --help`.

Used by the console script and by `python -m vis_cli`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from vis_cli import __version__
from vis_cli.console import EXIT_INTERRUPTED, Reporter, cleaned, print_line
from vis_cli.home_paths import expand_home
from vis_cli.import_pause import pause_collector
from vis_cli.openmp import wait_passively
from vis_cli.options import examples
from vis_cli.path_options import require_paths
from vis_cli.signals import SIGNAL_EXIT, install_handlers, received_signal, restore_handlers
from vis_cli.standard_streams import make_streams_safe

COMPLETION_VARIABLE = "_VIS_COMPLETE"  # the completion script of a shell sets it


@dataclass(frozen=True, slots=True)
class Entry:
    """Command of `vis`. Its module is imported only if this command is called, so that all commands start fast."""

    name: str
    source: str  # module in `vis_cli.commands` and name of the function, or of the group
    summary: str  # line of `vis --help`, the first line of the command's docstring
    examples: tuple[str, ...] = ()
    has_rare_options: bool = False

    def register(self, app: typer.Typer) -> None:
        """Import the command and add it to the app."""
        module, _, function = self.source.partition(".")
        command = getattr(import_module(f"vis_cli.commands.{module}"), function)
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=self.name)
            return
        kind: dict[str, Any] = {}
        if self.has_rare_options:
            from vis_cli.commands.option_groups import GroupedCommand

            kind = {"cls": GroupedCommand}
        app.command(self.name, epilog=examples(*self.examples), **kind)(command)

    def register_summary(self, app: typer.Typer) -> None:
        """Add the command to the app for `vis --help` only, without an import."""

        @app.command(self.name, help=self.summary)
        def not_imported() -> None:
            raise RuntimeError(f"the command {self.name} is not imported")


COMMANDS = (
    Entry(
        "segment",
        "segment.segment",
        "Detect, segment and track the objects of videos.",
        (
            "vis segment holiday.mp4 -o results",
            "vis segment holiday.mp4 -o results --min-score 0",
            "vis segment videos/ -o results --no-render --preset ytvis2021",
            "vis segment holiday.mp4 -o results --only person,car",
            "vis segment clip.mp4 -o results --masks first_frame.png --names 1=dog,2=rider",
            "vis segment clip.mp4 -o results --box '30:100,50,220,180'",
            "vis segment clip.mp4 -o results --detector yolox.onnx",
            "vis segment videos/ -o results --detections boxes/",
            "vis segment 'day?/*.mov' -o results --device cuda:1 --num-key-frames 8",
            "vis segment 0 --live -o results",
            "vis segment clip.mp4 -o results --set memory_previous=true --set memory_frames=none",
        ),
        has_rare_options=True,
    ),
    Entry(
        "batch",
        "batch_videos.batch",
        "Segment thousands of videos with several worker processes, on one machine or as shards on many.",
        (
            "vis batch videos.csv -o results --workers 4",
            "vis batch videos/ 'day?/*.mp4' -o results --dry-run --rate 4",
            "vis batch videos.jsonl -o results --shard 3/8",
            "vis batch --status results",
            "vis batch --retry results --timed-out --frame-time-limit 60",
        ),
        has_rare_options=True,
    ),
    Entry(
        "render",
        "render.render",
        "Draw results over their videos: overlays, mattes, cut-outs, redaction or contact sheets.",
        (
            "vis render results/holiday.json -o holiday_masks.mp4 --min-score 0.5",
            "vis render results/holiday.json -o cat.mp4 --only 1,4 --video moved/holiday.mp4",
            "vis render results/holiday.json --as blur --only person,car -o blurred.mp4",
            "vis render results/holiday.json --as alpha --only dog -o dog.mov",
            "vis render results/ --as contact-sheet -o sheets",
        ),
    ),
    Entry(
        "report",
        "report.report",
        "Write a page per result: video with masks, timeline and tables. It works offline in every browser.",
        (
            "vis report results/holiday.json -o holiday.html",
            "vis report results/ -o report --annotations valid.json",
        ),
    ),
    Entry(
        "export",
        "export.export",
        "Write results in the format of another tool. No model runs.",
        (
            "vis export results/ --to csv -o tracks.csv --min-score 0.5",
            "vis export results/holiday.json --to cvat -o holiday.xml --only person,car",
            "vis export results/ --to yolo-seg -o dataset --every 10 --rename truck=vehicle,bus=vehicle",
            "vis export results/ --to coco-video -o instances.json --min-score 0.3",
            "vis export results/ --to mots -o mots/ --top 50",
        ),
    ),
    Entry(
        "import",
        "import_.import_annotations",
        "Turn annotations of another tool, such as corrected results, into a result. No model runs.",
        (
            "vis import corrected.zip --from cvat --video holiday.mp4 -o holiday.json",
            "vis import instances.json --from coco-video --video holiday.mp4 -o holiday.json",
        ),
    ),
    Entry(
        "export-json",
        "export_json.export_json",
        "Convert results to submissions for benchmarks, or check a submission.",
        (
            "vis export-json results/ --split valid.json -o submission.zip",
            "vis export-json --check submission.zip --annotations valid.json",
            "vis export-json results/ --split DAVIS/ImageSets/2017/val.txt -o davis.zip",
            "vis export-json results/ --format davis -o davis.zip --min-score 0.3",
        ),
    ),
    Entry(
        "eval",
        "evaluate.evaluate",
        "Score results with the metrics of YouTube-VIS, OVIS or DAVIS.",
        (
            "vis eval results.json --annotations valid.json",
            "vis eval results/ --annotations valid.json --json scores.json --plots plots",
            "vis eval pngs/ --davis DAVIS",
            "vis eval --segment --annotations valid.json --frames JPEGImages --preset ytvis2021",
            "vis eval --segment --davis DAVIS --task semi-supervised",
        ),
        has_rare_options=True,
    ),
    Entry(
        "train",
        "train.train",
        "Train a model.",
        (
            "vis train my.toml -o runs/mine --check",
            "vis train my.toml -o runs/mine --device cuda",
            "vis train my.toml -o runs/mine --resume",
            "vis train models/recipes/r50-ytvis2019-main.toml --data DATA",
            "torchrun --nproc-per-node 4 -m vis_cli train my.toml -o runs/mine",
        ),
    ),
    Entry(
        "settings",
        "settings.settings",
        "Print every setting with its value in PRESET, its range and its meaning.",
        (
            "vis settings",
            "vis settings ytvis2021 --toml > my.toml",
            "vis settings released-ytvis --json",
        ),
    ),
    Entry(
        "report-system",
        "report_system.report_system",
        "Print versions, devices, codecs and models for a bug report.",
        (
            "vis report-system",
            "vis report-system --json",
        ),
    ),
    Entry(
        "models",
        "models.models_app",
        "List the included models, describe a model, or import a checkpoint of the authors' implementation.",
    ),
)


class OneLineGroup(TyperGroup):
    """Group of all commands. An error outside of `Reporter.guard` is also printed as one line."""

    def make_context(self, info_name: str | None, args: list[str], *more: Any, **extra: Any) -> Any:
        """Parse the command line; `--help` and `--version` print here."""
        with _one_line():
            require_paths(args, self)
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


def print_version(wanted: bool) -> None:
    """Print the version and exit if `--version` is given."""
    if wanted:
        print_line(f"vis {__version__}")
        raise typer.Exit


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


@cache
def make_app(only: str | None = None) -> typer.Typer:
    """Return the app.

    Args:
        only: Name of the command to import. All other commands have only a line in `vis --help`. None imports all.
    """
    app = typer.Typer(
        name="vis",
        cls=OneLineGroup,
        no_args_is_help=True,
        rich_markup_mode="rich",
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["--help", "-h"]},
    )
    app.callback(epilog=examples("vis segment holiday.mp4 -o results", "vis segment --help"))(vis)
    for entry in COMMANDS:
        if only in (None, entry.name):
            entry.register(app)
        else:
            entry.register_summary(app)
    return app


def __getattr__(name: str) -> typer.Typer:
    """Return the app with all commands as `app`."""
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return make_app()


def called_command(arguments: Sequence[str]) -> str | None:
    """Return the first argument that is not an option, or None if the completion of a shell needs all commands."""
    if COMPLETION_VARIABLE in os.environ:
        return None
    return next((argument for argument in arguments if not argument.startswith("-")), "")


def main() -> None:
    """Run `vis` with the command-line arguments of the process."""
    install_handlers()
    wait_passively()
    try:
        make_streams_safe()
        with pause_collector():
            app = make_app(called_command(sys.argv[1:]))
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

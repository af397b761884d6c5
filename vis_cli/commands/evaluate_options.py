"""The options of `vis eval` that no other command has, and which of its four ways a command line means.

Used by `evaluate`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import typer

from vis_cli.config import SegmentConfig
from vis_cli.console import UsageError
from vis_cli.options import OUTPUT_PANEL, RUN_PANEL, complete_preset
from vis_cli.records.davis_layout import Task

TRUTH_PANEL = "What it is compared with"
MODEL_PANEL = "A model to run first"

Results: TypeAlias = Annotated[
    Path | None,
    typer.Argument(
        metavar="RESULTS",
        exists=True,
        help="What is scored: results.json, a zip of it, what `vis segment` wrote (NAME.json or a folder of them), or "
        "for DAVIS a folder <sequence>/<frame>.png.",
        show_default=False,
    ),
]
Annotations: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--annotations",
        metavar="SPLIT.json",
        exists=True,
        dir_okay=False,
        rich_help_panel=TRUTH_PANEL,
        help="The ground truth of a split of YouTube-VIS 2019, 2021 or OVIS.",
    ),
]
Davis: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--davis",
        metavar="DIR",
        exists=True,
        file_okay=False,
        rich_help_panel=TRUTH_PANEL,
        help="The DAVIS folder, with Annotations_unsupervised/480p, Annotations/480p or plainly Annotations in it.",
    ),
]
DavisTask: TypeAlias = Annotated[
    Task | None,
    typer.Option(
        "--task",
        metavar="TASK",
        rich_help_panel=TRUTH_PANEL,
        help="unsupervised: proposals are assigned to the objects; semi-supervised: the first frame's masks are given, "
        "so that numbers are known. [dim]\\[default: unsupervised][/dim]",
    ),
]
DavisSplit: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--davis-split",
        metavar="NAME",
        rich_help_panel=TRUTH_PANEL,
        help="Which list of DAVIS sequences: ImageSets/2017/NAME.txt or NAME.json. [dim]\\[default: val][/dim]",
    ),
]
Sequences: TypeAlias = Annotated[
    str,
    typer.Option(
        "--sequences",
        metavar="NAMES",
        rich_help_panel=TRUTH_PANEL,
        help="Only these DAVIS sequences, as in camel,dog. [dim]\\[default: those of the list][/dim]",
        show_default=False,
    ),
]
EvalModel: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--model",
        metavar="NAME|DIR",
        rich_help_panel=MODEL_PANEL,
        help="Segment with this model and score that; it takes the options of `vis segment`.",
    ),
]
EvalDetector: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--detector",
        metavar="NAME|DIR",
        rich_help_panel=MODEL_PANEL,
        help="As in `vis segment`; with --propagator, no --model is needed.",
    ),
]
EvalPropagator: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--propagator",
        metavar="NAME|DIR",
        rich_help_panel=MODEL_PANEL,
        help="As in `vis segment`; with --detector, no --model is needed.",
    ),
]
Frames: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--frames",
        metavar="DIR",
        exists=True,
        file_okay=False,
        rich_help_panel=MODEL_PANEL,
        help="The split's pictures, DIR/<video>/*.jpg, as a rule JPEGImages; DAVIS has its own.",
    ),
]
OutFolder: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "-o",
        "--out",
        metavar="DIR",
        file_okay=False,
        rich_help_panel=MODEL_PANEL,
        help="Keep what the model found here. [dim]\\[default: it is dropped][/dim]",
    ),
]
RenderToo: TypeAlias = Annotated[
    bool, typer.Option("--render", metavar="", rich_help_panel=MODEL_PANEL, help="Keep overlay videos in DIR, too.")
]
EvalPreset: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--preset",
        metavar="NAME",
        rich_help_panel=MODEL_PANEL,
        autocompletion=complete_preset,
        help="As in `vis segment`. [dim]\\[default: default; davis-uvos for DAVIS][/dim]",
    ),
]
JsonFile: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--json",
        metavar="FILE",
        dir_okay=False,
        rich_help_panel=OUTPUT_PANEL,
        help="Write every number to this file, all digits.",
    ),
]
Plots: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--plots",
        metavar="DIR",
        file_okay=False,
        rich_help_panel=OUTPUT_PANEL,
        help="Draw precision over recall and AP by category, or J&F by sequence, as PNGs.",
    ),
]
Workers: TypeAlias = Annotated[
    int | None,
    typer.Option(
        "--workers",
        metavar="N",
        min=1,
        rich_help_panel=RUN_PANEL,
        help="Processes that score. [dim]\\[default: one a core][/dim]",
    ),
]

MODEL_ONLY = (
    *("detector", "propagator", "preset", "frames", "out"),
    *(field.name for field in dataclasses.fields(SegmentConfig)),
)
DAVIS_ONLY = ("task", "davis_split", "sequences")


def check_usage(given: Mapping[str, Any]) -> None:
    """See that the options, by name, mean one of the four ways.

    Raises:
        UsageError: they do not.
    """
    if (given["annotations"] is None) == (given["davis"] is None):
        raise UsageError("give either --annotations SPLIT.json (YouTube-VIS, OVIS) or --davis DIR")
    runs_model = given["model"] is not None or None not in (given["detector"], given["propagator"])
    if (given["results"] is None) != runs_model:
        raise UsageError("give either RESULTS to score or a --model to run first, or --detector and --propagator")
    _refuse_idle(given, DAVIS_ONLY, "--davis", wanted=given["davis"] is not None)
    _refuse_idle(given, MODEL_ONLY, "--model", wanted=runs_model)
    if given["render"] and given["out"] is None:
        raise UsageError("--render needs -o DIR, where the overlay videos are kept")
    if runs_model and given["annotations"] is not None and given["frames"] is None:
        raise UsageError("give the pictures of the split, too: --frames DIR, as a rule JPEGImages beside its JSON")


def _refuse_idle(given: Mapping[str, Any], names: tuple[str, ...], needed: str, *, wanted: bool) -> None:
    """Refuse an option that would change nothing, since what it belongs to was not given."""
    idle = next((name for name in names if given[name] not in (None, "")), None)
    if idle is not None and not wanted:
        raise UsageError(f"--{idle.replace('_', '-')} means something only with {needed}")

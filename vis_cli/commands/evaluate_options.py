"""Options that only `vis eval` has, and the check that they belong together.

Used by `evaluate`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import typer

from vis_cli.commands.option_groups import changed_options
from vis_cli.console import UsageError
from vis_cli.options import INPUT_PANEL, OUTPUT_PANEL, RUN_PANEL
from vis_cli.records.davis_layout import Task

TRUTH_PANEL = "Ground truth"
SEGMENT_PANEL = "Segment first (--segment)"

Results: TypeAlias = Annotated[
    Path | None,
    typer.Argument(
        metavar="RESULTS",
        exists=True,
        help="Results to score: results.json of a benchmark or its zip, or NAME.json of `vis segment` or a folder of "
        "these files. For DAVIS also a folder with <sequence>/<frame>.png.",
        show_default=False,
    ),
]


@dataclass(frozen=True, slots=True)
class TruthOptions:
    """Options for the ground truth."""

    annotations: Annotated[
        Path | None,
        typer.Option(
            "--annotations",
            metavar="SPLIT.json",
            exists=True,
            dir_okay=False,
            rich_help_panel=TRUTH_PANEL,
            help="Annotation file of a split of YouTube-VIS 2019, YouTube-VIS 2021 or OVIS.",
        ),
    ] = None
    davis: Annotated[
        Path | None,
        typer.Option(
            "--davis",
            metavar="DIR",
            exists=True,
            file_okay=False,
            rich_help_panel=TRUTH_PANEL,
            help="DAVIS folder with Annotations_unsupervised/480p, Annotations/480p or Annotations.",
        ),
    ] = None
    task: Annotated[
        Task | None,
        typer.Option(
            "--task",
            metavar="TASK",
            rich_help_panel=TRUTH_PANEL,
            help="DAVIS task. unsupervised: predictions are matched with the objects by the best J&F; "
            "semi-supervised: the masks of the first frame are given, and objects are matched by id. "
            "[dim]\\[default: unsupervised][/dim]",
        ),
    ] = None
    davis_split: Annotated[
        str | None,
        typer.Option(
            "--davis-split",
            metavar="NAME",
            rich_help_panel=INPUT_PANEL,
            help="List of DAVIS sequences: ImageSets/2017/NAME.txt or NAME.json. [dim]\\[default: val][/dim]",
        ),
    ] = None
    sequences: Annotated[
        str,
        typer.Option(
            "--sequences",
            metavar="NAMES",
            rich_help_panel=INPUT_PANEL,
            help="DAVIS sequences to score, such as camel,dog. [dim]\\[default: all sequences of the list][/dim]",
            show_default=False,
        ),
    ] = ""


@dataclass(frozen=True, slots=True)
class SegmentOptions:
    """Options for segmenting the videos first."""

    segment: Annotated[
        bool,
        typer.Option(
            "--segment",
            metavar="",
            rich_help_panel=SEGMENT_PANEL,
            help="Segment the videos first and score the results.",
        ),
    ] = False
    frames: Annotated[
        Path | None,
        typer.Option(
            "--frames",
            metavar="DIR",
            exists=True,
            file_okay=False,
            rich_help_panel=SEGMENT_PANEL,
            help="Folder of the images of a split, DIR/<video>/*.jpg, such as JPEGImages. Not needed with --davis.",
        ),
    ] = None
    out: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--out",
            metavar="DIR",
            file_okay=False,
            rich_help_panel=SEGMENT_PANEL,
            help="Folder in which the results are kept. [dim]\\[default: a temporary folder][/dim]",
        ),
    ] = None
    render: Annotated[
        bool,
        typer.Option("--render", metavar="", rich_help_panel=SEGMENT_PANEL, help="Also keep overlay videos in DIR."),
    ] = False


@dataclass(frozen=True, slots=True)
class ScoreOptions:
    """Options for the output of the scores."""

    json_file: Annotated[
        Path | None,
        typer.Option(
            "--json",
            metavar="FILE",
            dir_okay=False,
            rich_help_panel=OUTPUT_PANEL,
            help="JSON file for all scores, in full precision.",
        ),
    ] = None
    plots: Annotated[
        Path | None,
        typer.Option(
            "--plots",
            metavar="DIR",
            file_okay=False,
            rich_help_panel=OUTPUT_PANEL,
            help="Folder for plots (PNG). YouTube-VIS and OVIS: precision over recall, and AP by category. DAVIS: J&F "
            "by sequence.",
        ),
    ] = None
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite",
            metavar="",
            rich_help_panel=OUTPUT_PANEL,
            help="Replace existing scores and plots, and existing results of these videos.",
        ),
    ] = False
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers",
            metavar="N",
            min=1,
            rich_help_panel=RUN_PANEL,
            help="Number of scoring processes. [dim]\\[default: one per core][/dim]",
        ),
    ] = None


DAVIS_ONLY = ("--task", "--davis-split", "--sequences")


def check_usage(results: Path | None, truth: TruthOptions, first: SegmentOptions, groups: Iterable[Any]) -> None:
    """Check that the options belong together. `groups` are the groups that only --segment uses.

    Raises:
        UsageError: An option is missing, or two options exclude each other.
    """
    if (truth.annotations is None) == (truth.davis is None):
        raise UsageError(
            "one ground truth is needed", hint="Use either --annotations SPLIT.json (YouTube-VIS, OVIS) or --davis DIR."
        )
    if truth.davis is None and (idle := [name for name in changed_options(truth) if name in DAVIS_ONLY]):
        raise UsageError(f"{idle[0]} needs --davis DIR.")
    if first.segment and results is not None:
        raise UsageError("RESULTS and --segment are both given. Omit RESULTS, or omit --segment to score RESULTS.")
    if not first.segment:
        idle = [name for group in (first, *groups) for name in changed_options(group)]
        if idle:
            raise UsageError(f"{idle[0]} needs --segment, which runs a model before its results are scored.")
        if results is None:
            raise UsageError("no RESULTS to score", hint="Give RESULTS, or --segment to run a model first.")
        return
    if truth.task == "semi-supervised" and any("--detector" in changed_options(group) for group in groups):
        raise UsageError(
            "--detector and --task semi-supervised are both given, but this task starts from the masks of the first "
            "frame. Omit --detector."
        )
    if first.render and first.out is None:
        raise UsageError("--render needs -o DIR", hint="Add the folder of the overlay videos.")
    if truth.annotations is not None and first.frames is None:
        raise UsageError(
            "--segment needs the images of the split. Use --frames DIR, such as JPEGImages next to its JSON."
        )

"""The options of `vis eval` that no other command has, and whether a command line is complete.

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
        help="Results to score: results.json, a zip of it, what `vis segment` wrote (NAME.json or a folder of it), or "
        "for DAVIS a folder <sequence>/<frame>.png.",
        show_default=False,
    ),
]


@dataclass(frozen=True, slots=True)
class TruthOptions:
    """The benchmark that results are compared with."""

    annotations: Annotated[
        Path | None,
        typer.Option(
            "--annotations",
            metavar="SPLIT.json",
            exists=True,
            dir_okay=False,
            rich_help_panel=TRUTH_PANEL,
            help="Annotations of a split of YouTube-VIS 2019, 2021 or OVIS.",
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
            help="The DAVIS folder. It contains Annotations_unsupervised/480p, Annotations/480p or Annotations.",
        ),
    ] = None
    task: Annotated[
        Task | None,
        typer.Option(
            "--task",
            metavar="TASK",
            rich_help_panel=TRUTH_PANEL,
            help="unsupervised: proposals are assigned to the objects; semi-supervised: the masks of the first frame "
            "are given, so that the ids are known. [dim]\\[default: unsupervised][/dim]",
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
            help="Only these DAVIS sequences, such as camel,dog. [dim]\\[default: those of the list][/dim]",
            show_default=False,
        ),
    ] = ""


@dataclass(frozen=True, slots=True)
class SegmentOptions:
    """Whether a model segments the videos first, and where its results go."""

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
            help="Images of the split, DIR/<video>/*.jpg, such as JPEGImages. DAVIS has its own.",
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
            help="Keep the results in this folder. [dim]\\[default: they are removed][/dim]",
        ),
    ] = None
    render: Annotated[
        bool,
        typer.Option("--render", metavar="", rich_help_panel=SEGMENT_PANEL, help="Also keep overlay videos in DIR."),
    ] = False


@dataclass(frozen=True, slots=True)
class FigureOptions:
    """Where the scores go."""

    json_file: Annotated[
        Path | None,
        typer.Option(
            "--json",
            metavar="FILE",
            dir_okay=False,
            rich_help_panel=OUTPUT_PANEL,
            help="Write every score to this file, with all digits.",
        ),
    ] = None
    plots: Annotated[
        Path | None,
        typer.Option(
            "--plots",
            metavar="DIR",
            file_okay=False,
            rich_help_panel=OUTPUT_PANEL,
            help="Plot precision over recall and AP by category, or J&F by sequence, as PNGs.",
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
            help="Number of processes that score. [dim]\\[default: one per core][/dim]",
        ),
    ] = None


DAVIS_ONLY = ("--task", "--davis-split", "--sequences")


def check_usage(results: Path | None, truth: TruthOptions, first: SegmentOptions, groups: Iterable[Any]) -> None:
    """Check that the options belong together; `groups` are those that only --segment uses.

    Raises:
        UsageError: They do not.
    """
    if (truth.annotations is None) == (truth.davis is None):
        raise UsageError(
            "no ground truth, or two. Use either --annotations SPLIT.json (YouTube-VIS, OVIS) or --davis DIR."
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
            raise UsageError("no RESULTS to score. Give RESULTS, or --segment to run a model first.")
        return
    if first.render and first.out is None:
        raise UsageError("--render needs -o DIR, where the overlay videos are kept.")
    if truth.annotations is not None and first.frames is None:
        raise UsageError(
            "--segment needs the images of the split. Use --frames DIR, such as JPEGImages next to its JSON."
        )

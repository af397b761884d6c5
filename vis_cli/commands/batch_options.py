"""Groups of options of `vis batch`. Used by `batch_videos`, `batch_run` and `planned_batch`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from vis_cli import options

STATE_PANEL = "State of a batch"
LIMIT_PANEL = "Limits"
WORKER_PANEL = "Workers"


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """Options that distribute the videos."""

    workers: Annotated[
        int | None,
        typer.Option(
            "--workers",
            metavar="N",
            min=1,
            max=1024,
            rich_help_panel=WORKER_PANEL,
            help="Number of worker processes. They divide the CPU cores; of several GPUs, each worker uses one. "
            "[dim]\\[default: one per GPU; without a GPU, one per 4 CPU cores][/dim]",
            show_default=False,
        ),
    ] = None
    scratch: Annotated[
        Path | None,
        typer.Option(
            "--scratch",
            metavar="DIR",
            file_okay=False,
            rich_help_panel=WORKER_PANEL,
            help="Folder for copies of remote videos, at most two per worker. [dim]\\[default: folder for temporary "
            "files][/dim]",
            show_default=False,
        ),
    ] = None
    shard: Annotated[
        str | None,
        typer.Option(
            "--shard",
            metavar="I/N",
            rich_help_panel=WORKER_PANEL,
            help="Segment only shard I, counted from 1, of N. A hash of the name selects the shard of a video.",
            show_default=False,
        ),
    ] = None
    ray: Annotated[
        str | None,
        typer.Option(
            "--ray",
            metavar="ADDRESS",
            rich_help_panel=WORKER_PANEL,
            help="Use the workers of a Ray cluster: its HOST:PORT, auto for the cluster of this machine, or local for "
            "a new one on this machine. Needs the extra ray.",
            show_default=False,
        ),
    ] = None


@dataclass(frozen=True, slots=True)
class LimitOptions:
    """Limits of one video."""

    time_limit: Annotated[
        float,
        typer.Option(
            "--time-limit",
            metavar="SECONDS",
            min=0.1,
            rich_help_panel=LIMIT_PANEL,
            help="Time limit of a video, in addition to --frame-time-limit for each frame. The loading of the model "
            "does not count.",
        ),
    ] = 300.0
    frame_time_limit: Annotated[
        float,
        typer.Option(
            "--frame-time-limit", metavar="SECONDS", min=0.0, rich_help_panel=LIMIT_PANEL, help="Time limit per frame."
        ),
    ] = 10.0
    memory_limit: Annotated[
        int | None,
        typer.Option(
            "--memory-limit",
            metavar="MB",
            min=1,
            rich_help_panel=LIMIT_PANEL,
            help="Memory limit of a worker in MiB. [dim]\\[default: memory of the machine / number of workers][/dim]",
            show_default=False,
        ),
    ] = None


@dataclass(frozen=True, slots=True)
class StateOptions:
    """Options that do not start a new batch."""

    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            metavar="",
            rich_help_panel=STATE_PANEL,
            help="Read only the headers of the videos, and print frames, hours and disk space.",
        ),
    ] = False
    rate: Annotated[
        float | None,
        typer.Option(
            "--rate",
            metavar="FPS",
            min=0.001,
            rich_help_panel=STATE_PANEL,
            help="Frames per second of a worker, for --dry-run. [dim]\\[default: the mean of earlier runs in -o "
            "DIR][/dim]",
            show_default=False,
        ),
    ] = None
    status: Annotated[
        str | None,
        typer.Option(
            "--status",
            metavar="DIR",
            rich_help_panel=STATE_PANEL,
            help="Print how many videos of the batch in DIR are done, failed and missing, the speed, the remaining "
            "time and the slowest videos.",
            show_default=False,
        ),
    ] = None
    parquet: Annotated[
        Path | None,
        typer.Option(
            "--parquet",
            metavar="FILE",
            rich_help_panel=STATE_PANEL,
            help="With --status: also write all rows of the manifest to a Parquet file.",
            show_default=False,
        ),
    ] = None
    retry: Annotated[
        str | None,
        typer.Option(
            "--retry",
            metavar="DIR",
            rich_help_panel=STATE_PANEL,
            help="Repeat the failed videos of the batch in DIR with the same options.",
            show_default=False,
        ),
    ] = None
    failed: Annotated[
        bool,
        typer.Option(
            "--failed",
            metavar="",
            rich_help_panel=STATE_PANEL,
            help="With --retry: only videos that did not exceed the time limit.",
        ),
    ] = False
    timed_out: Annotated[
        bool,
        typer.Option(
            "--timed-out",
            metavar="",
            rich_help_panel=STATE_PANEL,
            help="With --retry: only videos that exceeded the time limit. Raise --frame-time-limit.",
        ),
    ] = False


@dataclass(frozen=True, slots=True)
class FileOptions:
    """Options for the results."""

    render: Annotated[bool, typer.Option("--render", metavar="", help="Also write overlay videos.")] = False
    flat: Annotated[
        bool,
        typer.Option(
            "--flat",
            metavar="",
            help="Write all results into DIR. Without it, a hash of the name selects one of 256 folders in DIR.",
        ),
    ] = False
    overwrite: options.Overwrite = False

"""State and estimate of a batch, as `vis batch --status` and `--dry-run` print them. Used by `batch_run`."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from vis_cli.batch.driver import WorkItem
from vis_cli.batch.manifest import iter_rows
from vis_cli.batch.manifest_parquet import write_parquet
from vis_cli.batch.place import Place
from vis_cli.batch.plan import iter_names
from vis_cli.batch.status import BatchStatus, measure, read_status
from vis_cli.console import UsageError, print_line
from vis_cli.errors import VisError
from vis_cli.files.limits import MIB
from vis_cli.files.names import printable
from vis_cli.files.urls import is_url
from vis_cli.messages import counted
from vis_cli.records.header_length import HeaderLength, read_length
from vis_cli.records.part import make_request

PARQUET_SUFFIX = ".parquet"
HOUR, MINUTE = 3600, 60  # seconds
SHOWN_UNREADABLE = 5
NUM_READERS = 16  # threads that read headers


def print_status(out: Path) -> None:
    """Print the state of the batch in a folder.

    Raises:
        VisError: The plan or the manifest cannot be read.
    """
    for line in status_lines(read_status(out, iter_names(out))):
        print_line(line)


def export_manifest(out: Path, path: Path, *, overwrite: bool) -> None:
    """Write the manifest of the batch in a folder to a Parquet file.

    Raises:
        UsageError: The file extension is not .parquet, or the file exists and `overwrite` is False.
        VisError: The file cannot be written.
    """
    if path.suffix.lower() != PARQUET_SUFFIX:
        raise UsageError(f"--parquet is {path}. Use a name that ends with {PARQUET_SUFFIX}.")
    if path.exists() and not overwrite:
        raise UsageError(f"cannot write {path}: it exists", hint="Use --overwrite to replace it.")
    write_parquet(out, path)


def status_lines(status: BatchStatus) -> list[str]:
    """Return the lines that describe a state."""
    lines = [
        f"videos     {status.num_videos:,}",
        f"done       {status.num_done:,} ({counted(status.frames, 'frame')})",
        *(f"failed     {number:,} {kind}" for kind, number in status.failed.items()),
        f"missing    {status.num_missing:,}",
    ]
    if status.rate is not None:
        lines.append(f"rate       {status.rate * HOUR:,.1f} videos per hour (mean of all workers)")
        lines.append(f"remaining  {duration(status.remaining_seconds or 0.0)} at this rate")
    lines += [f"slowest    {seconds:,.1f} s  {printable(name)}" for seconds, name in status.slowest]
    return lines


def print_estimate(place: Place, items: Sequence[WorkItem], num_workers: int, rate: float | None) -> None:
    """Print frames, hours and disk space of the videos that a batch would segment.

    Args:
        place: Folder of the results, which may be missing. Its manifest gives the speed.
        items: The videos.
        num_workers: Number of workers.
        rate: Frames per second of a worker. None: the mean of the manifest.
    """
    measured = measure(iter_rows(place.folder))
    with ThreadPoolExecutor(NUM_READERS) as pool:  # it waits for the disk or the network
        lengths = list(pool.map(_length_of, items))
    known = [length for length in lengths if length is not None]
    num_frames, num_estimated = (
        sum(length.num_frames for length in known),
        sum(length.is_estimated for length in known),
    )
    unreadable = [item.task.path for item, length in zip(items, lengths, strict=True) if length is None]
    print_line(f"videos     {len(items):,} ({len(unreadable):,} without a known length)")
    for path in unreadable[:SHOWN_UNREADABLE]:
        print_line(f"unknown    {printable(path)}")
    estimated = f" (of {counted(num_estimated, 'video')}: duration times frame rate)" if num_estimated else ""
    print_line(f"frames     {num_frames:,}{estimated}")
    speed = rate or measured.frames_per_second
    if speed is None:
        print_line("time       unknown: add --rate FPS, or segment some of the videos first")
    else:
        seconds = num_frames / speed / num_workers
        source = "--rate" if rate else "mean of earlier videos"
        print_line(
            f"time       {duration(seconds)} with {counted(num_workers, 'worker')} at {speed:.2f} frames per second "
            f"each ({source})"
        )
    if measured.bytes_per_frame is None:
        print_line("disk       unknown: segment some of the videos first")
    else:
        print_line(f"disk       {num_frames * measured.bytes_per_frame / MIB:,.1f} MiB (mean of earlier videos)")
    if (free := place.free_bytes()) is not None:
        print_line(f"free       {free / MIB:,.1f} MiB")


def duration(seconds: float) -> str:
    """Return a duration in hours, minutes and seconds."""
    whole = round(seconds)
    return f"{whole // HOUR:,}:{whole // MINUTE % MINUTE:02}:{whole % MINUTE:02} h"


def _length_of(item: WorkItem) -> HeaderLength | None:
    """Return the length from the list or from the header. None: unknown, or the video cannot be opened."""
    task = item.task
    if task.frames is not None or is_url(task.path):  # remote videos are not downloaded for an estimate
        return None if task.frames is None else HeaderLength(task.frames, is_estimated=False)
    try:
        return read_length(Path(task.path), make_request(task.start, task.end))
    except (VisError, OSError):
        return None

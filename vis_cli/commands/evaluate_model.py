"""First part of `vis eval --segment`: segment each video of a benchmark with the batch of `vis segment`.

Used by `evaluate`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import typer

from vis_cli.commands.batch import Batch, BatchOptions
from vis_cli.commands.outputs import make_job, prepare_folder
from vis_cli.commands.own_results import is_own
from vis_cli.console import EXIT_INTERRUPTED, Reporter, UsageError, VideoReport
from vis_cli.errors import VisError
from vis_cli.evaluation.benchmark_videos import BenchmarkVideo
from vis_cli.records.result_head import ResultHead, read_head
from vis_cli.records.result_json import list_results


@contextmanager
def segmented(
    sources: Sequence[BenchmarkVideo], options: BatchOptions, out: Path | None, reporter: Reporter, *, render: bool
) -> Iterator[tuple[Path, list[VideoReport]]]:
    """Segment all videos. Yield the folder of the results and the reports.

    Args:
        sources: Videos of the benchmark.
        options: Model and settings.
        out: Folder of the results. None: a temporary folder, which is removed at the end.
        reporter: Prints messages and progress.
        render: Also write overlay videos.

    Raises:
        UsageError: `out` contains results, or it cannot be written to.
        VisError: A video failed, so the scores would be wrong.
    """
    with tempfile.TemporaryDirectory(prefix="vis-eval-") as temporary:
        folder = Path(temporary) if out is None else out
        prepare_folder(folder)
        if list_results(folder) and not options.overwrite:
            raise UsageError(
                f"cannot write to {folder}: it contains results",
                hint=f"Score them with `vis eval {folder}`, or use --overwrite.",
            )
        jobs = [
            make_job(source.frames, source.name, folder, render=render, masks=source.masks, stored=head)
            for source, head in zip(sources, _own_heads(sources, folder), strict=True)
        ]
        reports, interrupted = Batch(options, reporter).run(jobs)
        if interrupted:
            raise typer.Exit(EXIT_INTERRUPTED)
        failed = [report for report in reports if report.status == "failed"]
        if failed:
            raise VisError(
                f"cannot score: {len(failed)} of {len(jobs)} videos failed, the first is {failed[0].video}",
                hint="Fix the videos with an error, and run the same command again.",
            )
        yield folder, reports


def _own_heads(sources: Sequence[BenchmarkVideo], folder: Path) -> list[ResultHead | None]:
    """Return the existing result of each video in `folder`.

    Raises:
        UsageError: A file is the result of another video. It must not be replaced.
    """
    heads = [read_head(folder / f"{source.name}.json") for source in sources]
    for source, head in zip(sources, heads, strict=True):
        if head is not None and not is_own(head, source.frames):
            raise UsageError(f"cannot write {head.path}: it is the result of another video", hint="Use another -o DIR.")
    return heads

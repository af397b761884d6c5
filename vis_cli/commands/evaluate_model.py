"""The model's part of `vis eval --model`: every video of a benchmark segmented, as `vis segment` does it.

Used by `evaluate`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import typer

from vis_cli.commands.batch import Batch, BatchOptions
from vis_cli.commands.outputs import make_job, prepare_folder
from vis_cli.commands.own_results import is_own
from vis_cli.console import EXIT_INTERRUPTED, Reporter, UsageError, VideoReport
from vis_cli.errors import VisError
from vis_cli.records.davis import list_label_pngs
from vis_cli.records.davis_benchmark import DavisBenchmark, Task
from vis_cli.records.inputs import image_files
from vis_cli.records.result_head import ResultHead, read_head
from vis_cli.records.result_json import list_results
from vis_cli.records.youtube_vis import YouTubeVis, YouTubeVisVideo, require_distinct_names


@dataclass(frozen=True, slots=True)
class Source:
    """Name one video of a benchmark, and the masks given for it, if any."""

    name: str
    frames: Path
    masks: Path | None = None


def youtube_vis_sources(split: YouTubeVis, frames: Path) -> list[Source]:
    """Find the frames of every video of a split.

    Raises:
        VisError: a folder is missing, or has other pictures than the split lists; or two videos have one name.
    """
    require_distinct_names(split)
    for video in split.videos:
        _check_frames(video, frames / video.name, split.path)
    return [Source(video.name, frames / video.name) for video in split.videos]


def davis_sources(benchmark: DavisBenchmark, task: Task) -> list[Source]:
    """Find the frames of every sequence, and in the semi-supervised task the masks of its first frame.

    Raises:
        VisError: there are no frames.
    """
    frames = benchmark.frames
    if frames is None:
        raise VisError(f"{benchmark.masks}: there is no JPEGImages folder beside it, so the model has nothing to see")
    given = {name: list_label_pngs(benchmark.masks / name)[0] for name in benchmark.sequences}
    return [Source(name, frames / name, given[name] if task == "semi-supervised" else None) for name in given]


@contextmanager
def segmented(
    sources: Sequence[Source], options: BatchOptions, out: Path | None, reporter: Reporter, *, render: bool
) -> Iterator[tuple[Path, list[VideoReport]]]:
    """Segment all sources into the folder `out`, or into one that is gone at the end; yield it and what was done.

    Raises:
        UsageError: there are results in `out` already, or it cannot be written to.
        VisError: a video failed, so that no figure would be true.
    """
    with tempfile.TemporaryDirectory(prefix="vis-eval-") as temporary:
        folder = Path(temporary) if out is None else out
        prepare_folder(folder)
        if list_results(folder) and not options.overwrite:
            raise UsageError(f"{folder} has results already: score them with `vis eval {folder}`, or add --overwrite")
        jobs = [
            make_job(source.frames, source.name, folder, render=render, masks=source.masks, stored=head)
            for source, head in zip(sources, _own_heads(sources, folder), strict=True)
        ]
        reports, interrupted = Batch(options, reporter).run(jobs)
        if interrupted:
            raise typer.Exit(EXIT_INTERRUPTED)
        failed = [report for report in reports if report.status == "failed"]
        if failed:
            raise VisError(f"{len(failed)} of {len(jobs)} videos failed, the first being {failed[0].video}: no figures")
        yield folder, reports


def _own_heads(sources: Sequence[Source], folder: Path) -> list[ResultHead | None]:
    """Return the result of each source that is in `folder` already.

    Raises:
        UsageError: One is the result of another video, which must not be replaced.
    """
    heads = [read_head(folder / f"{source.name}.json") for source in sources]
    for source, head in zip(sources, heads, strict=True):
        if head is not None and not is_own(head, source.frames):
            raise UsageError(f"cannot write {head.path}: it is the result of another video. Use another -o DIR.")
    return heads


def _check_frames(video: YouTubeVisVideo, folder: Path, split: Path) -> None:
    listed = [PurePosixPath(name).name for name in video.file_names]
    if not folder.is_dir():
        raise VisError(f"{folder}: is missing, though {split} lists this video; is --frames the right folder?")
    found = [image.name for image in image_files(folder)]
    if found != listed:
        raise VisError(
            f"{folder}: has {len(found)} pictures, but {split} lists {len(listed)}, {listed[0]} to {listed[-1]}; "
            "the model must see these alone"
        )

"""`vis render`: draw a result over its video again; `write_overlay` serves `vis segment`, too.

Registered by `app`.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer

from vis_cli.commands.source_lookup import find_source
from vis_cli.console import BatchProgress, Reporter, UsageError
from vis_cli.errors import VisError
from vis_cli.options import FRACTION, Debug, Quiet
from vis_cli.records.overlay import Frame, draw_overlay
from vis_cli.records.result_json import read_result
from vis_cli.records.types import InstanceSequence, VideoResult
from vis_cli.records.video import Video, open_video, write_video


def render(
    ctx: typer.Context,
    result_path: Annotated[
        Path, typer.Argument(metavar="RESULT.json", help="What `vis segment` wrote.", exists=True, dir_okay=False)
    ],
    *,
    out: Annotated[Path, typer.Option("-o", "--out", metavar="OUT.mp4", help="The overlay video to write.")],
    only: Annotated[
        str,
        typer.Option(metavar="IDS", help="Draw these instances alone, by id, as in 1,4,7. [dim]\\[default: all][/dim]"),
    ] = "",
    min_score: Annotated[
        float, typer.Option(help="Leave out instances that score less.", metavar=FRACTION, min=0.0, max=1.0)
    ] = 0.0,
    video_path: Annotated[
        Path | None,
        typer.Option(
            "--video",
            metavar="FILE|DIR",
            exists=True,
            help="The video of the result. [dim]\\[default: next to RESULT.json, or at the stored path][/dim]",
            show_default=False,
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", metavar="", help="Replace OUT.mp4 where it exists.")
    ] = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Draw a result over its video again.

    Nothing is segmented again, so this takes seconds. The video is recognised by its content.
    """
    reporter = Reporter(quiet, debug)
    with reporter.guard():
        if ctx.args:  # the second argument of earlier versions
            raise UsageError(f"the video is an option now. Use --video {shlex.quote(ctx.args[0])}.")
        result = read_result(result_path)
        source = find_source(result, result_path, video_path)
        if result.video.source is None:
            reporter.warn(f"{result_path} stores no fingerprint, so {source} may be another video")
        check_output(out, source, overwrite=overwrite)
        shown = choose_instances(result.instances, only=only, min_score=min_score)
        with BatchProgress(1, reporter) as progress:
            progress.start_video(result.video.name)
            stored = result.video.source
            video = open_video(source, stream=None if stored is None else stored.stream)
            write_overlay(result, video, out, instances=shown, progress=progress.update)
        for warning in video.warnings:
            reporter.warn(f"{source}: {warning}")
        reporter.note(f"{out}: {len(shown)} of {len(result.instances)} instances drawn")


def write_overlay(
    result: VideoResult,
    video: Video,
    path: Path,
    *,
    instances: Sequence[InstanceSequence],
    progress: Callable[[str, int, int], None],
) -> None:
    """Write the overlay video of those `instances` of a result.

    Raises:
        VisError: the result is of a video of another size or length, or the file cannot be written.
    """
    shape, expected = (video.width, video.height), (result.video.width, result.video.height)
    if shape != expected:
        raise VisError(f"{video.path} is {_times(shape)}, but the result is of a video of {_times(expected)}")
    write_video(path, _overlay_frames(result, video, instances, progress), video)


def check_output(out: Path, source: Path, *, overwrite: bool) -> None:
    """See that the overlay may be written to `out`.

    Raises:
        UsageError: it is no mp4 name, the source itself, or exists without `overwrite`.
    """
    if out.suffix.lower() != ".mp4":
        raise UsageError(f"{out}: the overlay video is an mp4, give a name that ends in .mp4")
    if out.exists() and source.exists() and out.samefile(source):
        raise UsageError(f"{out} is the video itself, which is never written to: give another name with -o")
    if out.is_dir():
        raise UsageError(f"{out} is a folder: give another name with -o")
    if out.exists() and not overwrite:
        raise UsageError(f"{out} exists: --overwrite replaces it")


def choose_instances(instances: Sequence[InstanceSequence], *, only: str, min_score: float) -> list[InstanceSequence]:
    """Return the instances whose ids are listed in `only` (all, if it is empty) and that score enough.

    Raises:
        UsageError: `only` holds what is no id of them.
    """
    known = {str(instance.id) for instance in instances}
    wanted = {text.strip() for text in only.split(",")} if only else known
    if unknown := sorted(wanted - known):
        raise UsageError(f"--only: no instance {', '.join(unknown)}; there are {', '.join(sorted(known)) or 'none'}")
    return [instance for instance in instances if str(instance.id) in wanted and instance.score >= min_score]


def _overlay_frames(
    result: VideoResult,
    video: Video,
    instances: Sequence[InstanceSequence],
    progress: Callable[[str, int, int], None],
) -> Iterator[Frame]:
    total, done = result.video.num_frames, 0
    for done, frame in enumerate(video.iter_frames(), start=1):
        if done > total:
            break
        yield draw_overlay(frame, instances, done - 1, result.categories)
        progress("render", done, total)
    if done != total:
        raise VisError(f"{video.path} has {'more' if done > total else done} frames, but the result is of {total}")


def _times(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"

"""`vis render`: write the overlay video of a result. `vis segment` also uses `write_overlay`.

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
from vis_cli.messages import hint_at_left_out
from vis_cli.options import Debug, Quiet, min_score_option
from vis_cli.records.overlay import Frame, OverlayPainter
from vis_cli.records.result_json import read_result
from vis_cli.records.shown_instances import shown_instances
from vis_cli.records.types import InstanceSequence, VideoResult
from vis_cli.records.video import Video, open_segmented, write_video


def render(
    ctx: typer.Context,
    result_path: Annotated[
        Path, typer.Argument(metavar="RESULT.json", help="Result of `vis segment`.", exists=True, dir_okay=False)
    ],
    *,
    out: Annotated[Path, typer.Option("-o", "--out", metavar="OUT.mp4", help="Overlay video to write.")],
    only: Annotated[
        str,
        typer.Option(
            metavar="IDS", help="Ids of the instances to draw, confident or not, such as 1,4,7.", show_default=False
        ),
    ] = "",
    min_score: Annotated[float | None, min_score_option("Minimum score of an instance to draw.")] = None,
    video_path: Annotated[
        Path | None,
        typer.Option(
            "--video",
            metavar="FILE|DIR",
            exists=True,
            help="Video of the result. [dim]\\[default: next to RESULT.json, or at the stored path][/dim]",
            show_default=False,
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", metavar="", help="Replace an existing OUT.mp4.")] = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Write the overlay video of a result, for the confident instances or for selected instances.

    The masks come from RESULT.json: no model runs. A video with other content than the segmented video is rejected.
    """
    reporter = Reporter(quiet, debug)
    with reporter.guard():
        if ctx.args:  # the video of earlier versions
            given = shlex.quote(ctx.args[0])
            raise UsageError(f"unexpected argument {given}", hint=f"Use --video {given}.")
        result = read_result(result_path)
        source = find_source(result, result_path, video_path)
        if result.video.source is None:
            reporter.warn(
                f"{result_path} stores no fingerprint of its video: check that {source} is the segmented video"
            )
        check_output(out, source, overwrite=overwrite)
        shown = choose_instances(result.instances, only=only, min_score=min_score)
        with BatchProgress(1, reporter) as progress:
            progress.start_video(result.video.name)
            video = open_segmented(source, result.video)
            write_overlay(result, video, out, instances=shown, progress=progress.update)
        for warning in video.warnings:
            reporter.warn(f"{source}: {warning}")
        report_drawn(out, len(shown), len(result.instances), selected=bool(only), reporter=reporter)


def write_overlay(
    result: VideoResult,
    video: Video,
    path: Path,
    *,
    instances: Sequence[InstanceSequence],
    progress: Callable[[str, int, int], None],
    comment: str | None = None,
) -> None:
    """Write the overlay video of some `instances` of a result. The file stores the `comment`.

    Raises:
        VisError: The video has another size or number of frames than the result, or the file cannot be written.
    """
    shape, expected = (video.width, video.height), (result.video.width, result.video.height)
    if shape != expected:
        raise VisError(
            f"cannot draw over {video.path}: frames of {_times(shape)}, but the result has {_times(expected)}",
            hint="Pass the segmented video with --video FILE.",
        )
    write_video(path, _overlay_frames(result, video, instances, progress), video, comment=comment)


def check_output(out: Path, source: Path, *, overwrite: bool) -> None:
    """Check that the overlay video can be written to `out`.

    Raises:
        UsageError: `out` is not an .mp4 file name, is the video or a folder, or exists without `overwrite`.
    """
    if out.suffix.lower() != ".mp4":
        raise UsageError(f"cannot write {out}: an overlay video is an MP4 file", hint="Use a name that ends in .mp4.")
    if out.exists() and source.exists() and out.samefile(source):
        raise UsageError(f"cannot write {out}: it is the video itself", hint="Use another -o OUT.mp4.")
    if out.is_dir():
        raise UsageError(f"cannot write {out}: it is a folder", hint="Use another -o OUT.mp4.")
    if out.exists() and not overwrite:
        raise UsageError(f"cannot write {out}: it exists", hint="Use --overwrite to replace it.")


def report_drawn(out: Path, num_drawn: int, num_instances: int, *, selected: bool, reporter: Reporter) -> None:
    """Report how many instances are drawn and left out, and how to see all if the user has not `selected` ids."""
    num_left_out = num_instances - num_drawn
    left_out = f", {num_left_out} left out" if num_left_out and selected else ""
    reporter.note(f"{out}: {num_drawn} of {num_instances} instances drawn{left_out}")
    if num_left_out and not selected:
        reporter.note(hint_at_left_out(num_left_out))


def choose_instances(
    instances: Sequence[InstanceSequence], *, only: str, min_score: float | None
) -> list[InstanceSequence]:
    """Return the instances with an id in `only`, confident or not, and a score of at least `min_score` if it is given.

    An empty `only` selects all ids. Without `only` and `min_score`, the confident instances are returned.

    Raises:
        UsageError: `only` contains an unknown id.
    """
    if not only:
        return shown_instances(instances, min_score)
    known = {str(instance.id) for instance in instances}
    wanted = {text.strip() for text in only.split(",")}
    if unknown := sorted(wanted - known):
        ids = ", ".join(sorted(known, key=int))
        hint = f"Use these ids: {ids}." if known else "The result has no instances: omit --only."
        raise UsageError(f"no instance {', '.join(unknown)}", where="--only", hint=hint)
    chosen = [instance for instance in instances if str(instance.id) in wanted]
    return shown_instances(chosen, min_score or 0.0)


def _overlay_frames(
    result: VideoResult,
    video: Video,
    instances: Sequence[InstanceSequence],
    progress: Callable[[str, int, int], None],
) -> Iterator[Frame]:
    total, done = result.video.num_frames, 0
    painter = OverlayPainter(result, instances)
    for done, frame in enumerate(video.iter_frames(), start=1):
        if done > total:
            break
        yield painter.draw(frame, done - 1)
        progress("render", done, total)
    if done != total:
        count = f"more than {total}" if done > total else str(done)
        raise VisError(
            f"cannot draw over {video.path}: it has {count} frames, but the result has {total}",
            hint="Pass the segmented video with --video FILE.",
        )


def _times(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"

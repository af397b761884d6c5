"""`vis import`: turn the annotations of another tool into a result.

Registered by `app`.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from vis_cli.commands.outputs import RESULT_SUFFIX, default_name, protect_files
from vis_cli.console import Reporter, UsageError
from vis_cli.files.names import printable
from vis_cli.hints import did_you_mean
from vis_cli.messages import counted
from vis_cli.options import Debug, Quiet
from vis_cli.records.imports.annotation import make_annotated_result
from vis_cli.records.imports.formats import IMPORTERS
from vis_cli.records.result_json import write_result
from vis_cli.records.source_identity import identify_source
from vis_cli.records.types import VideoInfo
from vis_cli.records.video import Video, frame_times, open_video


def import_annotations(
    annotations: Annotated[
        Path, typer.Argument(metavar="FILE", help="Annotations of one video.", exists=True, dir_okay=False)
    ],
    *,
    source: Annotated[
        str, typer.Option("--from", metavar="FORMAT", help=f"Format: {', '.join(IMPORTERS)}.", show_default=False)
    ],
    video: Annotated[
        Path, typer.Option(metavar="FILE|DIR", exists=True, help="The annotated video.", show_default=False)
    ],
    out: Annotated[Path, typer.Option("-o", "--out", metavar="NAME.json", help="Result to write.", show_default=False)],
    overwrite: Annotated[bool, typer.Option("--overwrite", metavar="", help="Replace an existing NAME.json.")] = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Turn annotations of another tool, such as corrected results, into a result. No model runs.

    cvat: XML or zip in the format CVAT for video 1.1, with polygon tracks or masks.

    coco-video: JSON in the format of YouTube-VIS annotations. mots: text file with cars and pedestrians.

    The scores are 1. Use the result as every result of `vis segment`: draw it, export it, train with it.
    """
    reporter = Reporter(quiet, debug)
    with reporter.guard():
        if source not in IMPORTERS:
            raise UsageError(f"--from: no format {printable(source)!r}", hint=did_you_mean(source, IMPORTERS))
        check_output(out, [annotations, video], overwrite=overwrite)
        opened = open_video(video)
        info = describe_video(opened)
        objects = IMPORTERS[source](annotations, info, reporter)
        for warning in opened.warnings:
            reporter.warn(f"{video}: {warning}")
        result = make_annotated_result(objects, info, annotations, source)
        write_result(result, out)
        if len(result.instances) < len(objects):
            reporter.warn(f"omitted without a pixel: {counted(len(objects) - len(result.instances), 'object')}")
        reporter.note(f"{out}: {counted(len(result.instances), 'instance')} in {counted(info.num_frames, 'frame')}")


def check_output(out: Path, inputs: list[Path], *, overwrite: bool) -> None:
    """Check that the result can be written to `out`.

    Raises:
        UsageError: `out` is not a .json file name, is an input or a folder, or exists without `overwrite`.
    """
    if out.suffix.lower() != RESULT_SUFFIX:
        raise UsageError(f"cannot write {out}: a result is a JSON file", hint="Use a name that ends in .json.")
    if out.is_dir():
        raise UsageError(f"cannot write {out}: it is a folder", hint="Use another -o NAME.json.")
    protect_files(out, inputs)
    if out.exists() and not overwrite:
        raise UsageError(f"cannot write {out}: it exists", hint="Use --overwrite to replace it.")


def describe_video(video: Video) -> VideoInfo:
    """Return the properties of a video. This decodes the video to count its frames."""
    num_frames = video.count_frames()
    info = VideoInfo(
        default_name(video.path), video.path, video.width, video.height, video.fps, num_frames,
        frame_names=video.frame_names, timestamps=frame_times(video, num_frames),
    )  # fmt: skip
    return dataclasses.replace(info, source=identify_source(video.path))

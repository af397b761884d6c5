"""`vis segment`: find, segment and follow the objects of videos.

Registered by `app`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import typer

from vis_cli import options
from vis_cli.commands.batch import Batch, BatchOptions
from vis_cli.commands.outputs import plan_jobs, prepare_folder, protect_inputs
from vis_cli.console import EXIT_FAILED, EXIT_INTERRUPTED, Reporter, UsageError, VideoReport, print_json, print_reports
from vis_cli.errors import VisError
from vis_cli.files.reading import real_path
from vis_cli.options import RUN
from vis_cli.records.inputs import files_left_out
from vis_cli.records.media_folder import listed
from vis_cli.records.video import find_inputs


def segment(
    ctx: typer.Context,
    inputs: options.Inputs,
    out: options.OutFolder,
    *,
    model: options.Model = "lite",
    detector: options.Detector = None,
    propagator: options.Propagator = None,
    preset: options.Preset = "default",
    masks: options.Masks = None,
    masks_from: options.MasksFrom = None,
    stream: options.Stream = None,
    render: options.Render = True,
    overwrite: options.Overwrite = False,
    as_json: options.AsJson = False,
    device: options.Device = RUN.device,
    precision: options.Precision = RUN.precision,
    feature_budget_mb: options.FeatureBudgetMb = RUN.feature_budget_mb,
    frame_budget_mb: options.FrameBudgetMb = RUN.frame_budget_mb,
    num_key_frames: options.NumKeyFrames = None,
    key_frame_spacing: options.KeyFrames = None,
    short_side: options.ShortSide = None,
    long_side: options.LongSide = None,
    detection_score: options.DetectionScore = None,
    box_nms_iou: options.BoxNmsIou = None,
    max_instances: options.MaxInstances = None,
    mask_nms_iou: options.MaskNmsIou = None,
    followed_iou: options.FollowedIou = None,
    class_agnostic: options.ClassAgnostic = None,
    resegment_key_frame: options.ResegmentKeyFrame = None,
    memory_stride: options.MemoryStride = None,
    memory_divisions: options.MemoryDivisions = None,
    memory_previous: options.MemoryPrevious = None,
    memory_frames: options.MemoryFrames = None,
    score_frames: options.ScoreFramesOption = None,
    reduction: options.ReductionOption = None,
    sequence_iou: options.SequenceIou = None,
    sequence_score: options.SequenceScore = None,
    soft_nms_sigma: options.SoftNmsSigma = None,
    max_sequences: options.MaxSequences = None,
    mask_threshold: options.MaskThreshold = None,
    mask_canvas: options.MaskCanvasOption = None,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Find, segment and follow the objects of videos.

    DIR/NAME.json then holds each object's class, score and mask in every frame of the video NAME.

    DIR/NAME.mp4 shows the masks, drawn over the video.

    A video is skipped if its result agrees with its content, the settings, the model and the given masks. To resume
    an interrupted batch, run the same command again.
    """
    reporter = Reporter(quiet, debug)
    with reporter.guard():
        config, run = options.segment_config(preset, ctx.params), options.run_config(ctx.params)
        sources, missing = find_sources(inputs, reporter)
        if masks_from is not None and masks is None:
            raise UsageError("--masks-from needs --masks, whose names it explains. Add --masks, or omit --masks-from.")
        if masks is not None and len(sources) != 1:
            raise UsageError(f"--masks are those of one video, but there are {len(sources)}")
        jobs = plan_jobs(sources, out, render=render, masks=masks)
        protect_inputs(jobs, inputs)
        prepare_folder(out)
        batch = Batch(BatchOptions(model, config, run, overwrite, detector, propagator, masks_from, stream), reporter)
        for report in missing if as_json else ():
            print_report_line(report)
        reports, interrupted = batch.run(jobs, ended=print_report_line if as_json else None)
        show([*missing, *reports], quiet=quiet)
        raise typer.Exit(exit_code([*missing, *reports], interrupted=interrupted))


def find_sources(inputs: Sequence[str], reporter: Reporter) -> tuple[list[Path], list[VideoReport]]:
    """Return the videos meant by what was typed, each once, and a failure for each text that means none."""
    found: dict[Path, Path] = {}
    missing = []
    for text in inputs:
        try:
            found.update((real_path(path), path) for path in find_inputs([text]) if real_path(path) not in found)
            if others := files_left_out(text):
                reporter.warn(f"{text}: not segmented, as other videos are in this folder: {listed(others)}")
        except VisError as error:
            reporter.error(str(error), error)
            missing.append(VideoReport(text, text, "failed", reason=str(error)))
    return list(found.values()), missing


def print_report_line(report: VideoReport) -> None:
    """Print the report of one video as a JSON line on stdout."""
    print_json(report.as_json())


def show(reports: Sequence[VideoReport], *, quiet: bool) -> None:
    """Print the closing table."""
    told = len(reports) == 1 and reports[0].status == "failed"  # in a line of its own, which says all
    if reports and not (quiet or told):
        print_reports(reports)


def exit_code(reports: Sequence[VideoReport], *, interrupted: bool) -> int:
    """Return 130 after Ctrl-C, 1 if some input failed, else 0."""
    if interrupted:
        return EXIT_INTERRUPTED
    return EXIT_FAILED if any(report.status == "failed" for report in reports) else 0

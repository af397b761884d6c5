"""Run of `vis segment`: checks its options, segments the videos and prints their reports.

Used by `commands.segment`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import typer

from vis_cli import options
from vis_cli.commands.batch import Batch, BatchOptions
from vis_cli.commands.given_inputs import GivenOptions
from vis_cli.commands.live import LiveRequest, require_live_options, segment_live
from vis_cli.commands.method_settings import method_settings, sets
from vis_cli.commands.object_options import (
    check_exclusive,
    check_prompts,
    default_preset,
    detector_takes_part,
    read_prompts,
)
from vis_cli.commands.outputs import Job, plan_jobs, prepare_folder, protect_inputs
from vis_cli.console import EXIT_FAILED, EXIT_INTERRUPTED, Reporter, UsageError, VideoReport, print_json, print_reports
from vis_cli.errors import VisError
from vis_cli.files.reading import real_path
from vis_cli.messages import hint_at_left_out
from vis_cli.records.detection_file import pair_detections
from vis_cli.records.given_names import Names, read_names
from vis_cli.records.given_result import is_result, read_frames
from vis_cli.records.inputs import files_left_out
from vis_cli.records.media_folder import NUM_NAMED, listed, suffix_problem
from vis_cli.records.video import find_inputs
from vis_cli.settings import LIVE


def segment_inputs(
    inputs: options.Inputs,
    out: options.OutFolder,
    *,
    model: options.ModelOptions,
    method: options.MethodOptions,
    masks: options.MaskOptions,
    detections: options.DetectionOptions,
    prompts: options.PromptOptions,
    part: options.PartOptions,
    live: options.LiveOptions,
    run: options.RunOptions,
    output: options.OutputOptions,
    messages: options.MessageOptions,
) -> None:
    """Segment the inputs of `vis segment`, and exit with its exit code."""
    reporter = messages.reporter
    with reporter.guard():
        config = method_settings(method, reporter, preset=LIVE if live.live else default_preset(masks, prompts))
        given = given_options(masks, detections, prompts)
        batch = Batch(
            BatchOptions(
                model.name,
                config,
                run.settings(method.preset, method.overrides or ()),
                output.overwrite,
                model.detector,
                model.propagator,
                given,
                masks.stream,
                output.min_score,
                part.request,
                detects=detector_takes_part(masks, detections, prompts),
                sets_score_source=sets("score_source", method),
            ),
            reporter,
        )
        if live.live:
            require_live_options(inputs, model, masks, detections, prompts, part)
            request = LiveRequest(inputs[0], out, config, given.only, masks.stream, output)
            raise typer.Exit(segment_live(request, batch, reporter))
        check_exclusive(model, masks, detections, prompts)
        sources, missing = find_sources(inputs, reporter)
        check_masks(masks, sources)
        check_prompts(prompts, sources)
        jobs = plan(sources, inputs, out, masks, detections, output, reporter)
        raise typer.Exit(run_batch(batch, jobs, missing, reporter, as_json=output.as_json))


def given_options(
    masks: options.MaskOptions, detections: options.DetectionOptions, prompts: options.PromptOptions
) -> GivenOptions:
    """Return the options of the masks, detections and prompts that the user gives.

    Raises:
        UsageError: The value of --names, its file or a prompt is invalid, or an option needs --detections.
    """
    for option, value in (
        ("--detections-from", detections.detections_from),
        ("--detection-names", detections.detection_names),
    ):
        if value is not None and detections.detections is None:
            raise UsageError(f"{option} needs --detections. Add --detections, or omit {option}.")
    return GivenOptions(
        masks.masks_from,
        find_names(masks),
        detections.detections is not None,
        detections.detections_from,
        detections.detection_names,
        *read_prompts(prompts),
        find_frames(masks),
    )


def with_detections(jobs: Sequence[Job], path: Path | None, reporter: Reporter) -> list[Job]:
    """Return the jobs with their files of detections. Report files that belong to no video.

    Raises:
        UsageError: The file of detections is for one video, but there are several.
    """
    if path is None or not jobs:
        return list(jobs)
    try:
        pairs, others = pair_detections(path, [job.source for job in jobs], reporter)
    except VisError as error:
        raise UsageError(str(error)) from error
    if others:
        reporter.warn(f"{path}: not used, because no video has this name: {listed(others)}")
    return [dataclasses.replace(job, detections=pairs.get(job.source)) for job in jobs]


def run_batch(
    batch: Batch, jobs: Sequence[Job], missing: Sequence[VideoReport], reporter: Reporter, *, as_json: bool
) -> int:
    """Segment the videos, print their reports, and return the exit code."""
    for report in missing if as_json else ():
        print_report_line(report)
    reports, interrupted = batch.run(jobs, ended=print_report_line if as_json else None)
    show([*missing, *reports], reporter)
    return exit_code([*missing, *reports], interrupted=interrupted)


def plan(
    sources: Sequence[Path],
    inputs: Sequence[str],
    out: Path,
    masks: options.MaskOptions,
    detections: options.DetectionOptions,
    output: options.OutputOptions,
    reporter: Reporter,
) -> list[Job]:
    """Return one job per video, and create the folder of the results.

    Raises:
        UsageError: An output replaces an input, or becomes an input of the next run.
    """
    jobs = plan_jobs(sources, out, render=not output.no_render, masks=masks.masks)
    jobs = with_detections(jobs, detections.detections, reporter)
    protect_inputs(jobs, inputs, files_of_names(masks, detections))
    protect_detections(out, detections.detections)
    prepare_folder(out)
    return jobs


def files_of_names(masks: options.MaskOptions, detections: options.DetectionOptions) -> list[Path]:
    """Return the files with names that the user gives, and the result of --masks."""
    files = [] if detections.detection_names is None else [detections.detection_names]
    if masks.masks is not None and is_result(masks.masks):
        files.append(masks.masks)
    return [*files, Path(masks.names)] if masks.names is not None else files


def protect_detections(out: Path, path: Path | None) -> None:
    """Reject results in the folder of the detections: the next run would read them as detections.

    Raises:
        UsageError: `out` is this folder.
    """
    if path is not None and path.is_dir() and real_path(out) == real_path(path):
        problem = f"cannot write to {out}: it contains the detections"
        raise UsageError(f"{problem}, and the next run would read results as detections", hint="Use another -o DIR.")


def check_masks(masks: options.MaskOptions, sources: Sequence[Path]) -> None:
    """Check that given masks belong to one video.

    Raises:
        UsageError: There are several videos, or --masks-from or --names is given without --masks.
    """
    for option, value in (
        ("--masks-from", masks.masks_from),
        ("--masks-at", masks.masks_at),
        ("--names", masks.names),
    ):
        if value is not None and masks.masks is None:
            raise UsageError(f"{option} needs --masks. Add --masks, or omit {option}.")
    if masks.masks is not None and len(sources) != 1:
        raise UsageError(f"--masks needs one video, but there are {len(sources)}. Run the command once per video.")


def find_frames(masks: options.MaskOptions) -> tuple[int, ...]:
    """Return the frames of --masks-at.

    Raises:
        UsageError: The value of --masks-at is invalid, or --masks is not a result.
    """
    if masks.masks is not None and not is_result(masks.masks) and masks.masks_at is not None:
        raise UsageError("--masks-at needs --masks NAME.json. PNGs are named by frame. Omit --masks-at.")
    if masks.masks is not None and is_result(masks.masks) and masks.masks_from is not None:
        raise UsageError("--masks-from is for PNGs, but --masks is a result. Omit --masks-from.")
    try:
        return () if masks.masks_at is None else read_frames(masks.masks_at)
    except VisError as error:
        raise UsageError(str(error)) from error


def find_names(masks: options.MaskOptions) -> Names | None:
    """Return the names of the given objects, None if the user gives no names.

    Raises:
        UsageError: The value of --names or its file is invalid.
    """
    try:
        return None if masks.names is None else read_names(masks.names)
    except VisError as error:
        raise UsageError(str(error)) from error


def find_sources(inputs: Sequence[str], reporter: Reporter) -> tuple[list[Path], list[VideoReport]]:
    """Return each input video once, and a failed report for each INPUT without a video."""
    found: dict[Path, Path] = {}
    missing = []
    for text in inputs:
        try:
            found.update((real_path(path), path) for path in find_inputs([text]) if real_path(path) not in found)
            _report_left_out(text, files_left_out(text), reporter)
        except VisError as error:
            reporter.error(str(error), error)
            missing.append(VideoReport(text, text, "failed", reason=str(error)))
    return list(found.values()), missing


def _report_left_out(text: str, paths: Sequence[Path], reporter: Reporter) -> None:
    """Warn about the media of a folder that are not segmented. A file that cannot be decoded gets a remedy."""
    others = []
    unreadable: dict[str, list[Path]] = {}
    for path in paths:
        if suffix_problem(path) is None:
            others.append(path)
        else:
            unreadable.setdefault(path.suffix.lower(), []).append(path)
    if others:
        reporter.warn(f"{text}: not segmented, because this folder contains other videos: {listed(others)}")
    for alike in unreadable.values():
        for path in alike[:NUM_NAMED]:
            reporter.warn(f"{suffix_problem(path)}")
        if len(alike) > NUM_NAMED:
            reporter.warn(f"{text}: {len(alike) - NUM_NAMED} more {alike[0].suffix} files cannot be read.")


def print_report_line(report: VideoReport) -> None:
    """Print the report of one video as a JSON line on stdout."""
    print_json(report.as_json())


def show(reports: Sequence[VideoReport], reporter: Reporter) -> None:
    """Print the summary table, and how to show the instances that are left out."""
    only_error = len(reports) == 1 and reports[0].status == "failed"  # its error line is already printed
    if reports and not (reporter.quiet or only_error):
        print_reports(reports)
    if num_left_out := sum(report.num_left_out for report in reports):
        reporter.note(hint_at_left_out(num_left_out))


def exit_code(reports: Sequence[VideoReport], *, interrupted: bool) -> int:
    """Return 130 after Ctrl-C, 1 if at least one input failed, otherwise 0."""
    if interrupted:
        return EXIT_INTERRUPTED
    return EXIT_FAILED if any(report.status == "failed" for report in reports) else 0

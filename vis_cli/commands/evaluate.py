"""`vis eval`: score results against a benchmark's ground truth, or run a model first.

Registered by `app` as `eval`. Neither torch nor scipy is imported before it is needed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from vis_cli import options
from vis_cli.commands import evaluate_options as own
from vis_cli.commands.batch import BatchOptions
from vis_cli.commands.evaluate_model import segmented
from vis_cli.commands.export_json import warn_not_results
from vis_cli.commands.outputs import protect_files
from vis_cli.console import Reporter, StepProgress, UsageError, VideoReport
from vis_cli.errors import VisError
from vis_cli.evaluation.benchmark_videos import BenchmarkVideo, davis_videos, youtube_vis_videos
from vis_cli.messages import counted
from vis_cli.options import RUN
from vis_cli.records.davis import list_unpaired
from vis_cli.records.davis_benchmark import DavisBenchmark, find_davis_benchmark
from vis_cli.records.davis_layout import Task
from vis_cli.records.result_json import list_json, list_results, read_result
from vis_cli.records.youtube_vis import YouTubeVis, read_youtube_vis

if TYPE_CHECKING:
    from vis_cli.metrics.davis import DavisScore
    from vis_cli.metrics.workers import Progress
    from vis_cli.metrics.youtube_vis import YouTubeVisScore

DAVIS_PRESET = "davis-uvos"
SHOWN_NAMES = 5  # of a list in a message


def evaluate(
    ctx: typer.Context,
    results: own.Results = None,
    *,
    annotations: own.Annotations = None,
    davis: own.Davis = None,
    task: own.DavisTask = None,
    davis_split: own.DavisSplit = None,
    sequences: own.Sequences = "",
    model: own.EvalModel = None,
    detector: own.EvalDetector = None,
    propagator: own.EvalPropagator = None,
    frames: own.Frames = None,
    out: own.OutFolder = None,
    render: own.RenderToo = False,
    preset: own.EvalPreset = None,
    json_file: own.JsonFile = None,
    plots: own.Plots = None,
    overwrite: options.Overwrite = False,
    workers: own.Workers = None,
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
    """Score results as YouTube-VIS, OVIS or DAVIS does, to the last digit.

    The results come from a file or folder, or from a model that is run first.

    YouTube-VIS and OVIS: AP and AR, by category, by kind of error and by video. DAVIS: J, F and J&F by sequence.

    What scored worst is listed first.
    """
    reporter = Reporter(quiet, debug)
    with reporter.guard():
        own.check_usage(ctx.params)
        check_outputs(json_file, plots, (annotations, results), overwrite=overwrite)
        if annotations is not None:
            evaluate_split(annotations, ctx.params, reporter)
        elif davis is not None:
            evaluate_davis(davis, ctx.params, reporter)


def evaluate_split(annotations: Path, given: Mapping[str, Any], reporter: Reporter) -> None:
    """Score a split of YouTube-VIS or OVIS, and print and write what came of it."""
    from vis_cli.commands.evaluate_report import print_youtube_vis, write_youtube_vis

    split = read_youtube_vis(annotations)
    require_ground_truth(split, given["results"])
    sources = [] if given["frames"] is None else youtube_vis_videos(split, given["frames"])
    with found_results(sources, "default", given, reporter) as (results, reports):
        if results.is_dir():
            warn_not_results(list_json(results)[1], reporter)
        score = score_split(split, results, given["workers"], reporter)
        write_youtube_vis(score, results, annotations, given["json_file"], given["plots"], reports)
    print_youtube_vis(score)


def evaluate_davis(root: Path, given: Mapping[str, Any], reporter: Reporter) -> None:
    """Score a split of DAVIS, and print and write what came of it."""
    from vis_cli.commands.evaluate_report import print_davis, write_davis

    task: Task = given["task"] or "unsupervised"
    names = tuple(name.strip() for name in given["sequences"].split(",") if name.strip())
    benchmark = find_davis_benchmark(root, task, split=given["davis_split"] or "val", sequences=names)
    sources = davis_videos(benchmark, task) if given["results"] is None else []
    with found_results(sources, DAVIS_PRESET, given, reporter) as (results, reports):
        score = score_davis(benchmark, task, results, given["workers"], reporter)
        write_davis(score, task, results, root, given["json_file"], given["plots"], reports)
    print_davis(score, reports)


def score_split(split: YouTubeVis, results: Path, workers: int | None, reporter: Reporter) -> YouTubeVisScore:
    """Read the results and score them, saying what of them does not count.

    Raises:
        VisError: the results are damaged or do not fit the split.
    """
    from vis_cli.metrics.youtube_vis import evaluate_youtube_vis
    from vis_cli.records.youtube_vis_results import read_predictions

    predictions = read_predictions(results, split)
    if predictions.synonyms:
        pairs = ", ".join(f"{theirs} as {ours}" for theirs, ours in predictions.synonyms)
        reporter.note(f"categories under other names: {pairs}")
    if predictions.unmapped_categories:
        unknown = ", ".join(predictions.unmapped_categories)
        reporter.warn(f"categories that {split.path} does not know, left out: {unknown}")
    if predictions.num_predictions == 0:
        reporter.warn(f"{results} predicts nothing, so AP is 0; the benchmark's own evaluator fails on an empty list")
    with counting("videos", reporter) as progress:
        return evaluate_youtube_vis(split, predictions.readers, num_workers=workers, progress=progress)


def score_davis(
    benchmark: DavisBenchmark, task: Task, results: Path, workers: int | None, reporter: Reporter
) -> DavisScore:
    """Score a folder of PNGs, or the results of `vis segment`.

    Raises:
        UsageError: it is neither.
        VisError: a file is missing or damaged.
    """
    from vis_cli.metrics import davis

    evaluators = {
        "unsupervised": davis.evaluate_unsupervised,
        "semi-supervised": davis.evaluate_semi_supervised,
    }
    if not results.is_dir():
        raise UsageError(f"{results}: for DAVIS, give a folder: <sequence>/<frame>.png, or results of `vis segment`")
    files, others = list_json(results)
    warn_not_results(others, reporter)
    with counting("sequences", reporter) as progress:
        if files:
            return davis.evaluate_results(
                benchmark.masks,
                map(read_result, files),
                sequences=benchmark.sequences,
                evaluate=evaluators[task],
                num_workers=workers,
                progress=progress,
            )
        warn_unpaired(list_unpaired(benchmark.masks, results, benchmark.sequences), reporter)
        return davis.evaluate_folders(
            benchmark.masks,
            results,
            sequences=benchmark.sequences,
            evaluate=evaluators[task],
            num_workers=workers,
            progress=progress,
        )


def warn_unpaired(names: Sequence[str], reporter: Reporter) -> None:
    """Name the first predictions that have no ground truth."""
    if names:
        shown = ", ".join(names[:SHOWN_NAMES]) + (", ..." if len(names) > SHOWN_NAMES else "")
        reporter.warn(f"not scored, because they have no ground truth: {counted(len(names), 'PNG')} ({shown})")


@contextmanager
def found_results(
    sources: list[BenchmarkVideo], preset: str, given: Mapping[str, Any], reporter: Reporter
) -> Iterator[tuple[Path, list[VideoReport]]]:
    """Yield the results that were given, or let the model make them first."""
    if given["results"] is not None:
        yield given["results"], []
        return
    config = options.segment_config(given["preset"] or preset, given)
    batch = BatchOptions(
        given["model"] or given["detector"],
        config,
        options.run_config(given),
        given["overwrite"],
        given["detector"],
        given["propagator"],
    )
    with segmented(sources, batch, given["out"], reporter, render=given["render"]) as made:
        yield made


@contextmanager
def counting(name: str, reporter: Reporter) -> Iterator[Progress]:
    """Show how many videos are scored."""
    with StepProgress(reporter, name=name) as bar:
        yield lambda stage, done, total: bar.update(done, total, {})


def require_ground_truth(split: YouTubeVis, results: Path | None) -> None:
    """See that a split can be scored here.

    Raises:
        VisError: it has no annotations.
    """
    if not split.annotations:
        raise VisError(
            f"{split.path}: has no annotations, as the released val and test splits; their server scores what "
            f"`vis export-json {results or 'RESULTS'} --split {split.path} -o submission.zip` writes"
        )


def check_outputs(
    json_file: Path | None, plots: Path | None, inputs: Sequence[Path | None], *, overwrite: bool
) -> None:
    """See that the figures may be written.

    Raises:
        UsageError: there are some already, and no `overwrite`; or they would replace one of the `inputs`.
    """
    if json_file is not None:
        for path in inputs:
            if path is not None:
                protect_files(json_file, list_results(path) if path.is_dir() else [path])
    if json_file is not None and json_file.exists() and not overwrite:
        raise UsageError(f"{json_file} exists: --overwrite replaces it")
    if plots is not None and any(plots.glob("*.png")) and not overwrite:
        raise UsageError(f"{plots} has pictures already: --overwrite replaces those of the same name")

"""`vis eval`: score results against the ground truth of a benchmark; `--segment` runs a model first.

Registered by `app` as `eval`. torch and scipy are imported only when they are needed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from vis_cli import options
from vis_cli.commands import evaluate_options as own
from vis_cli.commands.batch import BatchOptions
from vis_cli.commands.evaluate_model import segmented
from vis_cli.commands.method_settings import method_settings
from vis_cli.commands.option_groups import grouped
from vis_cli.commands.outputs import protect_files
from vis_cli.commands.result_files import warn_not_results
from vis_cli.console import Reporter, StepProgress, UsageError, VideoReport
from vis_cli.errors import VisError
from vis_cli.evaluation.benchmark_videos import BenchmarkVideo, davis_videos, youtube_vis_videos
from vis_cli.messages import counted
from vis_cli.progress import Progress
from vis_cli.records.davis import list_unpaired
from vis_cli.records.davis_benchmark import DavisBenchmark, find_davis_benchmark
from vis_cli.records.davis_layout import Task
from vis_cli.records.result_json import list_json, list_results, read_result
from vis_cli.records.youtube_vis import YouTubeVis, read_youtube_vis
from vis_cli.settings import GIVEN_MASKS

if TYPE_CHECKING:
    from vis_cli.metrics.davis import DavisScore
    from vis_cli.metrics.youtube_vis import YouTubeVisScore

DAVIS_PRESETS: Mapping[Task, str] = {"unsupervised": "davis-uvos", "semi-supervised": GIVEN_MASKS}
SHOWN_NAMES = 5  # maximum number of names in a message


@grouped
def evaluate(
    results: own.Results = None,
    *,
    truth: own.TruthOptions,
    first: own.SegmentOptions,
    model: Annotated[options.ModelOptions, own.SEGMENT_PANEL],
    method: Annotated[options.MethodOptions, own.SEGMENT_PANEL],
    run: Annotated[options.RunOptions, own.SEGMENT_PANEL],
    score_options: own.ScoreOptions,
    messages: options.MessageOptions,
) -> None:
    """Score results with the metrics of YouTube-VIS, OVIS or DAVIS.

    The scores are equal to the scores of the official evaluators. RESULTS is a file or a folder. With --segment, a
    model segments the videos first.

    YouTube-VIS and OVIS: AP and AR in total, by category, by type of error and by video.

    DAVIS: J, F and J&F in total and by sequence.

    All benchmarks: HOTA, IDF1, MOTA and identity switches in total and by video.

    Tables list the lowest score first. `vis eval --help-all` lists all options.
    """
    reporter = messages.reporter
    with reporter.guard():
        own.check_usage(results, truth, first, (model, method, run))
        check_outputs(score_options, (truth.annotations, results))
        batch = None
        if first.segment:
            preset = "default" if truth.davis is None else DAVIS_PRESETS[truth.task or "unsupervised"]
            batch = BatchOptions(
                model.name,
                method_settings(method, reporter, preset=preset),
                run.settings(method.preset, method.overrides or ()),
                score_options.overwrite,
                model.detector,
                model.propagator,
                detects=truth.davis is None or truth.task != "semi-supervised",  # otherwise, masks are given
                min_score=0.0,  # scores and overlay videos contain all instances
            )
        job = Evaluation(results, truth, first, score_options, batch)
        if truth.davis is None:
            evaluate_split(job, reporter)
        else:
            evaluate_davis(truth.davis, job, reporter)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Results, ground truth and output files of an evaluation."""

    results: Path | None  # None: the model of `batch` segments the videos first
    truth: own.TruthOptions
    first: own.SegmentOptions
    score_options: own.ScoreOptions
    batch: BatchOptions | None


def evaluate_split(job: Evaluation, reporter: Reporter) -> None:
    """Score a split of YouTube-VIS or OVIS; print and write the scores."""
    from vis_cli.commands.evaluate_report import print_youtube_vis, write_youtube_vis

    if job.truth.annotations is None:
        raise ValueError("a split needs annotations")
    split = read_youtube_vis(job.truth.annotations)
    require_ground_truth(split, job.results)
    sources = [] if job.first.frames is None else youtube_vis_videos(split, job.first.frames)
    with results_to_score(sources, job, reporter) as (results, reports):
        if results.is_dir():
            warn_not_results(list_json(results)[1], reporter)
        score = score_split(split, results, job.score_options.workers, reporter)
        write_youtube_vis(score, results, split.path, job.score_options.json_file, job.score_options.plots, reports)
    print_youtube_vis(score)


def evaluate_davis(root: Path, job: Evaluation, reporter: Reporter) -> None:
    """Score a split of DAVIS; print and write the scores."""
    from vis_cli.commands.evaluate_report import print_davis, write_davis

    task: Task = job.truth.task or "unsupervised"
    names = tuple(name.strip() for name in job.truth.sequences.split(",") if name.strip())
    benchmark = find_davis_benchmark(root, task, split=job.truth.davis_split or "val", sequences=names)
    sources = davis_videos(benchmark, task) if job.results is None else []
    with results_to_score(sources, job, reporter) as (results, reports):
        score = score_davis(benchmark, task, results, job.score_options.workers, reporter)
        write_davis(score, task, results, root, job.score_options.json_file, job.score_options.plots, reports)
    print_davis(score, reports)


def score_split(split: YouTubeVis, results: Path, workers: int | None, reporter: Reporter) -> YouTubeVisScore:
    """Read the results and score them. Warn about predictions that are ignored.

    Raises:
        VisError: The results are damaged or do not match the split.
    """
    from vis_cli.metrics.youtube_vis import evaluate_youtube_vis
    from vis_cli.records.youtube_vis_results import read_predictions

    predictions = read_predictions(results, split)
    if predictions.synonyms:
        pairs = ", ".join(f"{theirs} as {ours}" for theirs, ours in predictions.synonyms)
        reporter.note(f"categories matched by a synonym: {pairs}")
    if predictions.unmapped_categories:
        unknown = ", ".join(predictions.unmapped_categories)
        reporter.warn(f"ignored categories that {split.path} does not contain: {unknown}")
    if predictions.num_predictions == 0:
        reporter.warn(f"{results} has no prediction: AP is 0. The official evaluator fails on an empty list")
    with counting("videos", reporter) as progress:
        return evaluate_youtube_vis(split, predictions.readers, num_workers=workers, progress=progress)


def score_davis(
    benchmark: DavisBenchmark, task: Task, results: Path, workers: int | None, reporter: Reporter
) -> DavisScore:
    """Score a folder of PNGs, or the results of `vis segment`.

    Raises:
        UsageError: `results` is not a folder.
        VisError: A file is missing or damaged.
    """
    from vis_cli.metrics import davis

    evaluators = {
        "unsupervised": davis.evaluate_unsupervised,
        "semi-supervised": davis.evaluate_semi_supervised,
    }
    if not results.is_dir():
        raise UsageError(
            f"cannot score {results}: not a folder",
            hint="For DAVIS, use a folder with <sequence>/<frame>.png or with results of `vis segment`.",
        )
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
    """Warn about predictions without ground truth."""
    if names:
        shown = ", ".join(names[:SHOWN_NAMES]) + (", ..." if len(names) > SHOWN_NAMES else "")
        reporter.warn(f"ignored {counted(len(names), 'PNG')} without ground truth: {shown}")


@contextmanager
def results_to_score(
    sources: list[BenchmarkVideo], job: Evaluation, reporter: Reporter
) -> Iterator[tuple[Path, list[VideoReport]]]:
    """Yield the given results, or the results of the model."""
    if job.batch is None:
        if job.results is None:
            raise ValueError("neither results nor a model")
        yield job.results, []
        return
    with segmented(sources, job.batch, job.first.out, reporter, render=job.first.render) as made:
        yield made


@contextmanager
def counting(name: str, reporter: Reporter) -> Iterator[Progress]:
    """Show the number of scored videos."""
    with StepProgress(reporter, name=name) as bar:
        yield lambda stage, done, total: bar.update(done, total, {})


def require_ground_truth(split: YouTubeVis, results: Path | None) -> None:
    """Check that a split has annotations.

    Raises:
        VisError: It has none. The val and test splits are scored by the server of the benchmark.
    """
    if not split.annotations:
        raise VisError(
            f"cannot score against {split.path}: it has no annotations, like the public val and test splits",
            hint="Use a split with annotations. To score on the server of the benchmark, write a submission: "
            f"`vis export-json {results or 'RESULTS'} --split {split.path} -o submission.zip`.",
        )


def check_outputs(score_options: own.ScoreOptions, inputs: Sequence[Path | None]) -> None:
    """Check that the scores can be written.

    Raises:
        UsageError: Scores exist and --overwrite is not given, or the scores would replace one of the `inputs`.
    """
    json_file, plots = score_options.json_file, score_options.plots
    if json_file is not None:
        for path in inputs:
            if path is not None:
                protect_files(json_file, list_results(path) if path.is_dir() else [path])
    if json_file is not None and json_file.exists() and not score_options.overwrite:
        raise UsageError(f"cannot write {json_file}: it exists", hint="Use --overwrite to replace it.")
    if plots is not None and any(plots.glob("*.png")) and not score_options.overwrite:
        raise UsageError(
            f"cannot write plots to {plots}: it contains PNGs",
            hint="Use --overwrite to replace plots of the same name.",
        )

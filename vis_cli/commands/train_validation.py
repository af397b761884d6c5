"""The evaluators' part of `vis train`: measure the network as it is now on a small split.

Used by `train`.
"""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from vis_cli.commands.evaluate_model import Source, davis_sources, youtube_vis_sources
from vis_cli.config import PRESETS, RunConfig, SegmentConfig
from vis_cli.console import Reporter
from vis_cli.errors import VisError
from vis_cli.records.davis_benchmark import DavisBenchmark, Task, find_davis_benchmark
from vis_cli.records.result_json import list_results, read_result, write_result
from vis_cli.records.types import ModelInfo
from vis_cli.records.youtube_vis import YouTubeVis, read_youtube_vis, require_distinct_names

if TYPE_CHECKING:
    from vis_cli.network.seq_mask_rcnn import SeqMaskRCNN
    from vis_cli.training.config import ValidationConfig


def check_validation(config: ValidationConfig) -> None:
    """See that a validation finds its split, with annotations, and the frames of its videos.

    Raises:
        VisError: it does not.
    """
    if config.kind == "davis":
        _open_davis(config)
    else:
        _open_videos(config)


def make_validator(device: str, reporter: Reporter) -> Callable[[ValidationConfig, SeqMaskRCNN], dict[str, float]]:
    """Return what measures a model: AP first, or J&F, from 0 to 1."""

    def validate(config: ValidationConfig, model: SeqMaskRCNN) -> dict[str, float]:
        measure = _measure_davis if config.kind == "davis" else _measure_videos
        figures = measure(config, model, device)
        reporter.note("validation: " + ", ".join(f"{name} {100 * value:.1f}" for name, value in figures.items()))
        return figures

    return validate


def _measure_videos(config: ValidationConfig, model: SeqMaskRCNN, device: str) -> dict[str, float]:
    from vis_cli.metrics.youtube_vis import evaluate_youtube_vis
    from vis_cli.records.youtube_vis_results import read_predictions

    split, sources = _open_videos(config)
    with tempfile.TemporaryDirectory(prefix="vis-validate-") as folder:
        _segment(sources, model, PRESETS[config.preset], device, Path(folder))
        summary = evaluate_youtube_vis(split, read_predictions(Path(folder), split).readers).summary
    return {"ap": summary.ap, "ap50": summary.ap50, "ar10": summary.ar10}


def _measure_davis(config: ValidationConfig, model: SeqMaskRCNN, device: str) -> dict[str, float]:
    from vis_cli.metrics import davis

    evaluate = davis.evaluate_semi_supervised if config.semi_supervised else davis.evaluate_unsupervised
    benchmark, sources = _open_davis(config)
    with tempfile.TemporaryDirectory(prefix="vis-validate-") as folder:
        _segment(sources, model, PRESETS[config.preset], device, Path(folder))
        summary = davis.evaluate_results(
            benchmark.masks,
            map(read_result, list_results(Path(folder))),
            sequences=benchmark.sequences,
            evaluate=evaluate,
        ).summary
    return {"j_and_f": summary.jf_mean, "j": summary.region.mean, "f": summary.boundary.mean}


def _open_videos(config: ValidationConfig) -> tuple[YouTubeVis, list[Source]]:
    split = _take_sequences(read_youtube_vis(Path(config.annotations)), config.sequences)
    if not split.annotations:
        raise VisError(f"{config.annotations}: has no annotations to validate by; give a split that has some")
    return split, youtube_vis_sources(split, Path(config.images))


def _open_davis(config: ValidationConfig) -> tuple[DavisBenchmark, list[Source]]:
    task: Task = "semi-supervised" if config.semi_supervised else "unsupervised"
    benchmark = find_davis_benchmark(Path(config.images), task, split=config.split, sequences=config.sequences)
    return benchmark, davis_sources(benchmark, task)


def _segment(sources: list[Source], model: SeqMaskRCNN, settings: SegmentConfig, device: str, folder: Path) -> None:
    from vis_cli.commands.given_masks import read_given_masks
    from vis_cli.engine.segmenter import Segmenter
    from vis_cli.network.weights import LoadedModel
    from vis_cli.records.video import open_video

    segmenter = Segmenter(
        LoadedModel(model, ModelInfo(model.config.name, "")), config=settings, run=RunConfig(device=device)
    )
    for source in sources:
        video = open_video(source.frames)
        guidance = None if source.masks is None else read_given_masks(source.masks, source.frames)
        write_result(segmenter.segment(video, guidance=guidance), folder / f"{source.name}.json")


def _take_sequences(split: YouTubeVis, names: tuple[str, ...]) -> YouTubeVis:
    """Keep the videos of these names, all where there are none.

    Raises:
        VisError: the split has no video of a name.
    """
    require_distinct_names(split)
    known = {video.name: video for video in split.videos}
    for name in names:
        if name not in known:
            raise VisError(f"sequences names {name}, which is no video of {split.path}")
    videos = tuple(known[name] for name in names) or split.videos
    kept = {video.id for video in videos}
    annotations = tuple(entry for entry in split.annotations or () if entry.video_id in kept)
    return dataclasses.replace(split, videos=videos, annotations=annotations)

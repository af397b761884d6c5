"""Validation during training: segment a small split with the network, and score the results. Used by `trainer`."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from vis_cli.engine.segmenter import Segmenter
from vis_cli.errors import VisError
from vis_cli.evaluation.benchmark_videos import BenchmarkVideo, davis_videos, segment_videos, youtube_vis_videos
from vis_cli.metrics import davis
from vis_cli.metrics.youtube_vis import evaluate_youtube_vis
from vis_cli.network.protocol import VideoNetwork
from vis_cli.records.davis_benchmark import DavisBenchmark, find_davis_benchmark
from vis_cli.records.davis_layout import Task
from vis_cli.records.types import ModelInfo
from vis_cli.records.youtube_vis import YouTubeVis, read_youtube_vis
from vis_cli.records.youtube_vis_results import match_results
from vis_cli.settings import PRESETS, RunSettings
from vis_cli.training.config import ValidationConfig
from vis_cli.zoo.weights import LoadedModel


def check_validation(config: ValidationConfig) -> None:
    """Check before the training that the split, its annotations and the frames of its videos exist.

    Raises:
        VisError: One of them is missing or damaged.
    """
    for path in (config.images, config.annotations):
        if path and not Path(path).exists():
            raise VisError(f"{path} is missing. Correct the path or restore it.")
    if config.kind == "davis":
        _open_davis(config)
    else:
        _open_youtube_vis(config)


def validate(config: ValidationConfig, model: VideoNetwork, *, device: str) -> dict[str, float]:
    """Score a model.

    Args:
        config: The split, and the preset that the model segments it with.
        model: A network in evaluation mode.
        device: Device of the segmentation: `cpu`, `cuda`, `cuda:<number>` or `mps`.

    Returns:
        Metrics from 0 to 1. The first one selects the best weights: AP for YouTube-VIS, J&F for DAVIS.

    Raises:
        VisError: A video cannot be read.
    """
    loaded = LoadedModel(model, ModelInfo(model.config.name, ""))
    run = RunSettings(device=device, backend="torch")  # OpenVINO would convert the network for each validation
    segmenter = Segmenter(loaded, config=PRESETS[config.preset], run=run)
    return _score_davis(config, segmenter) if config.kind == "davis" else _score_youtube_vis(config, segmenter)


def _score_youtube_vis(config: ValidationConfig, segmenter: Segmenter) -> dict[str, float]:
    split, videos = _open_youtube_vis(config)
    predictions = match_results(segment_videos(segmenter, videos), split)
    summary = evaluate_youtube_vis(split, predictions.readers).summary
    return {"ap": summary.ap, "ap50": summary.ap50, "ar10": summary.ar10}


def _score_davis(config: ValidationConfig, segmenter: Segmenter) -> dict[str, float]:
    evaluate = davis.evaluate_semi_supervised if config.semi_supervised else davis.evaluate_unsupervised
    benchmark, videos = _open_davis(config)
    results = segment_videos(segmenter, videos)
    summary = davis.evaluate_results(benchmark.masks, results, sequences=benchmark.sequences, evaluate=evaluate).summary
    return {"j_and_f": summary.jf_mean, "j": summary.region.mean, "f": summary.boundary.mean}


def _open_youtube_vis(config: ValidationConfig) -> tuple[YouTubeVis, list[BenchmarkVideo]]:
    split = _select_videos(read_youtube_vis(Path(config.annotations)), config.sequences)
    if not split.annotations:
        raise VisError(f"cannot validate on {config.annotations}: no annotations. Use a split with annotations.")
    return split, youtube_vis_videos(split, Path(config.images))


def _open_davis(config: ValidationConfig) -> tuple[DavisBenchmark, list[BenchmarkVideo]]:
    task: Task = "semi-supervised" if config.semi_supervised else "unsupervised"
    benchmark = find_davis_benchmark(Path(config.images), task, split=config.split, sequences=config.sequences)
    return benchmark, davis_videos(benchmark, task)


def _select_videos(split: YouTubeVis, names: tuple[str, ...]) -> YouTubeVis:
    """Return the split with only the videos of these names, or with all videos if there are no names.

    Raises:
        VisError: The split has no video of a name.
    """
    known = {video.name: video for video in split.videos}
    for name in names:
        if name not in known:
            raise VisError(f"sequences contains {name}, but {split.path} has no such video. Use names of its videos.")
    videos = tuple(known[name] for name in names) or split.videos
    selected = {video.id for video in videos}
    annotations = tuple(entry for entry in split.annotations or () if entry.video_id in selected)
    return dataclasses.replace(split, videos=videos, annotations=annotations)

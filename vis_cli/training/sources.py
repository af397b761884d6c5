"""From a run's config to its clips: the datasets it names, mixed by weight, and the plan of its steps.

Used by the trainer.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

from vis_cli.errors import VisError
from vis_cli.training.config import SourceConfig, TrainConfig
from vis_cli.training.cutouts import CutoutBank
from vis_cli.training.datasets import ClipSource, LabelMap, StillsPseudoVideo, YouTubeVisClips
from vis_cli.training.pairs import BatchPlan, ClipDataset, MixedClips
from vis_cli.training.pseudo_video import PAPER, STRONG, VIDEO, PseudoVideoConfig

GENERATORS = {"strong": STRONG, "paper": PAPER}


def build_dataset(config: TrainConfig) -> ClipDataset:
    """Open every source of the mix.

    Raises:
        VisError: a source cannot be read or is of an unknown kind.
    """
    names = tuple(category.name for category in config.model_config().categories)
    stills = [_open_stills(s, names, _generator(config)) for s in config.data if s.kind == "stills"]
    bank = stills[0].bank if stills else CutoutBank({})
    opened = iter(stills)
    sources: list[ClipSource] = []
    for source in config.data:
        if source.kind == "stills":
            sources.append(next(opened))
        elif source.kind == "video":
            sources.append(_open_video(source, names, bank, config.max_guided))
        else:
            raise VisError(f"[data] kind is {source.kind!r}, but must be 'stills' or 'video'")
    weights = [source.weight for source in config.data]
    return ClipDataset(MixedClips(sources, weights, config.seed, config.num_frames))


def build_plan(config: TrainConfig, start_step: int) -> BatchPlan:
    """Plan the steps of a run from `start_step` on."""
    return BatchPlan(config.steps, config.batch_size, config.canvases, config.seed, start_step)


def _generator(config: TrainConfig) -> PseudoVideoConfig:
    if config.generator not in GENERATORS:
        raise VisError(f"generator is {config.generator!r}, but must be one of {', '.join(GENERATORS)}")
    return dataclasses.replace(GENERATORS[config.generator], max_guided=config.max_guided)


def _open_stills(source: SourceConfig, names: tuple[str, ...], generator: PseudoVideoConfig) -> StillsPseudoVideo:
    labels = LabelMap(names, source.labelled)
    return StillsPseudoVideo(Path(source.annotations), Path(source.images), labels, generator)


def _open_video(source: SourceConfig, names: tuple[str, ...], bank: CutoutBank, max_guided: int) -> YouTubeVisClips:
    labels = LabelMap(names, source.labelled)
    return YouTubeVisClips(
        Path(source.annotations),
        Path(source.images),
        labels,
        dataclasses.replace(VIDEO, max_guided=max_guided),
        bank=bank,
        detect=source.detect,
    )

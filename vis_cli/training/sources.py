"""From a run's config to its clips: the datasets it names, mixed by weight, and the plan of its steps.

Used by the trainer.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vis_cli.errors import VisError
from vis_cli.training.annotations import Note, read_boxes, read_davis_clips, read_video_clips
from vis_cli.training.box_images import BoxImages
from vis_cli.training.category_maps import BY_NAME, make_label_map
from vis_cli.training.config import SourceConfig, TrainConfig
from vis_cli.training.cutouts import CutoutBank
from vis_cli.training.datasets import ClipSource, StillsPseudoVideo, VideoClips
from vis_cli.training.frame_choice import FRAME_CHOICES, NearFrames
from vis_cli.training.labels import LabelMap
from vis_cli.training.pairs import BatchPlan, ClipDataset, ClipShapes, EpochClips, MixedClips, Share
from vis_cli.training.pseudo_video import PAPER, PAPER_VIDEO, STRONG, VIDEO, PseudoVideoConfig

GENERATORS = {"strong": (STRONG, VIDEO), "paper": (PAPER, PAPER_VIDEO)}  # of stills and of videos


@dataclass(frozen=True, slots=True)
class OpenedData:
    """Hold the clips of a run and what they come from."""

    dataset: ClipDataset
    num_items: dict[str, int]  # by the source's annotations, with the kind where two sources share a file
    epoch_length: int | None  # clips an epoch; None: the run is counted in steps


def open_data(config: TrainConfig, note: Note | None = None) -> OpenedData:
    """Open every source of the mix; `note` gets each assumption about the data as a line.

    Raises:
        VisError: a source cannot be read, or its categories do not fit the model.
    """
    names = tuple(category.name for category in config.model.categories)
    sources = _open_sources(config, names, note)
    weights = [source.weight for source in config.data]
    if sum(weights) <= 0.0:
        raise VisError("[data] every weight is 0; there is nothing to train on")
    num_items = {name: len(source) for name, source in zip(_source_names(config.data), sources, strict=True)}
    if config.epochs is None:
        return OpenedData(ClipDataset(MixedClips(sources, weights, config.seed)), num_items, None)
    clips = EpochClips(sources, weights, config.seed)
    return OpenedData(ClipDataset(clips), num_items, len(clips))


def build_plan(config: TrainConfig, start_step: int, *, epoch_length: int | None, share: Share) -> BatchPlan:
    """Plan the steps of a run from `start_step` on."""

    def shapes_at(step: int) -> ClipShapes:
        now = config.at(step)
        return ClipShapes(now.canvases, now.num_frames)

    return BatchPlan(
        config.num_steps,
        config.batch_size,
        shapes_at,
        config.seed,
        start_step,
        epoch_length=epoch_length,
        share=share,
    )


def _source_names(sources: Sequence[SourceConfig]) -> list[str]:
    """Return the annotation file of each source, with the kind where several sources share the file."""
    files = [source.annotations for source in sources]
    return [
        source.annotations if files.count(source.annotations) == 1 else f"{source.annotations} ({source.kind})"
        for source in sources
    ]


def _open_sources(config: TrainConfig, names: tuple[str, ...], note: Note | None) -> list[ClipSource]:
    of_stills, of_videos = (_adapt(generator, config) for generator in GENERATORS[config.generator])
    maps = [make_label_map(source, names) for source in config.data]
    stills = {
        i: _open_stills(source, maps[i], of_stills, note)
        for i, source in enumerate(config.data)
        if source.kind == "stills"
    }
    boxes = {i: _open_boxes(source, maps[i]) for i, source in enumerate(config.data) if source.kind == "boxes"}
    bank = next((opened.bank for opened in stills.values()), CutoutBank({}))
    return [
        stills[i] if i in stills else boxes[i] if i in boxes else _open_videos(source, maps[i], of_videos, bank, config)
        for i, source in enumerate(config.data)
    ]


def _adapt(generator: PseudoVideoConfig, config: TrainConfig) -> PseudoVideoConfig:
    adapted = dataclasses.replace(generator, max_guided=config.max_guided)
    if config.max_pastes is not None:
        most = min(adapted.paste.most, config.max_pastes)
        adapted = dataclasses.replace(adapted, paste=dataclasses.replace(adapted.paste, most=most))
    return dataclasses.replace(adapted, zoom=config.scale_jitter, fill_share=0.0) if config.scale_jitter else adapted


def _open_stills(
    source: SourceConfig, labels: LabelMap, generator: PseudoVideoConfig, note: Note | None
) -> StillsPseudoVideo:
    opened = StillsPseudoVideo(
        Path(source.annotations),
        Path(source.images),
        labels,
        generator,
        labelled_only=source.category_map != BY_NAME,
        crowds=source.crowds,
        note=note,
    )
    _check_categories(source, labels, opened.categories)
    return opened


def _open_boxes(source: SourceConfig, labels: LabelMap) -> BoxImages:
    opened = BoxImages(
        read_boxes(
            Path(source.annotations),
            Path(source.images),
            more=Path(source.more_annotations) if source.more_annotations else None,
        ),
        labels,
        name=source.annotations,
        min_score=source.min_score,
        background_weight=source.background_weight,
        repeat_rare=source.repeat_rare,
    )
    _check_categories(source, labels, opened.categories)
    return opened


def _open_videos(
    source: SourceConfig, labels: LabelMap, generator: PseudoVideoConfig, bank: CutoutBank, config: TrainConfig
) -> VideoClips:
    path = Path(source.annotations)
    opened = VideoClips(
        read_davis_clips(path)
        if source.kind == "davis"
        else read_video_clips(path, Path(source.images), crowds=source.crowds),
        labels,
        generator,
        name=source.annotations,
        bank=bank,
        choose_frames=FRAME_CHOICES.get(config.pair_sampling, NearFrames(config.max_gap)),
        detect=source.detect,
    )
    if source.detect:
        _check_categories(source, labels, opened.categories)
    return opened


def _check_categories(source: SourceConfig, labels: LabelMap, categories: frozenset[str]) -> None:
    """See that what the model has no name for was meant to be left out: by a ready map, or in so many words."""
    ready_map = isinstance(source.category_map, str) and source.category_map != BY_NAME
    if source.unmapped == "refuse" and not ready_map:
        labels.require_known(categories, source.annotations)

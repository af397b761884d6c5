"""Datasets of a run, mixed by weight, and the plan of its steps. Used by `run`."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vis_cli.errors import VisError
from vis_cli.records.datasets.image import AnnotatedImage, Note
from vis_cli.training.annotations import read_boxes, read_davis_clips, read_images, read_video_clips
from vis_cli.training.box_images import BoxImages
from vis_cli.training.category_maps import BY_NAME, make_label_map
from vis_cli.training.config import SourceConfig, TrainConfig
from vis_cli.training.cutouts import CutoutBank
from vis_cli.training.datasets import ClipSource, PseudoVideos, VideoClips
from vis_cli.training.frame_choice import FRAME_CHOICES, NearFrames
from vis_cli.training.labels import LabelMap
from vis_cli.training.pairs import BatchPlan, ClipDataset, ClipShapes, EpochClips, MixedClips, Share
from vis_cli.training.pseudo_video import PAPER, PAPER_VIDEO, STRONG, VIDEO, PseudoVideoConfig

GENERATORS = {"strong": (STRONG, VIDEO), "paper": (PAPER, PAPER_VIDEO)}  # of images and of videos


@dataclass(frozen=True, slots=True)
class OpenedData:
    """Clips of a run."""

    dataset: ClipDataset
    # By annotation file; two sources with the same file also have their kind in the name.
    num_items: dict[str, int]
    epoch_length: int | None  # clips per epoch; None: the run has steps


def open_data(config: TrainConfig, note: Note | None = None) -> OpenedData:
    """Open all datasets of a run.

    Args:
        config: Settings of the run.
        note: Is called with one line per assumption about the data.

    Raises:
        VisError: A dataset cannot be read, or its categories do not fit the model.
    """
    names = tuple(category.name for category in config.model.categories)
    sources = _open_sources(config, names, note)
    weights = [source.weight for source in config.data]
    if sum(weights) <= 0.0:
        raise VisError("every weight is 0", where="[[data]]", hint="Use a weight above 0.")
    num_items = {name: len(source) for name, source in zip(_source_names(config.data), sources, strict=True)}
    if config.epochs is None:
        return OpenedData(ClipDataset(MixedClips(sources, weights, config.seed)), num_items, None)
    clips = EpochClips(sources, weights, config.seed)
    return OpenedData(ClipDataset(clips), num_items, len(clips))


def build_plan(config: TrainConfig, start_step: int, *, epoch_length: int | None, share: Share) -> BatchPlan:
    """Plan the steps of a run from `start_step`."""

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
    """Return the annotation file of each source, with the kind if several sources use the file."""
    files = [source.annotations for source in sources]
    return [
        source.annotations if files.count(source.annotations) == 1 else f"{source.annotations} ({source.kind})"
        for source in sources
    ]


def _open_sources(config: TrainConfig, names: tuple[str, ...], note: Note | None) -> list[ClipSource]:
    of_images, of_videos = (_adapt(generator, config) for generator in GENERATORS[config.generator])
    maps = [make_label_map(source, names) for source in config.data]
    pseudo_videos = {
        i: _open_images(source, maps[i], of_images, note)
        for i, source in enumerate(config.data)
        if source.kind == "images"
    }
    boxes = {i: _open_boxes(source, maps[i], note) for i, source in enumerate(config.data) if source.kind == "boxes"}
    bank = next((opened.bank for opened in pseudo_videos.values()), CutoutBank({}))
    return [
        pseudo_videos[i]
        if i in pseudo_videos
        else boxes[i]
        if i in boxes
        else _open_videos(source, maps[i], of_videos, bank, config)
        for i, source in enumerate(config.data)
    ]


def _adapt(generator: PseudoVideoConfig, config: TrainConfig) -> PseudoVideoConfig:
    adapted = dataclasses.replace(generator, max_guided=config.max_guided)
    if config.max_pastes is not None:
        most = min(adapted.paste.max_pastes, config.max_pastes)
        adapted = dataclasses.replace(adapted, paste=dataclasses.replace(adapted.paste, max_pastes=most))
    return (
        dataclasses.replace(adapted, zoom=config.scale_jitter, fill_probability=0.0) if config.scale_jitter else adapted
    )


def _open_images(
    source: SourceConfig, labels: LabelMap, generator: PseudoVideoConfig, note: Note | None
) -> PseudoVideos:
    opened = PseudoVideos(
        Path(source.annotations),
        _images_folder(source),
        labels,
        generator,
        labelled_only=source.category_map != BY_NAME,
        file_format=source.format,
        crowds=source.crowds,
        note=note,
    )
    _check_categories(source, labels, opened.categories)
    return opened


def _open_boxes(source: SourceConfig, labels: LabelMap, note: Note | None) -> BoxImages:
    opened = BoxImages(
        _read_box_images(source, note),
        labels,
        name=source.annotations,
        score_threshold=source.score_threshold,
        background_weight=source.background_weight,
        repeat_rare=source.repeat_rare,
    )
    _check_categories(source, labels, opened.categories)
    return opened


def _read_box_images(source: SourceConfig, note: Note | None) -> list[AnnotatedImage]:
    if source.more_annotations:  # only COCO files can be about the same images
        return read_boxes(Path(source.annotations), Path(source.images), more=Path(source.more_annotations))
    return read_images(
        Path(source.annotations), _images_folder(source), file_format=source.format, masks_needed=False, note=note
    )


def _images_folder(source: SourceConfig) -> Path | None:
    return Path(source.images) if source.images else None


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
    """Check that objects without a category of the model are meant to be background: by a map or by `unmapped`."""
    ready_map = isinstance(source.category_map, str) and source.category_map != BY_NAME
    if source.unmapped == "reject" and not ready_map:
        labels.require_known(categories, source.annotations)

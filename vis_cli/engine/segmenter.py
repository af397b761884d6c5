"""Propose-Reduce for one video (Propose-Reduce, Sec. 3); used by the commands and by programs."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from vis_cli.engine.detected_masks import DetectedMasks
from vis_cli.engine.device import autocast, choose_device, choose_precision
from vis_cli.engine.exclusive import make_exclusive
from vis_cli.engine.features import FeatureCache
from vis_cli.engine.frames import FrameStore, Size, network_size
from vis_cli.engine.given_masks import GivenMasks
from vis_cli.engine.instances import make_given_instances, make_instances, resize_sequences
from vis_cli.engine.key_frames import select_key_frames
from vis_cli.engine.propose import Proposer
from vis_cli.engine.reduce import reduce_proposals
from vis_cli.engine.scoring import calibrate_scores
from vis_cli.engine.sequences import MaskSource, SequenceProposals
from vis_cli.errors import VisError
from vis_cli.network.accelerate import accelerate
from vis_cli.network.class_agnostic import ClassAgnostic
from vis_cli.network.config import ModelConfig
from vis_cli.network.malloc import tune_malloc
from vis_cli.network.protocol import VideoNetwork
from vis_cli.progress import Progress
from vis_cli.records.types import Category, InstanceSequence, VideoInfo, VideoResult
from vis_cli.records.video import Video, open_video
from vis_cli.settings import GIVEN_MASKS, RunSettings, SegmentSettings, find_preset
from vis_cli.zoo.composition import load_network
from vis_cli.zoo.weights import LoadedModel

Guidance: TypeAlias = Mapping[int, NDArray[np.integer]]  # frame -> (H, W) instance ids, 0 background

MEGABYTE = 2**20
CALIBRATED_SOURCE = "product"  # the `score_source` that the calibration of a model was fitted to


def segment_video(
    video: str | Path | Video,
    *,
    model: str | LoadedModel[VideoNetwork] = "lite",
    config: SegmentSettings | None = None,
    run: RunSettings | None = None,
    progress: Progress | None = None,
    guidance: Guidance | None = None,
) -> VideoResult:
    """Detect, segment and track the objects of one video.

    Args:
        video: A video file, a folder of images, or a video from `open_video`.
        model: Name or folder of a model, or a model from `load_model` or `load_network`.
        config: Settings of the method. None selects the preset `default`, or `given-masks` with `guidance`.
        run: Device, precision and memory. None selects the defaults.
        progress: Called with a stage ("read", "forward" or "backward"), the number of finished frames, and the number
            of all frames (0 if it is unknown).
        guidance: Label maps (H, W) by frame index; 0 is background, other values are instance ids. If they are given,
            `vis` detects nothing. It propagates these objects and keeps their ids. Their category is None, and their
            score is 1.

    Returns:
        The instances of the video, with one mask per frame at the size of the video.

    Raises:
        VisError: The video, the model, the device or the guidance cannot be used.
    """
    if config is None and guidance is not None:
        config = find_preset(GIVEN_MASKS)
    return Segmenter(model, config=config, run=run).segment(video, progress=progress, guidance=guidance)


class Segmenter:
    """A model on its device that segments one video after another. The videos do not influence each other."""

    def __init__(
        self,
        model: str | LoadedModel[VideoNetwork] = "lite",
        *,
        config: SegmentSettings | None = None,
        run: RunSettings | None = None,
    ) -> None:
        """Load the model. Arguments and errors are the same as in `segment_video`."""
        self._run = run or RunSettings()
        self._device = choose_device(self._run.device)
        if self._device.type == "cpu":
            tune_malloc()
        self._precision = choose_precision(self._run.precision, self._device)
        loaded = load_network(model) if isinstance(model, str) else model
        self._model_info = loaded.info
        self._config = settle_sizes(config or SegmentSettings(), loaded.model.config)
        network = ClassAgnostic(loaded.model) if self._config.class_agnostic else loaded.model
        self._network = accelerate(network, self._device)

    @torch.inference_mode()
    def segment(
        self, video: str | Path | Video, *, progress: Progress | None = None, guidance: Guidance | None = None
    ) -> VideoResult:
        """Detect, segment and track the objects of one video. See `segment_video` for arguments and errors."""
        opened = open_video(Path(video)) if isinstance(video, (str, Path)) else video
        report = progress or _ignore
        with self._read_frames(opened, report) as frames:
            source = self._choose_masks(opened, frames, guidance)
            proposals = self._propose(opened, frames, source, report)
        sequences = self._reduce(proposals) if guidance is None else proposals
        if self._config.overlap == "exclusive":
            sequences = make_exclusive(sequences).without_empty()
        if self._config.mask_canvas == "network":
            sequences = resize_sequences(sequences, frames.size, _size(opened))
        if guidance is not None:
            return self._make_result(opened, frames.num_frames, (), make_given_instances(sequences))
        categories = self._network.config.categories
        instances = make_instances(
            sequences,
            categories,
            reported_score=self._config.score_threshold,
            confident_score=self._config.confident_score,
        )
        return self._make_result(opened, frames.num_frames, categories, instances)

    def _read_frames(self, video: Video, progress: Progress) -> FrameStore:
        short_side, long_side = self._config.short_side, self._config.long_side
        if short_side is None or long_side is None:
            raise ValueError("the size of the network input is not known")
        size = network_size(_size(video), short_side=short_side, long_side=long_side)
        return FrameStore(video, size, budget_bytes=self._run.frame_budget_mb * MEGABYTE, progress=progress)

    def _choose_masks(self, video: Video, frames: FrameStore, guidance: Guidance | None) -> MaskSource:
        """Return the start of the sequences: given masks, or detections in K key frames (Propose-Reduce, Eq. 1)."""
        if guidance is not None:
            return GivenMasks(guidance, num_frames=frames.num_frames, video=_size(video), size=frames.size)
        config = self._config
        key_frames = select_key_frames(frames.num_frames, config.num_key_frames, config.key_frame_spacing)
        return DetectedMasks(self._network, key_frames, config)

    def _propose(self, video: Video, frames: FrameStore, source: MaskSource, progress: Progress) -> SequenceProposals:
        cache = FeatureCache(
            self._network,
            frames,
            device=self._device,
            budget_bytes=self._run.feature_budget_mb * MEGABYTE,
            reused_before=source.key_frames[-1],
            padded=self._config.mask_canvas == "network",
        )
        proposer = Proposer(
            self._network, cache, source, self._config, num_frames=frames.num_frames, video=_size(video)
        )
        try:
            with autocast(self._device, self._precision):
                return proposer.propose(progress)
        except torch.cuda.OutOfMemoryError:
            raise VisError(
                f"the memory of {self._device} is too small",
                where=f"cannot segment {video.path}",
                hint="Use a smaller short_side, long_side, max_instances or feature_budget_mb, or the device cpu.",
            ) from None

    def _reduce(self, proposals: SequenceProposals) -> SequenceProposals:
        """Calibrate the scores and remove duplicate sequences."""
        is_fitted = self._config.calibrate and self._config.score_source == CALIBRATED_SOURCE
        calibration = self._network.config.calibration if is_fitted else None
        class_scores = calibrate_scores(proposals.class_scores, calibration)
        return reduce_proposals(dataclasses.replace(proposals, class_scores=class_scores), self._config)

    def _make_result(
        self,
        video: Video,
        num_frames: int,
        categories: tuple[Category, ...],
        instances: tuple[InstanceSequence, ...],
    ) -> VideoResult:
        return VideoResult(
            video=VideoInfo(video.name, video.path, video.width, video.height, video.fps, num_frames),
            model=self._model_info,
            config=dataclasses.asdict(self._config),
            categories=categories,
            instances=instances,
        )


def settle_sizes(config: SegmentSettings, trained: ModelConfig) -> SegmentSettings:
    """Return the settings with the scaled input size of the model, if they have no input size.

    Results contain the size.
    """
    return dataclasses.replace(
        config,
        short_side=config.short_side or max(round(config.input_scale * trained.short_side), 1),
        long_side=config.long_side or max(round(config.input_scale * trained.long_side), 1),
    )


def _size(video: Video) -> Size:
    return video.height, video.width


def _ignore(stage: str, done: int, total: int) -> None:
    """Drop the progress."""

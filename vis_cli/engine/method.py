"""Propose and reduce with one network and its settings; used by `segmenter`."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from vis_cli.engine.device import autocast
from vis_cli.engine.features import FeatureCache
from vis_cli.engine.frames import FrameStore
from vis_cli.engine.propose import Proposer
from vis_cli.engine.reduce import reduce_proposals
from vis_cli.engine.scoring import calibrate_scores
from vis_cli.engine.sequences import MaskSource, SequenceProposals
from vis_cli.errors import VisError
from vis_cli.progress import Progress
from vis_cli.settings import SegmentSettings

if TYPE_CHECKING:
    from vis_cli.network.protocol import VideoNetwork
    from vis_cli.records.video import Video

CALIBRATED_SOURCE = "product"  # the `score_source` that the calibration of a model was fitted to


@dataclass(frozen=True, slots=True)
class Method:
    """The two steps of Propose-Reduce for one video."""

    network: VideoNetwork
    config: SegmentSettings
    device: torch.device
    precision: torch.dtype
    feature_budget: int  # bytes of encoded frames

    def propose(self, video: Video, frames: FrameStore, source: MaskSource, progress: Progress) -> SequenceProposals:
        """Return the redundant sequences of a video (Propose-Reduce, Alg. 1).

        Raises:
            VisError: The memory of the GPU is too small.
        """
        cache = FeatureCache(
            self.network,
            frames,
            device=self.device,
            budget_bytes=self.feature_budget,
            reused_before=source.key_frames[-1],
            padded=self.config.mask_canvas == "network",
        )
        size = (video.height, video.width)
        proposer = Proposer(self.network, cache, source, self.config, num_frames=frames.num_frames, video=size)
        try:
            with autocast(self.device, self.precision):
                return proposer.propose(progress)
        except torch.cuda.OutOfMemoryError:
            raise VisError(
                f"the memory of {self.device} is too small",
                where=f"cannot segment {video.path}",
                hint="Use a smaller short_side, long_side, max_instances or feature_budget_mb, or the device cpu.",
            ) from None

    def reduce(self, proposals: SequenceProposals) -> SequenceProposals:
        """Calibrate the scores and remove duplicate sequences (Propose-Reduce, Sec. 3.2)."""
        is_fitted = self.config.calibrate and self.config.score_source == CALIBRATED_SOURCE
        calibration = self.network.config.calibration if is_fitted else None
        class_scores = calibrate_scores(proposals.class_scores, calibration)
        return reduce_proposals(dataclasses.replace(proposals, class_scores=class_scores), self.config)

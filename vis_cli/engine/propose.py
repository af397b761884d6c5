"""Sequence proposal generation (Sec. 3.1, Alg. 1): detect on key frames, propagate to all others; used by `segmenter`.

One forward and one backward pass over time serve all key frames, so a frame is encoded once for all of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from vis_cli.config import SegmentConfig
from vis_cli.engine.features import EncodedFrame, FeatureCache
from vis_cli.engine.finalize import encode_probs
from vis_cli.engine.frames import Progress, Size
from vis_cli.engine.scoring import frame_class_probs, mean_class_scores
from vis_cli.engine.sequences import KeyMasks, MaskSource, SequenceProposals, SequenceSet, gather_proposals
from vis_cli.network.aggregation import soft_aggregate
from vis_cli.network.memory import MemoryBank
from vis_cli.network.structures import FrameFeatures

if TYPE_CHECKING:
    from vis_cli.network.seq_mask_rcnn import SeqMaskRCNN


class Proposer:
    """Grow the sequences of one video."""

    def __init__(
        self,
        network: SeqMaskRCNN,
        cache: FeatureCache,
        source: MaskSource,
        config: SegmentConfig,
        *,
        num_frames: int,
        video: Size,
    ) -> None:
        """Start without sequences.

        Args:
            network: in eval mode.
            cache: gives encoded frames.
            source: gives the masks of the key frames.
            config: the method's choices.
            num_frames: T.
            video: (H, W), the size of the masks made.
        """
        self._network = network
        self._cache = cache
        self._source = source
        self._config = config
        self._num_frames = num_frames
        self._video = video
        num_classes = 1 if config.class_agnostic else network.config.num_classes
        self._num_scores = num_classes + 1
        self._sets: list[SequenceSet] = []

    def propose(self, progress: Progress) -> SequenceProposals:
        """Generate the redundant set S of sequences, each from one key frame through the whole video."""
        self._sweep_forward(progress)
        self._sweep_backward(progress)
        return gather_proposals(self._sets, self._class_scores())

    def _sweep_forward(self, progress: Progress) -> None:
        for index in range(self._num_frames):
            is_key_frame = index in self._source.key_frames
            if is_key_frame or self._sets:  # before the first sequence there is nothing to propagate
                frame = self._cache.encode(index)
                known = self._source.masks_at(index, frame.features) if is_key_frame else None
                if known is not None:
                    self._start_set(index, frame.features, known)
                self._visit(index, frame, self._sets, known, last=self._num_frames - 1)
            progress("forward", index + 1, self._num_frames)

    def _sweep_backward(self, progress: Progress) -> None:
        for started in self._sets:
            started.bank = self._new_bank(started)
        start = max((s.key_frame for s in self._sets), default=0)
        for done, index in enumerate(reversed(range(start)), start=1):
            later = [s for s in self._sets if s.key_frame > index]
            self._visit(index, self._cache.take(index), later, None, last=0)
            progress("backward", done, start)

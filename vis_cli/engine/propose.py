"""Sequence proposals (Propose-Reduce, Sec. 3.1, Alg. 1): detect on key frames, then propagate; used by `segmenter`.

One forward and one backward pass over time serve all key frames, so a frame is encoded once for all of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vis_cli.config import SegmentConfig
from vis_cli.engine.features import EncodedFrame, FeatureCache
from vis_cli.engine.finalize import encode_probs
from vis_cli.engine.frames import Progress, Size
from vis_cli.engine.key_frames import mask_iou
from vis_cli.engine.scoring import frame_class_probs, mean_class_scores
from vis_cli.engine.sequences import KeyMasks, MaskSource, SequenceProposals, SequenceSet, gather_proposals
from vis_cli.network.aggregation import soft_aggregate
from vis_cli.network.memory import MemoryBank
from vis_cli.network.structures import FrameFeatures, MemoryEntry
from vis_cli.records.rle import encode_mask
from vis_cli.records.types import Rle

if TYPE_CHECKING:
    from vis_cli.network.seq_mask_rcnn import SeqMaskRCNN


def memory_stride(config: SegmentConfig, num_frames: int) -> int:
    """Return the number of frames from one memorized frame of a video of T frames to the next.

    See docs/explanation/authors-implementation.md#fact-29.
    """
    if config.memory_divisions is None:
        return config.memory_stride
    return max(num_frames // config.memory_divisions, 1)


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
        self._on_input = config.mask_canvas == "network"  # masks stay on the padded input
        self._memory_stride = memory_stride(config, num_frames)
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
                known = self._masks_at(index, frame) if is_key_frame else None
                if known is not None:
                    self._start_set(index, frame.features, known)
                self._visit(index, frame, self._sets, known, last=self._num_frames - 1)
            progress("forward", index + 1, self._num_frames)

    def _sweep_backward(self, progress: Progress) -> None:
        for started in self._sets:
            started.bank = self._new_bank(started.first)
        start = max((s.key_frame for s in self._sets), default=0)
        for done, index in enumerate(reversed(range(start)), start=1):
            later = [s for s in self._sets if s.key_frame > index]
            self._visit(index, self._cache.take(index), later, None, last=0)
            progress("backward", done, start)

    def _masks_at(self, index: int, frame: EncodedFrame) -> KeyMasks:
        """Return the masks of a key frame, without the detections that are followed already."""
        known = self._source.masks_at(index, frame.features)
        known = known.padded(frame.query.image_size) if self._on_input else known
        if self._config.followed_iou >= 1.0 or self._source.one_contest or not self._sets:
            return known
        threshold = self._config.mask_threshold
        followed = torch.cat(self._segment(frame, self._sets, None)) > threshold
        overlaps = mask_iou((known.probs > threshold).cpu().numpy(), followed.cpu().numpy())
        return known.select(np.flatnonzero((overlaps <= self._config.followed_iou).all(axis=1)))

    def _start_set(self, index: int, features: FrameFeatures, known: KeyMasks) -> None:
        """Begin a sequence for each object that none of the sets follows yet."""
        followed = {id_ for s in self._sets for id_ in s.ids}
        new = [row for row, id_ in enumerate(known.ids) if id_ not in followed]
        if not new:
            return
        first = self._network.memorize(features, known.guidance[new])
        started = SequenceSet(
            key_frame=index,
            ids=tuple(known.ids[row] for row in new),
            first=first,
            bank=self._new_bank(first),
            segmentations=[[None] * self._num_frames for _ in new],
            class_sums=np.zeros((len(new), self._num_scores)),
            num_visible=np.zeros(len(new), dtype=np.int64),
        )
        self._sets.append(started)

    def _visit(
        self, index: int, frame: EncodedFrame, sets: list[SequenceSet], known: KeyMasks | None, *, last: int
    ) -> None:
        """Give every sequence of `sets` its mask in one frame; `last` ends the sweep, after it no memory is read."""
        if not sets:
            return
        probs = self._segment(frame, sets, known)
        self._record(index, frame.features, sets, probs, known)
        for followed, masks in zip(sets, probs, strict=True):
            stays = self._stays_in_memory(index, followed, known)
            if index != last and (stays or self._passes_memory(index, followed)):
                followed.bank.write(self._network.memorize(frame.features, masks), passing=not stays)

    def _segment(self, frame: EncodedFrame, sets: list[SequenceSet], known: KeyMasks | None) -> list[Tensor]:
        """Propagate to one frame and settle which object each pixel belongs to: a tensor (N, h, w) for each set."""
        alone = [self._segment_alone(frame, followed, known) for followed in sets]
        contests = [torch.cat(alone)] if self._source.one_contest else alone
        shares = torch.cat([soft_aggregate(contest)[1:] for contest in contests])
        probs = torch.split(shares, [len(followed.ids) for followed in sets])
        if known is None:
            return list(probs)
        return [known.impose(followed.ids, masks) for followed, masks in zip(sets, probs, strict=True)]

    def _segment_alone(self, frame: EncodedFrame, followed: SequenceSet, known: KeyMasks | None) -> Tensor:
        """Return the probability (N, h, w) of each object, as if there were no other."""
        if known is not None and known.answers(followed.ids):
            return known.impose(followed.ids, torch.empty_like(known.probs[: len(followed.ids)]))
        alone = self._network.propagate(frame.query, followed.bank)
        return alone if known is None else known.impose(followed.ids, alone)

    def _record(
        self,
        index: int,
        features: FrameFeatures,
        sets: list[SequenceSet],
        probs: list[Tensor],
        known: KeyMasks | None,
    ) -> None:
        """Keep of one frame only what grows little: the masks as RLE and the sums of class probabilities."""
        threshold = self._config.mask_threshold
        all_probs = torch.cat(probs).cpu().numpy()  # (all N, h, w)
        masks = all_probs > threshold
        class_probs = frame_class_probs(self._network, features, masks, class_agnostic=self._config.class_agnostic)
        members = [(followed, row) for followed in sets for row in range(len(followed.ids))]
        for (followed, row), prob, mask, scores in zip(members, all_probs, masks, class_probs, strict=True):
            exact = None if known is None else known.segmentation(followed.ids[row])
            followed.segmentations[row][index] = exact or self._encode(prob, mask)
            followed.class_sums[row] += scores
            followed.num_visible[row] += bool(mask.any())

    def _encode(self, prob: NDArray[np.float32], mask: NDArray[np.bool_]) -> Rle | None:
        """Return the mask of one object in one frame on the mask canvas, None if it is empty."""
        if self._on_input:
            return encode_mask(mask) if mask.any() else None
        return encode_probs(prob, self._video, self._config.mask_threshold)

    def _stays_in_memory(self, index: int, followed: SequenceSet, known: KeyMasks | None) -> bool:
        """Tell whether a set keeps this frame: every `memory_stride` frames, and where masks are given."""
        if index == followed.key_frame or self._config.memory_frames == 1:
            return False  # the key frame is in the memory already
        if known is not None and not set(known.ids).isdisjoint(followed.ids):
            return True
        return abs(index - followed.key_frame) % self._memory_stride == 0

    def _passes_memory(self, index: int, followed: SequenceSet) -> bool:
        """Tell whether a set memorises this frame for the next one only."""
        config = self._config
        return config.memory_previous and config.memory_frames != 1 and index != followed.key_frame

    def _new_bank(self, first: MemoryEntry) -> MemoryBank:
        return MemoryBank(first, max_frames=self._config.memory_frames)

    def _class_scores(self) -> NDArray[np.float64]:
        """Score all sequences (Propose-Reduce, Eq. 2), in the order of their sets: (N, C+1)."""
        none = np.zeros((0, self._num_scores))
        return mean_class_scores(
            np.concatenate([none, *(s.class_sums for s in self._sets)]),
            np.concatenate([np.zeros(0, dtype=np.int64), *(s.num_visible for s in self._sets)]),
            num_frames=self._num_frames,
            score_frames=self._config.score_frames,
        )

"""Sequence proposals (Propose-Reduce, Sec. 3.1, Alg. 1); used by `segmenter`.

In the paper, the propagation of a key frame is finished before the next key frame starts. This module computes the same
in two passes over the video, one forward and one backward in time. Each pass propagates all key frames that it has
reached, so a frame is decoded and encoded once for all of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vis_cli.engine.background import Background
from vis_cli.engine.features import FeatureCache
from vis_cli.engine.frames import Size
from vis_cli.engine.masks import encode_probs
from vis_cli.engine.packed_probs import pack_probs
from vis_cli.engine.scoring import FrameDetections, combine_scores, mean_class_scores, support_scores
from vis_cli.engine.sequences import KeyFrameProposals, KeyMasks, MaskSource
from vis_cli.network.aggregation import soft_aggregate
from vis_cli.network.memory import MemoryRule
from vis_cli.network.propagation import Propagation, propagate_masks
from vis_cli.network.structures import EncodedFrame
from vis_cli.progress import Progress
from vis_cli.records.rle import Rle
from vis_cli.settings import SegmentSettings

if TYPE_CHECKING:
    from vis_cli.network.protocol import VideoNetwork


class Proposer:
    """Propose the sequences of one window of a video."""

    def __init__(
        self,
        network: VideoNetwork,
        cache: FeatureCache,
        source: MaskSource,
        config: SegmentSettings,
        *,
        frames: range,
        rule: MemoryRule,
        video: Size,
        continues: bool = False,
    ) -> None:
        """Prepare the proposals of a window.

        Args:
            network: A network in evaluation mode.
            cache: It encodes the frames.
            source: It returns the masks of the key frames of the window.
            config: Settings of the method.
            frames: Indices of the frames of the window.
            rule: The frames that the memory keeps.
            video: (H, W) of the video.
            continues: The video has other windows. Sequences continue in them, and detections support sequences.
        """
        self._continues = continues
        self._network = network
        self._cache = cache
        self._source = source
        self._config = config
        self._frames = frames
        self._rule = rule
        self._video = video
        self._detections: dict[int, FrameDetections] = {}  # of the key frames, if they are a source of scores
        self._background = Background()
        self._on_input = config.mask_canvas == "network"  # masks have the size of the padded network input

    def propose(self, known: Sequence[KeyFrameProposals], progress: Progress) -> list[KeyFrameProposals]:
        """Propagate the known sequences through the window, and return the new ones (the redundant set S).

        Each new sequence starts in one key frame and covers the complete window.

        Args:
            known: Sequences that continue from the previous window. Their masks of this window are added to them.
            progress: Called for each frame.
        """
        proposals = [*known]
        self._propagate_forward(proposals, progress)
        new = proposals[len(known) :]
        self._propagate_backward(new, progress)
        self._background.wait()
        for some in known:
            some.detection_scores = support_scores(some.masks, self._detections, self._num_scores)
        return new

    def extend(self, proposals: Sequence[KeyFrameProposals], frames: range) -> None:
        """Propagate sequences of this window backward through the frames of the previous window."""
        propagations = [some.backward for some in proposals if some.backward is not None]
        encoded = (self._cache.take(index) for index in reversed(frames))
        for step in propagate_masks(self._network, encoded, propagations):
            step.masks = self._source.aggregate([some.ids for some in proposals], step.separate, None)
            self._record(step.frame, proposals, step.masks, None)
        self._background.wait()

    def _propagate_forward(self, proposals: list[KeyFrameProposals], progress: Progress) -> None:
        """Propagate all sequences to the last frame, and append the new sequences of each key frame."""
        propagations = [some.propagation for some in proposals]
        frames = self._frames_forward(proposals, progress)
        for step in propagate_masks(self._network, frames, propagations, memorize_last=self._continues):
            frame, ids = step.frame, [some.ids for some in proposals]
            key_masks = self._key_masks(frame)
            step.masks = self._source.aggregate(ids, step.separate, key_masks)
            masks = list(step.masks)
            if key_masks is not None and (new := self._source.select_new(key_masks, ids, step.masks)).ids:
                proposals.append(self._start(frame, new))
                propagations.append(proposals[-1].propagation)
                masks.append(self._first_masks(frame, new, proposals[-1].propagation))
            self._record(frame, proposals, masks, key_masks)

    def _propagate_backward(self, proposals: Sequence[KeyFrameProposals], progress: Progress) -> None:
        """Propagate the sequences of each key frame to the first frame, with a new memory."""
        last_key_frame = max((some.key_frame for some in proposals), default=self._frames.start)
        reached: list[KeyFrameProposals] = []
        propagations: list[Propagation] = []
        waiting = {some.key_frame: some for some in proposals}

        def reach(index: int) -> None:
            if index in waiting:
                backward = waiting[index].propagation.restart()
                waiting[index].backward = backward
                reached.insert(0, waiting[index])
                propagations.insert(0, backward)

        reach(last_key_frame)
        frames = self._frames_backward(last_key_frame, progress)
        for step in propagate_masks(self._network, frames, propagations, memorize_last=self._continues):
            step.masks = self._source.aggregate([some.ids for some in reached], step.separate, None)
            self._record(step.frame, reached, step.masks, None)
            reach(step.frame.index)

    def _frames_forward(self, proposals: Sequence[KeyFrameProposals], progress: Progress) -> Iterator[EncodedFrame]:
        """Encode the frames in order. Frames before the first sequence are skipped, unless they are key frames."""
        for done, index in enumerate(self._frames, start=1):
            if proposals or index in self._source.key_frames:
                yield self._cache.encode(index)
            progress("forward", done, len(self._frames))

    def _frames_backward(self, last_key_frame: int, progress: Progress) -> Iterator[EncodedFrame]:
        indices = range(self._frames.start, last_key_frame)
        for done, index in enumerate(reversed(indices), start=1):
            yield self._cache.take(index)
            progress("backward", done, len(indices))

    def _key_masks(self, frame: EncodedFrame) -> KeyMasks | None:
        """Return the masks of a key frame, None for any other frame."""
        if frame.index not in self._source.key_frames:
            return None
        key_masks = self._source.masks_at(frame)
        if self._on_input:
            key_masks = key_masks.padded(frame.query.image_size)
        if self._config.score_source == "support" or self._continues:
            rles = tuple(encode_probs(key_masks.probs, self._mask_size(frame), self._config.mask_threshold))
            self._detections[frame.index] = FrameDetections(rles, key_masks.class_probs)
        return key_masks

    def _start(self, frame: EncodedFrame, key_masks: KeyMasks) -> KeyFrameProposals:
        """Start one sequence for each object of a key frame."""
        guidance = self._network.memorize(frame.features, key_masks.guidance)
        memorized_frames = self._source.guidance_frames(key_masks.ids)
        num = len(key_masks.ids)
        return KeyFrameProposals(
            key_frame=frame.index,
            ids=key_masks.ids,
            propagation=Propagation(frame.index, guidance, self._rule, memorized_frames=memorized_frames),
            masks=[{} for _ in range(num)],
            class_sums=np.zeros((num, self._num_scores)),
            num_visible=np.zeros(num, dtype=np.int64),
            detection_scores=key_masks.class_probs,
            probs=[{} for _ in range(num if self._exclusive else 0)],
        )

    def _first_masks(self, frame: EncodedFrame, key_masks: KeyMasks, propagation: Propagation) -> Tensor:
        """Return the masks (N, h, w) of new sequences in their key frame.

        The released presets propagate the key frame to itself. See
        docs/explanation/authors-implementation.md#fact-28.
        """
        if not key_masks.resegment:
            return key_masks.probs
        (separate,) = self._network.propagate(frame.query, [propagation.bank])
        return soft_aggregate(separate)[1:]

    def _record(
        self,
        frame: EncodedFrame,
        proposals: Sequence[KeyFrameProposals],
        masks: Sequence[Tensor],
        key_masks: KeyMasks | None,
    ) -> None:
        """Store the masks of one frame as RLE, and add the class probabilities to their sums, in a second thread."""
        if not proposals:
            return
        probs = torch.cat(list(masks))  # (all N, h, w)
        binary = probs > self._config.mask_threshold
        class_probs = self._source.class_probs(frame, binary)
        members = [(some, row) for some in proposals for row in range(len(some.ids))]
        given = [None if key_masks is None else key_masks.segmentation(some.ids[row]) for some, row in members]
        index, size = frame.index, self._mask_size(frame)  # the features of the frame are not kept until it is stored
        self._background.call(lambda: self._store(index, size, members, given, probs, class_probs))

    def _store(
        self,
        index: int,
        size: Size,
        members: Sequence[tuple[KeyFrameProposals, int]],
        given: Sequence[Rle | None],
        probs: Tensor,
        class_probs: NDArray[np.float64],
    ) -> None:
        """Add the masks and class probabilities of one frame to the sequences `members`. A second thread calls it."""
        threshold = self._config.mask_threshold
        packed = pack_probs(probs, threshold) if self._exclusive else [None] * len(probs)
        rles = encode_probs(probs, size, threshold)
        visible = (probs > threshold).flatten(1).any(dim=1).tolist()
        rows = zip(members, given, rles, packed, class_probs, visible, strict=True)
        for (some, row), known, rle, packed_probs, scores, is_visible in rows:
            if (mask := known or rle) is not None:
                some.masks[row][index] = mask
            some.class_sums[row] += scores
            some.num_visible[row] += is_visible
            if packed_probs is not None and not known:
                some.probs[row][index] = packed_probs

    def _mask_size(self, frame: EncodedFrame) -> Size:
        """Return the size of the stored masks of a frame."""
        return frame.query.image_size if self._on_input else self._video

    @property
    def _exclusive(self) -> bool:
        return self._config.overlap == "exclusive"

    @property
    def _num_scores(self) -> int:
        return self._source.num_classes + 1

    def class_scores(self, proposals: Sequence[KeyFrameProposals]) -> NDArray[np.float64]:
        """Return the class scores (N, C+1) of sequences in this window, from the source that the settings select."""
        source = self._config.score_source
        if source == "support":
            masks = [row for some in proposals for row in some.masks]
            return support_scores(masks, self._detections, self._num_scores)
        none = np.zeros((0, self._num_scores))
        detection = np.concatenate([none, *(some.detection_scores for some in proposals)])
        eq2 = mean_class_scores(
            np.concatenate([none, *(some.class_sums for some in proposals)]),
            np.concatenate([np.zeros(0, dtype=np.int64), *(some.num_visible for some in proposals)]),
            np.array([_lifetime(masks) for some in proposals for masks in some.masks], dtype=np.int64),
            num_frames=len(self._frames),
            score_frames=self._config.score_frames,
        )
        return {"eq2": eq2, "detection": detection, "product": combine_scores(eq2, detection)}[source]


def _lifetime(masks: Mapping[int, Rle]) -> int:
    """Return the number of frames from the first to the last mask."""
    return max(masks) - min(masks) + 1 if masks else 0


def memory_rule(config: SegmentSettings, num_frames: int) -> MemoryRule:
    """Return the frames that the memory of a video of T frames keeps.

    See docs/explanation/authors-implementation.md#fact-29.
    """
    stride = config.memory_stride
    if config.memory_divisions is not None:
        stride = max(num_frames // config.memory_divisions, 1)
    return MemoryRule(stride=stride, max_frames=config.memory_frames, keep_previous=config.memory_previous)

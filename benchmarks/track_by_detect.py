"""The track-by-detect paradigm (Propose-Reduce, Fig. 1a): detect in each frame and link detections by mask IoU.

Used by `orderings.py` and `windows.py`. All paradigms use the same detector, so only the paradigm differs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch
from baselines import BaselineSequences, VideoDetector, iter_frames
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from vis_cli.engine.detected_masks import DetectedMasks
from vis_cli.engine.device import autocast
from vis_cli.engine.exclusive import make_exclusive
from vis_cli.engine.features import FeatureCache
from vis_cli.engine.frames import Size
from vis_cli.engine.masks import encode_probs
from vis_cli.engine.method import Method
from vis_cli.engine.packed_probs import pack_probs
from vis_cli.engine.scoring import calibrate_scores, combine_scores, frame_class_probs
from vis_cli.engine.sequences import SequenceProposals
from vis_cli.network.structures import EncodedFrame
from vis_cli.records.rle import Rle
from vis_cli.records.segmentations import Segmentations, segmentations_of
from vis_cli.settings import SCORES_OF_DETECTIONS, SegmentSettings

if TYPE_CHECKING:
    from vis_cli.records.video import Video

LINK_IOU = 0.3  # minimum IoU of a detection with the last mask of a track
PATIENCE = 5  # maximum distance in frames from one mask of a track to the next


@dataclass(frozen=True, slots=True)
class FrameDetections:
    """Detections of one frame."""

    masks: NDArray[np.bool_]  # (N, h, w) at the input size of the network
    segmentations: tuple[Rle | None, ...]  # N, at the size of the video
    class_probs: NDArray[np.float64]  # (N, C+1), background first


@dataclass(slots=True)
class _Track:
    first_frame: int
    last_frame: int
    class_sums: NDArray[np.float64]  # (C+1,)
    num_detections: int = 0
    segmentations: dict[int, Rle] = field(default_factory=dict)  # by frame index


class Linker:
    """Links the detections of one frame after another to tracks, for the highest sum of IoU in each frame.

    Only tracks that can continue keep a decoded mask, so memory does not depend on the length of the video, except for
    the encoded masks of the result.
    """

    def __init__(self) -> None:
        self._tracks: list[_Track] = []
        self._last_masks: dict[int, NDArray[np.bool_]] = {}  # (h, w) of tracks that can continue, by row
        self._num_scores = 1
        self.num_frames = 0

    def add(self, found: FrameDetections) -> None:
        """Add the detections of the next frame."""
        frame, self._num_scores = self.num_frames, found.class_probs.shape[1]
        alive = [row for row in self._last_masks if frame - self._tracks[row].last_frame <= PATIENCE]
        self._last_masks = {row: self._last_masks[row] for row in alive}
        matched = match_masks(list(self._last_masks.values()), found.masks)
        for number, mask in enumerate(found.masks):
            row = alive[matched[number]] if number in matched else self._start(frame)
            self._last_masks[row] = mask
            track = self._tracks[row]
            track.last_frame = frame
            track.class_sums += found.class_probs[number]
            track.num_detections += 1
            if (rle := found.segmentations[number]) is not None:
                track.segmentations[frame] = rle
        self.num_frames += 1

    def end_tracks(self) -> None:
        """End all tracks: the next frame starts a shot."""
        self._last_masks = {}

    @property
    def num_detections(self) -> NDArray[np.int64]:
        """Return the number of detections of each track, (N,)."""
        return np.array([track.num_detections for track in self._tracks], dtype=np.int64)

    def proposals(self, num_scored: NDArray[np.int64]) -> SequenceProposals:
        """Return the tracks.

        Args:
            num_scored: Divisor of the sums of class probabilities, (N,).
        """
        sums = np.array([track.class_sums for track in self._tracks]).reshape(len(self._tracks), self._num_scores)
        return SequenceProposals(
            ids=tuple(range(len(self._tracks))),
            key_frames=tuple(track.first_frame for track in self._tracks),
            segmentations=tuple(spread_masks(track.segmentations, self.num_frames) for track in self._tracks),
            class_scores=sums / num_scored[:, None],
        )

    def _start(self, frame: int) -> int:
        """Start a track and return its row."""
        self._tracks.append(_Track(frame, frame, np.zeros(self._num_scores)))
        return len(self._tracks) - 1


def link_detections(frames: Sequence[FrameDetections]) -> SequenceProposals:
    """Link the detections of T frames to tracks.

    The score of a track is the mean over all T frames. Eq. 2 defines the score of a sequence in the same way.
    """
    linker = Linker()
    for found in frames:
        linker.add(found)
    return linker.proposals(np.full_like(linker.num_detections, len(frames)))


def track_by_detect(method: Method, video: Video) -> BaselineSequences:
    """Detect in each frame of a video, and link the detections. The score of a track is the mean over its detections.

    The setting `cuts` ends all tracks at a cut. The paper does not detect cuts.
    """
    linker, detector = Linker(), VideoDetector(method, video)
    for window in iter_frames(method, video):
        frame = window.indices.start
        if window.starts_shot:
            linker.end_tracks()
        cache = FeatureCache(
            method.network,
            [window.frames],
            device=method.device,
            budget_bytes=0,
            reused_before=0,
            key_frames=window.indices,
        )
        with torch.inference_mode(), autocast(method.device, method.precision):
            linker.add(_detect(method, detector.source(frame), cache.encode(frame), (video.height, video.width)))
    return BaselineSequences(linker.proposals(linker.num_detections), linker.num_frames, linker.num_frames)


def match_masks(known: Sequence[NDArray[np.bool_]], found: NDArray[np.bool_]) -> dict[int, int]:
    """Return the assignment of detected masks (N, h, w) to known masks (h, w) with the highest sum of IoU, by row."""
    if not known or not len(found):
        return {}
    a, b = np.stack(known).reshape(len(known), -1), found.reshape(len(found), -1)
    shared = a.astype(np.float32) @ b.astype(np.float32).T  # float32 counts the pixels of a frame exactly
    return assign(shared / np.maximum(a.sum(1)[:, None] + b.sum(1)[None, :] - shared, 1))


def assign(iou: NDArray[np.floating]) -> dict[int, int]:
    """Return the row of each assigned column of an IoU matrix (N, M). The sum of IoU is the maximum."""
    rows, columns = linear_sum_assignment(-np.where(iou >= LINK_IOU, iou, 0.0))
    return {int(j): int(i) for i, j in zip(rows, columns, strict=True) if iou[i, j] >= LINK_IOU}


def spread_masks(masks: dict[int, Rle], num_frames: int) -> Segmentations:
    """Return the masks of a sequence, given by frame index, for all frames of the video."""
    first, stop = min(masks, default=0), max(masks, default=-1) + 1
    return segmentations_of(map(masks.get, range(first, stop)), num_frames=num_frames, first=first)


def _detect(method: Method, source: DetectedMasks, frame: EncodedFrame, size: Size) -> FrameDetections:
    """Detect in a frame as in a key frame, with the scores and the overlap that the settings select."""
    config, found = method.config, source.masks_at(frame)
    masks = found.probs > config.mask_threshold
    class_probs = _score(method, frame, masks, found.class_probs)
    rles = tuple(encode_probs(found.probs, size, config.mask_threshold))
    if config.overlap == "exclusive":
        rles = _share_pixels(rles, found.probs, class_probs, config)
    return FrameDetections(masks.cpu().numpy(), rles, class_probs)


def _score(method: Method, frame: EncodedFrame, masks: Tensor, detection: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the class scores (N, C+1) of the detections of a frame, as for a video with this frame only."""
    config = method.config
    scores = detection
    if config.score_source not in SCORES_OF_DETECTIONS:
        eq2 = frame_class_probs(method.network, frame.features, masks)
        scores = combine_scores(eq2, detection) if config.score_source == "product" else eq2
    return calibrate_scores(scores, method.calibration)


def _share_pixels(
    rles: tuple[Rle | None, ...], probs: Tensor, class_probs: NDArray[np.float64], config: SegmentSettings
) -> tuple[Rle | None, ...]:
    """Let the detections of a frame compete for pixels (`exclusive`)."""
    detections = SequenceProposals(
        ids=tuple(range(len(rles))),
        key_frames=(0,) * len(rles),
        segmentations=tuple((rle,) for rle in rles),
        class_scores=class_probs,
        probs=tuple((packed,) for packed in pack_probs(probs, config.mask_threshold)),
    )
    shared = make_exclusive(detections, confident_score=config.confident_score)
    return tuple(masks[0] for masks in shared.segmentations)

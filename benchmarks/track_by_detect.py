"""The track-by-detect paradigm (Propose-Reduce, Fig. 1a): detect in each frame and link detections by mask IoU.

Used by `orderings.py`. Both paradigms use the same detector, so only the paradigm differs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from vis_cli.engine.sequences import SequenceProposals
from vis_cli.records.rle import Rle

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
    last_frame: int
    last_mask: NDArray[np.bool_]  # (h, w)
    first_frame: int
    segmentations: list[Rle | None]  # one per frame of the video
    class_sums: NDArray[np.float64]  # (C+1,)


def link_detections(frames: Sequence[FrameDetections]) -> SequenceProposals:
    """Link the detections of T frames to tracks, frame by frame, for the highest sum of IoU.

    The score of a track is the mean over all T frames. Eq. 2 defines the score of a sequence in the same way.
    """
    tracks: list[_Track] = []
    num_scores = frames[0].class_probs.shape[1]
    for index, found in enumerate(frames):
        alive = [track for track in tracks if index - track.last_frame <= PATIENCE]
        matched = match_masks([track.last_mask for track in alive], found.masks)
        for row, mask in enumerate(found.masks):
            if row in matched:
                track = alive[matched[row]]
            else:
                track = _Track(index, mask, index, [None] * len(frames), np.zeros(found.class_probs.shape[1]))
                tracks.append(track)
            track.last_frame, track.last_mask = index, mask
            track.segmentations[index] = found.segmentations[row]
            track.class_sums += found.class_probs[row]
    sums = np.array([track.class_sums for track in tracks]).reshape(len(tracks), num_scores)
    return SequenceProposals(
        ids=tuple(range(len(tracks))),
        key_frames=tuple(track.first_frame for track in tracks),
        segmentations=tuple(tuple(track.segmentations) for track in tracks),
        class_scores=sums / len(frames),
    )


def match_masks(known: Sequence[NDArray[np.bool_]], found: NDArray[np.bool_]) -> dict[int, int]:
    """Return the assignment of detected masks (N, h, w) to known masks (h, w) with the highest sum of IoU, by row."""
    if not known or not len(found):
        return {}
    a, b = np.stack(known).reshape(len(known), -1), found.reshape(len(found), -1)
    shared = a.astype(np.float32) @ b.astype(np.float32).T  # float32 counts the pixels of a frame exactly
    iou = shared / np.maximum(a.sum(1)[:, None] + b.sum(1)[None, :] - shared, 1)
    rows, columns = linear_sum_assignment(-np.where(iou >= LINK_IOU, iou, 0.0))
    return {int(j): int(i) for i, j in zip(rows, columns, strict=True) if iou[i, j] >= LINK_IOU}

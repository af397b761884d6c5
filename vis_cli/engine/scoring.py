"""Class scores of a sequence: by the box head in each frame (Propose-Reduce, Eq. 2), and by its detections.

Used by `propose` and by the sources of masks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchvision.ops import masks_to_boxes

from vis_cli.network.config import Calibration
from vis_cli.network.structures import FrameFeatures
from vis_cli.records.rle import Rle, sequence_iou
from vis_cli.settings import ScoreFrames

if TYPE_CHECKING:
    from vis_cli.network.protocol import VideoNetwork

SUPPORT_IOU = 0.5  # a detection supports a sequence from this mask IoU on
BOX_MARGIN = 1  # pixels around the mask: docs/explanation/authors-implementation.md#fact-31


@dataclass(frozen=True, slots=True)
class FrameDetections:
    """M detections of a key frame."""

    masks: tuple[Rle | None, ...]
    class_probs: NDArray[np.float64]  # (M, C+1), background first


def mask_boxes(masks: Tensor, *, margin: int = BOX_MARGIN) -> Tensor:
    """Return the bounding boxes of masks, with a margin, clipped to the image.

    Args:
        masks: (N, h, w) bool, none of them empty.
        margin: Pixels on each side.

    Returns:
        (N, 4) float32 xyxy. Like the boxes of the box head, a box ends where its last pixel ends.
    """
    height, width = masks.shape[-2:]
    first, last = masks_to_boxes(masks).split(2, dim=1)  # (x, y) of the first and of the last pixel
    limit = torch.tensor([width, height], device=masks.device)
    return torch.cat([(first - margin).clamp(min=0), torch.minimum(last + 1 + margin, limit)], dim=1)


def frame_class_probs(network: VideoNetwork, features: FrameFeatures, masks: Tensor) -> NDArray[np.float64]:
    """Classify the objects of one frame by the bounding boxes of their masks, all in one call.

    Args:
        network: Its box head classifies.
        features: Features of the frame.
        masks: (N, h, w) bool at the size of the network input.

    Returns:
        (N, C+1) class probabilities, background first. They are 0 for an empty mask.
    """
    visible = masks.flatten(1).any(dim=1)
    probs = network.class_probs(features, mask_boxes(masks[visible])).double().cpu().numpy()
    scores = np.zeros((len(masks), probs.shape[1]))
    scores[visible.cpu().numpy()] = probs
    return scores


def mean_class_scores(
    sums: NDArray[np.float64],
    num_visible: NDArray[np.int64],
    lifetimes: NDArray[np.int64],
    *,
    num_frames: int,
    score_frames: ScoreFrames,
) -> NDArray[np.float64]:
    """Divide sums of class probabilities by a number of frames.

    Args:
        sums: (N, C+1), over all frames.
        num_visible: (N,) number of frames that show the object.
        lifetimes: (N,) number of frames from the first to the last frame that shows the object.
        num_frames: Number of frames, T.
        score_frames: "all" divides by T (Propose-Reduce, Eq. 2), "visible" by the number of visible frames, "lifetime"
            by the lifetime.

    Returns:
        (N, C+1) mean class probabilities.
    """
    if score_frames == "all":
        return sums / num_frames
    counts = num_visible if score_frames == "visible" else lifetimes
    means: NDArray[np.float64] = sums / np.maximum(counts, 1)[:, None]
    return means


def combine_scores(eq2: NDArray[np.float64], detection: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the geometric mean (N, C+1) of the scores of Eq. 2 and the scores of the detections.

    Eq. 2 reads all frames, but only the box of a mask. The detector reads one frame, with the box that it found. A
    sequence scores high if both agree.
    """
    combined: NDArray[np.float64] = np.sqrt(eq2 * detection)
    return combined


def support_scores(
    segmentations: Sequence[Mapping[int, Rle]], detections: Mapping[int, FrameDetections], num_scores: int
) -> NDArray[np.float64]:
    """Return the mean class probabilities of the detections that match a sequence, over the key frames that show it.

    A key frame without a matching detection counts as 0.

    Args:
        segmentations: N sequences: masks by frame index.
        detections: Detections of each key frame, by frame index.
        num_scores: Number of classes with background, C+1.

    Returns:
        (N, C+1), from 0 to 1.
    """
    sums, counts = np.zeros((len(segmentations), num_scores)), np.zeros(len(segmentations))
    for index, found in detections.items():
        masks = [sequence.get(index) for sequence in segmentations]
        counts += [mask is not None for mask in masks]
        if found.masks:
            iou = sequence_iou([[mask] for mask in masks], [[mask] for mask in found.masks])
            matched = np.flatnonzero(iou.max(axis=1) >= SUPPORT_IOU)
            sums[matched] += found.class_probs[iou[matched].argmax(axis=1)]
    scores: NDArray[np.float64] = sums / np.maximum(counts, 1)[:, None]
    return scores


def calibrate_scores(scores: NDArray[np.float64], calibration: Calibration | None) -> NDArray[np.float64]:
    """Convert class scores to probabilities of being correct (Platt scaling of the logit).

    Args:
        scores: (N, C+1), background first. The background does not change.
        calibration: Slope and offset; None: the scores do not change.

    Returns:
        (N, C+1). The order of the scores does not change. A score of 0 or 1 does not change.

    Reference: Platt, Probabilistic outputs for support vector machines, 1999; docs/explanation/scores.md.
    """
    if calibration is None:
        return scores
    slope, offset = calibration
    calibrated = scores.copy()
    inside = (scores > 0.0) & (scores < 1.0)
    inside[:, 0] = False
    logits = torch.from_numpy(scores[inside]).logit()
    calibrated[inside] = (slope * logits + offset).sigmoid().numpy()
    return calibrated

"""Class scores of a sequence per frame, by the box head, and their mean (Propose-Reduce, Eq. 2); used by `propose`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from vis_cli.config import ScoreFrames
from vis_cli.network.structures import FrameFeatures

if TYPE_CHECKING:
    from vis_cli.network.seq_mask_rcnn import SeqMaskRCNN

BOX_MARGIN = 1  # pixels around the mask: docs/explanation/authors-implementation.md#fact-31


def mask_box(mask: NDArray[np.bool_], *, margin: int = BOX_MARGIN) -> tuple[int, int, int, int]:
    """Return the first and last column and row of a mask (h, w), grown by `margin`, clipped: (x0, y0, x1, y1).

    Raises:
        ValueError: the mask is empty.
    """
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if len(rows) == 0:
        raise ValueError("an empty mask has no box")
    height, width = mask.shape
    x0, y0 = max(int(columns[0]) - margin, 0), max(int(rows[0]) - margin, 0)
    x1, y1 = min(int(columns[-1]) + margin, width - 1), min(int(rows[-1]) + margin, height - 1)
    return x0, y0, x1, y1


def frame_class_probs(
    network: SeqMaskRCNN, features: FrameFeatures, masks: NDArray[np.bool_], *, class_agnostic: bool
) -> NDArray[np.float64]:
    """Classify the objects of one frame by the boxes of their masks, all in one call.

    Args:
        network: its box head classifies.
        features: of the frame.
        masks: (N, h, w) at the network's input size.
        class_agnostic: sum the foreground classes to one.

    Returns:
        (N, C+1) class probabilities, background first; zeros where an object has no pixel.
    """
    visible = masks.any(axis=(1, 2))
    boxes = np.array([mask_box(mask) for mask in masks[visible]], dtype=np.float32).reshape(-1, 4)
    boxes[:, 2:] += 1  # mask_box names the last pixel, as released; the box head's boxes end where that pixel ends
    probs = network.class_probs(features, torch.from_numpy(boxes).to(features.c2.device))
    found = probs.double().cpu().numpy()
    if class_agnostic:
        found = np.stack([found[:, 0], 1.0 - found[:, 0]], axis=1)
    scores = np.zeros((len(masks), found.shape[1]))
    scores[visible] = found
    return scores


def mean_class_scores(
    sums: NDArray[np.float64], num_visible: NDArray[np.int64], *, num_frames: int, score_frames: ScoreFrames
) -> NDArray[np.float64]:
    """Divide the summed class probabilities (N, C+1) by the number of all frames, or of frames that show the object.

    The mean over all frames is the paper's (Propose-Reduce, Eq. 2).
    """
    if score_frames == "all":
        return sums / num_frames
    means: NDArray[np.float64] = sums / np.maximum(num_visible, 1)[:, None]
    return means

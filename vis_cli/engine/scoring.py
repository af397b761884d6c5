"""Class scores of a sequence per frame, by the box head, and their mean (Propose-Reduce, Eq. 2); used by `propose`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchvision.ops import masks_to_boxes

from vis_cli.network.structures import FrameFeatures
from vis_cli.settings import ScoreFrames

if TYPE_CHECKING:
    from vis_cli.network.protocol import VideoNetwork

BOX_MARGIN = 1  # pixels around the mask: docs/explanation/authors-implementation.md#fact-31


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
    sums: NDArray[np.float64], num_visible: NDArray[np.int64], *, num_frames: int, score_frames: ScoreFrames
) -> NDArray[np.float64]:
    """Divide sums of class probabilities by a number of frames.

    Args:
        sums: (N, C+1), over all frames.
        num_visible: (N,) number of frames that show the object.
        num_frames: Number of frames of the video, T.
        score_frames: "all" divides by T (Propose-Reduce, Eq. 2), "visible" by the number of visible frames.

    Returns:
        (N, C+1) mean class probabilities.
    """
    if score_frames == "all":
        return sums / num_frames
    means: NDArray[np.float64] = sums / np.maximum(num_visible, 1)[:, None]
    return means

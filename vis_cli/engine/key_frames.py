"""Choice of key frames and detection in them (Propose-Reduce, Sec. 3.1.1); used by `segmenter` and `propose`."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vis_cli.config import KeyFrameSpacing, SegmentConfig
from vis_cli.engine.sequences import KeyMasks
from vis_cli.network.structures import FrameFeatures

if TYPE_CHECKING:
    from vis_cli.network.seq_mask_rcnn import SeqMaskRCNN


def select_key_frames(num_frames: int, num_key_frames: int, spacing: KeyFrameSpacing) -> tuple[int, ...]:
    """Choose the key frames of a video of T frames: ascending, no duplicates, at most K of them.

    "even" is Propose-Reduce, Eq. 1: g(k) = max(floor(T / K), 1) k. "endpoints" includes the first and the last frame,
    as in docs/explanation/authors-implementation.md#fact-25, but without duplicates.
    A single key frame is the first frame.
    """
    steps = range(num_key_frames)
    if spacing == "even":
        stride = max(num_frames // num_key_frames, 1)
        return tuple(stride * k for k in steps if stride * k < num_frames)
    last_step = max(num_key_frames - 1, 1)
    return tuple(sorted({k * (num_frames - 1) // last_step for k in steps}))


def mask_nms(masks: NDArray[np.bool_], iou_threshold: float) -> list[int]:
    """Keep each mask of (N, H, W), in order, whose IoU with every kept one is below the threshold.

    Two empty masks have no IoU and do not suppress each other.
    See docs/explanation/authors-implementation.md#fact-26.
    """
    intersections, unions = _overlaps(masks, masks)
    overlaps = (unions > 0) & (intersections >= iou_threshold * unions)
    kept: list[int] = []
    for index in range(len(masks)):
        if not overlaps[index, kept].any():
            kept.append(index)
    return kept


def mask_iou(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the (N, M) IoU of masks (N, H, W) with masks (M, H, W); 0 where both are empty."""
    intersections, unions = _overlaps(first, second)
    iou: NDArray[np.float64] = intersections / np.maximum(unions, 1.0)
    return iou


def _overlaps(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Count the pixels (N, M) of the intersections and of the unions of (N, H, W) and (M, H, W)."""
    num_pixels = first.shape[1] * first.shape[2]
    rows, columns = (masks.reshape(-1, num_pixels).astype(np.float64) for masks in (first, second))  # exact counts
    intersections = rows @ columns.T
    return intersections, rows.sum(axis=1)[:, None] + columns.sum(axis=1)[None, :] - intersections


class DetectedMasks:
    """Start sequences from what the network detects on the key frames."""

    one_contest = False  # sequences of different key frames may be the same object

    def __init__(self, network: SeqMaskRCNN, key_frames: tuple[int, ...], config: SegmentConfig) -> None:
        self.key_frames = key_frames
        self._network = network
        self._config = config
        self._ids = count()

    def masks_at(self, frame: int, features: FrameFeatures) -> KeyMasks:
        """Detect, best first, and keep the masks that overlap no better one; each is a sequence of its own.

        A detection without a pixel above the threshold is left out, unless propagation answers here, too.
        """
        config = self._config
        found = self._network.detect(
            features,
            score_threshold=config.detection_score,
            nms_iou=config.box_nms_iou,
            max_instances=config.max_instances,
            class_agnostic=config.class_agnostic,
        )
        masks = found.mask_probs > config.mask_threshold
        kept = mask_nms(masks.cpu().numpy(), config.mask_nms_iou)
        if not config.resegment_key_frame:
            kept = [index for index in kept if bool(masks[index].any())]
        ids = tuple(next(self._ids) for _ in kept)
        probs = found.mask_probs[kept].float()
        return KeyMasks(ids, probs, masks[kept].float(), is_answer=not config.resegment_key_frame)

"""The authors' inference as a direct transcription: everything kept, one key frame after the other, slow.

See docs/explanation/authors-implementation.md#inference.
Only the network's layers, box scoring of given boxes and mask NMS are shared with the engine; those have goldens.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vis_cli.engine.masks import mask_nms
from vis_cli.network.aggregation import soft_aggregate
from vis_cli.network.seq_mask_rcnn import SeqMaskRCNN
from vis_cli.network.structures import FrameFeatures

Masks = NDArray[np.bool_]


@dataclass
class Sequence:
    """Hold one sequence on the padded canvas."""

    masks: Masks  # (T, H, W)
    class_scores: NDArray[np.float64]  # (C+1,)


@torch.inference_mode()
def infer(network: SeqMaskRCNN, frames: list[NDArray[np.uint8]], num_key_frames: int) -> list[Sequence]:
    """Return the sequences that remain of a video of RGB frames, best first, cropped to the frame (memory stride 1)."""
    images = [torch.from_numpy(frame).permute(2, 0, 1)[None].float() for frame in frames]
    features = [network.encode_frames(image) for image in images]
    last = len(frames) - 1
    found = []
    for k in range(num_key_frames):
        key_frame = int(k * last / (num_key_frames - 1))
        masks = detect(network, features[key_frame])
        if len(masks) > 0:
            found += propagate(network, features, key_frame, masks)
    kept = reduce(found)
    height, width = features[0].image_size
    return [Sequence(sequence.masks[:, :height, :width], sequence.class_scores) for sequence in kept]


def detect(network: SeqMaskRCNN, features: FrameFeatures) -> Tensor:
    """Return the binary masks of a key frame.

    See docs/explanation/authors-implementation.md#fact-26.
    """
    found = network.detect(features, score_threshold=0.2, nms_iou=0.5, max_instances=10)
    masks = found.mask_probs > 0.5
    return masks[mask_nms(masks, 0.2)].float()


def propagate(network: SeqMaskRCNN, features: list[FrameFeatures], key_frame: int, masks: Tensor) -> list[Sequence]:
    """Propagate from a key frame to both ends, on the padded canvas, all frames memorised.

    See docs/explanation/authors-implementation.md#fact-29.
    """
    head = network.prop_head
    probs: dict[int, Tensor] = {}
    for frames in (range(key_frame, len(features)), range(key_frame - 1, -1, -1)):
        keys, values = ([part] for part in head.memorize(features[key_frame].pyramid[0], masks))
        for t in frames:
            query_key, query_value = head.encode_query(features[t].pyramid[0])
            skips = head.encode_skips(features[t].c3, features[t].c2)
            readout = head.read(query_key, torch.stack(keys, dim=2), torch.stack(values, dim=2))
            alone = head.decode(query_value, skips, readout)
            probs[t] = soft_aggregate(alone)[1:]
            if t != key_frame:
                key, value = head.memorize(features[t].pyramid[0], probs[t])
                keys.append(key)
                values.append(value)
    binary = np.stack([(probs[t] >= 0.5).numpy() for t in range(len(features))], axis=1)  # (N, T, H, W)
    return [Sequence(mask, score(network, features, mask)) for mask in binary]


def score(network: SeqMaskRCNN, features: list[FrameFeatures], masks: Masks) -> NDArray[np.float64]:
    """Average the class probabilities over the frames that show the object.

    See docs/explanation/authors-implementation.md#fact-31.
    """
    height, width = masks.shape[1:]
    found = []
    for frame, mask in zip(features, masks, strict=True):
        rows, columns = np.nonzero(mask)
        if len(rows) > 0:
            first = [max(columns.min() - 1, 0), max(rows.min() - 1, 0)]
            last = [min(columns.max() + 1, width - 1), min(rows.max() + 1, height - 1)]
            box = torch.tensor([[*first, last[0] + 1, last[1] + 1]], dtype=torch.float32)
            found.append(network.class_probs(frame, box)[0].double().numpy())
    if not found:
        return np.eye(1, network.config.num_classes + 1)[0]
    mean: NDArray[np.float64] = np.mean(found, axis=0)
    return mean


def reduce(sequences: list[Sequence]) -> list[Sequence]:
    """Suppress by sequence NMS at 0.5, stop below 0.05 but keep the best.

    See docs/explanation/authors-implementation.md#fact-32.
    """
    kept: list[Sequence] = []
    for sequence in sorted(sequences, key=lambda s: -s.class_scores[1:].max()):
        if kept and sequence.class_scores[1:].max() < 0.05:
            break
        if all(iou(sequence.masks, other.masks) < 0.5 for other in kept):
            kept.append(sequence)
    return kept


def iou(first: Masks, second: Masks) -> float:
    """Return the IoU of two sequences or masks, 0 if both are empty."""
    union = int((first | second).sum())
    return int((first & second).sum()) / union if union else 0.0

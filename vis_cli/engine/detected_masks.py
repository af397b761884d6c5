"""Detected objects as the start of sequence proposals (Propose-Reduce, Sec. 3.1.1); used by `propose`."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from itertools import count
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vis_cli.engine.key_frame_reader import KeyFrames
from vis_cli.engine.masks import mask_iou, mask_nms
from vis_cli.engine.scoring import frame_class_probs
from vis_cli.engine.sequences import KeyMasks
from vis_cli.network.aggregation import soft_aggregate
from vis_cli.network.structures import Detections, EncodedFrame
from vis_cli.records.rle import Rle
from vis_cli.settings import SCORES_OF_DETECTIONS, SegmentSettings

if TYPE_CHECKING:
    from vis_cli.network.protocol import VideoNetwork


class DetectedMasks:
    """The instances that the network detects in the key frames."""

    def __init__(
        self,
        network: VideoNetwork,
        key_frames: tuple[int, ...],
        config: SegmentSettings,
        reader: KeyFrames | None = None,
        *,
        ids: Iterator[int] | None = None,
    ) -> None:
        """Prepare the detection.

        Args:
            network: It detects.
            key_frames: Frame indices in ascending order.
            config: Settings of the method.
            reader: Reader of the key frames, for a detector that reads them at the size of the video.
            ids: Ids of the next sequences, if other windows have used some.
        """
        self.key_frames = key_frames
        self.num_classes = network.config.num_classes
        self.classifies_frames = config.score_source not in SCORES_OF_DETECTIONS
        self._network = network
        self._reader = reader
        self._config = config
        self._ids = count() if ids is None else ids

    def masks_at(self, frame: EncodedFrame) -> KeyMasks:
        """Detect the instances of a key frame and apply mask NMS. Each kept mask starts one sequence proposal.

        A detection without a pixel above the mask threshold is removed, except with `resegment_key_frame`.
        """
        config = self._config
        features = frame.features
        if self._reader is not None:
            features = dataclasses.replace(features, key_frame=self._reader.read(frame.index))
        detections = self._network.detect(
            features,
            score_threshold=config.detection_score_threshold,
            nms_iou=config.box_nms_iou,
            max_instances=config.max_instances,
        )
        if config.mask_quality:
            detections = weight_by_quality(detections, config.mask_threshold)
        masks = detections.mask_probs > config.mask_threshold
        kept = mask_nms(masks, config.mask_nms_iou)
        if not config.resegment_key_frame:
            kept = [index for index in kept if bool(masks[index].any())]
        return KeyMasks(
            ids=tuple(next(self._ids) for _ in kept),
            probs=detections.mask_probs[kept].float(),
            guidance=masks[kept].float(),
            class_probs=detections.class_probs[kept].double().cpu().numpy(),
            segmentations=None if config.resegment_key_frame else _select(detections.segmentations, kept),
            resegment=config.resegment_key_frame,
        )

    def select_new(self, key_masks: KeyMasks, ids: Sequence[tuple[int, ...]], propagated: Sequence[Tensor]) -> KeyMasks:
        """Return the detections that no propagated mask covers (early reduction).

        With `early_reduction_iou` 1, each detection starts a sequence proposal, as in the paper.
        """
        threshold = self._config.mask_threshold
        if self._config.early_reduction_iou >= 1.0 or not propagated:
            return key_masks
        overlaps = mask_iou(key_masks.probs > threshold, torch.cat(list(propagated)) > threshold)
        is_new = (overlaps <= self._config.early_reduction_iou).all(dim=1)
        return key_masks.select(is_new.nonzero()[:, 0].tolist())

    def aggregate(
        self, ids: Sequence[tuple[int, ...]], separate: Sequence[Tensor], key_masks: KeyMasks | None
    ) -> list[Tensor]:
        """Let the objects of each key frame compete for the pixels of a frame.

        Sequences of different key frames do not compete, because they can be the same object.
        """
        return [soft_aggregate(probs)[1:] for probs in separate]

    def class_probs(self, frame: EncodedFrame, masks: Tensor) -> NDArray[np.float64]:
        """Classify the objects of a frame with the box head, if the source of the scores needs it."""
        if not self.classifies_frames:
            return np.zeros((len(masks), self.num_classes + 1))
        return frame_class_probs(self._network, frame.features, masks)

    def guidance_frames(self, ids: tuple[int, ...]) -> frozenset[int]:
        """Return no frame: a detection is guidance in its key frame only."""
        return frozenset()


def weight_by_quality(detections: Detections, threshold: float) -> Detections:
    """Multiply the class probabilities and scores by the expected IoU of each mask, and sort by the new scores.

    Reference: Mask Scoring R-CNN (CVPR 2019) multiplies by an IoU that a further head predicts. Here, `expected_iou`
    computes it from the mask.
    """
    quality = expected_iou(detections.mask_probs, threshold).to(detections.class_probs)
    for row, known in enumerate(detections.segmentations):
        if known is not None:  # an exact mask, of which `mask_probs` has a smaller copy
            quality[row] = 1.0
    classes = detections.class_probs[:, 1:] * quality[:, None]
    scores = detections.scores * quality
    order = scores.argsort(descending=True, stable=True)
    return Detections(
        detections.boxes[order],
        scores[order],
        detections.labels[order],
        torch.cat([1.0 - classes.sum(dim=1, keepdim=True), classes], dim=1)[order],
        detections.mask_probs[order],
        _select(detections.segmentations, order.tolist()) or (),
    )


def expected_iou(probs: Tensor, threshold: float) -> Tensor:
    """Return the expected IoU (N,) of masks with the objects, if the probability of each pixel is right.

    It is the ratio of the expected intersection and the expected union of the object and the mask. A binary mask has 1,
    and an empty mask 0.

    Args:
        probs: (N, h, w) probability that a pixel belongs to the object, from 0 to 1.
        threshold: Pixels with a higher probability are the mask.
    """
    inside = probs > threshold
    within, beyond = (probs * inside).flatten(1).sum(dim=1), (probs * ~inside).flatten(1).sum(dim=1)
    return within / (inside.flatten(1).sum(dim=1) + beyond).clamp(min=1.0)


def _select(segmentations: tuple[Rle | None, ...], rows: Sequence[int]) -> tuple[Rle | None, ...] | None:
    """Return the masks of these detections that are known exactly, None if no mask is."""
    return tuple(segmentations[row] for row in rows) if segmentations else None

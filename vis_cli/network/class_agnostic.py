"""A network with one foreground class, made from a network with many; used by the engine for class-agnostic results."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from vis_cli.network.memory import MemoryBank
from vis_cli.network.protocol import VideoNetwork
from vis_cli.network.structures import Detections, FrameFeatures, MemoryEntry, QueryFeatures
from vis_cli.records.types import Category

OBJECT = Category(1, "object")


class ClassAgnostic(nn.Module):
    """Merge all foreground classes of a network into the category "object", as DAVIS requires."""

    def __init__(self, network: VideoNetwork) -> None:
        super().__init__()
        self.config = dataclasses.replace(network.config, categories=(OBJECT,), calibration=None)
        self.classifies_boxes, self.reads_video = network.classifies_boxes, network.reads_video
        self.network = network

    def encode_frames(self, images: Tensor) -> FrameFeatures:
        """Encode frames (B, 3, h, w), RGB 0..255."""
        return self.network.encode_frames(images)

    def encode_for_propagation(self, images: Tensor) -> FrameFeatures:
        """Encode frames (B, 3, h, w), RGB 0..255, that the detector does not read."""
        return self.network.encode_for_propagation(images)

    def detect(
        self, features: FrameFeatures, *, score_threshold: float, nms_iou: float, max_instances: int
    ) -> Detections:
        """Detect the objects of one frame (B = 1); each has label 1."""
        found = self.network.detect_objects(
            features, score_threshold=score_threshold, nms_iou=nms_iou, max_instances=max_instances
        )
        return dataclasses.replace(
            found, labels=torch.ones_like(found.labels), class_probs=_merge_classes(found.class_probs)
        )

    detect_objects = detect

    def class_probs(self, features: FrameFeatures, boxes: Tensor) -> Tensor:
        """Return the probabilities (N, 2) of background and object: the sum over all foreground classes."""
        return _merge_classes(self.network.class_probs(features, boxes))

    def box_masks(self, features: FrameFeatures, boxes: Tensor) -> Tensor:
        """Return the masks (N, h, w) from 0 to 1 of the objects in boxes (N, 4) of one frame."""
        return self.network.box_masks(features, boxes)

    def encode_query(self, features: FrameFeatures) -> QueryFeatures:
        """Compute the part of propagation that depends on the frame only, not on objects."""
        return self.network.encode_query(features)

    def memorize(self, features: FrameFeatures, masks: Tensor) -> MemoryEntry:
        """Encode N masks (N, h, w) in 0..1 with their frame (B = 1)."""
        return self.network.memorize(features, masks)

    def propagate(self, query: QueryFeatures, memories: Sequence[MemoryBank]) -> list[Tensor]:
        """Return the foreground probability (N, h, w) float32 of each object alone in the query frame."""
        return self.network.propagate(query, memories)


def _merge_classes(probs: Tensor) -> Tensor:
    """Return the probabilities (N, 2) of background and object from class probabilities (N, C+1)."""
    return torch.stack([probs[:, 0], 1.0 - probs[:, 0]], dim=1)

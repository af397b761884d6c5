"""A network that detects some of its categories only; used by the engine for `only`."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from vis_cli.network.memory import MemoryBank
from vis_cli.network.protocol import VideoNetwork
from vis_cli.network.structures import Detections, FrameFeatures, MemoryEntry, QueryFeatures
from vis_cli.records.types import Category

MAX_CANDIDATES = 100  # detections of all categories per frame, as in COCO: other categories do not use up the limit


class OnlyCategories(nn.Module):
    """Keep the detections whose most likely class, among all classes of the network, is one of some categories."""

    def __init__(
        self, network: VideoNetwork, categories: Sequence[Category], *, excluded: dict[str, int] | None = None
    ) -> None:
        """Select the categories.

        Args:
            network: A network with these and other categories.
            categories: At least one of its categories, in its order.
            excluded: It receives the largest number of detections of a frame, by the name of each other category.
        """
        super().__init__()
        known = network.config.categories
        self.config = dataclasses.replace(network.config, categories=tuple(categories))
        self.classifies_boxes, self.reads_video = network.classifies_boxes, network.reads_video
        self.network = network
        self._excluded = {} if excluded is None else excluded
        self._names = [category.name for category in known]
        self._labels = [known.index(category) + 1 for category in categories]

    def encode_frames(self, images: Tensor) -> FrameFeatures:
        """Encode frames (B, 3, h, w), RGB 0..255."""
        return self.network.encode_frames(images)

    def encode_for_propagation(self, images: Tensor) -> FrameFeatures:
        """Encode frames (B, 3, h, w), RGB 0..255, that the detector does not read."""
        return self.network.encode_for_propagation(images)

    def detect(
        self, features: FrameFeatures, *, score_threshold: float, nms_iou: float, max_instances: int
    ) -> Detections:
        """Detect the instances of one frame (B = 1): NMS within each class."""
        limit = max(max_instances, MAX_CANDIDATES)
        found = self.network.detect(features, score_threshold=score_threshold, nms_iou=nms_iou, max_instances=limit)
        return self._select(found, max_instances)

    def detect_objects(
        self, features: FrameFeatures, *, score_threshold: float, nms_iou: float, max_instances: int
    ) -> Detections:
        """Detect instances of the categories in one frame (B = 1): NMS ignores classes."""
        limit = max(max_instances, MAX_CANDIDATES)
        found = self.network.detect_objects(
            features, score_threshold=score_threshold, nms_iou=nms_iou, max_instances=limit
        )
        return self._select(found, max_instances)

    def class_probs(self, features: FrameFeatures, boxes: Tensor) -> Tensor:
        """Return (N, C+1) class probabilities of boxes (N, 4). All other categories count as background."""
        return self._merge_others(self.network.class_probs(features, boxes))

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

    def _select(self, found: Detections, max_instances: int) -> Detections:
        """Return at most `max_instances` detections of the categories, with the labels of this network."""
        labels = torch.tensor(self._labels, device=found.labels.device)
        likely = found.class_probs[:, 1:].argmax(dim=1) + 1
        is_wanted = torch.isin(likely, labels) & torch.isin(found.labels, labels)
        self._count_excluded(likely[(likely == found.labels) & ~torch.isin(likely, labels)])
        rows = is_wanted.nonzero()[:, 0]
        if len(rows) > max_instances:
            rows = rows[found.scores[rows].argsort(descending=True, stable=True)[:max_instances]]
        kept = found.labels[rows]
        return Detections(
            found.boxes[rows],
            found.scores[rows],
            (kept[:, None] == labels).int().argmax(dim=1) + 1,
            self._merge_others(found.class_probs[rows]),
            found.mask_probs[rows],
            tuple(found.segmentations[row] for row in rows.tolist()) if found.segmentations else (),
        )

    def _count_excluded(self, labels: Tensor) -> None:
        """Count the excluded detections of a frame by their labels (M,)."""
        for name, number in Counter(self._names[label - 1] for label in labels.tolist()).items():
            self._excluded[name] = max(number, self._excluded.get(name, 0))

    def _merge_others(self, probs: Tensor) -> Tensor:
        wanted = probs[:, self._labels]
        return torch.cat([1.0 - wanted.sum(dim=1, keepdim=True), wanted], dim=1)

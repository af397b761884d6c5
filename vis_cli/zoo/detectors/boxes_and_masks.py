"""A detector of boxes and a network with a mask head, with the methods of one network; used by the engine.

The detector finds boxes, classes and scores in the key frames. The mask head of the network turns boxes into masks, and
the network propagates them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchvision.ops import batched_nms, clip_boxes_to_image

from vis_cli.network.accelerate import accelerate
from vis_cli.network.memory import MemoryBank
from vis_cli.network.openvino import use_openvino
from vis_cli.network.openvino.options import OpenVinoOptions
from vis_cli.network.protocol import VideoNetwork
from vis_cli.network.structures import Detections, FrameFeatures, MemoryEntry, QueryFeatures
from vis_cli.records.rle import Rle, decode_rle
from vis_cli.records.types import KeyFrame
from vis_cli.zoo.detectors.picodet_detector import PicoDetDetector
from vis_cli.zoo.detectors.protocol import BoxDetector, FoundBoxes
from vis_cli.zoo.included_detectors import join_categories

# Minimum probability of a category by the box head of the network that replaces the category of the detector. Reasons
# and measurements: docs/explanation/data-and-teacher.md#second-opinion
CERTAIN = 0.9
LIKELY = 0.5  # the same for a category that the detector does not have


class BoxesAndMasks:
    """Boxes of a detector, and masks and propagation of a network."""

    classifies_boxes = False

    def __init__(self, detector: BoxDetector, network: VideoNetwork, *, second_opinion: bool = False) -> None:
        """Join both parts.

        Args:
            detector: It reads key frames. Its categories are the categories of the result.
            network: Its input size is the size of the masks.
            second_opinion: The box head of the network corrects categories of which it is nearly certain. Its other
                categories are added to the result. Otherwise, its box head is not used.
        """
        categories = detector.categories
        if second_opinion:
            categories = join_categories(categories, network.config.categories)
        self.config = dataclasses.replace(network.config, categories=categories, calibration=detector.calibration)
        self.reads_video = detector.reads_video
        self.detector = detector
        self.network = network
        labels = {category.name: label for label, category in enumerate(categories, start=1)}
        # Label in the result of each category of the network, 0 if it has none. None: there is no second opinion.
        self._labels = [labels.get(c.name, 0) for c in network.config.categories] if second_opinion else None

    def on_device(self, device: torch.device, openvino: OpenVinoOptions | None = None) -> BoxesAndMasks:
        """Return both parts on a device, the network with faster layers. A foreign detector chooses its own device."""
        network = _faster(self.network, device, openvino)
        detector = self.detector.on_device(device) if isinstance(self.detector, PicoDetDetector) else self.detector
        return BoxesAndMasks(detector, network, second_opinion=self._labels is not None)

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
        return self._detect(features, score_threshold, nms_iou, max_instances, class_agnostic=False)

    def detect_objects(
        self, features: FrameFeatures, *, score_threshold: float, nms_iou: float, max_instances: int
    ) -> Detections:
        """Detect instances of any class in one frame (B = 1): NMS over all classes."""
        return self._detect(features, score_threshold, nms_iou, max_instances, class_agnostic=True)

    def class_probs(self, features: FrameFeatures, boxes: Tensor) -> Tensor:
        """Raise an error: a foreign detector does not classify the boxes of other frames."""
        raise ValueError("a detector of boxes cannot classify a given box")

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

    def _detect(
        self,
        features: FrameFeatures,
        score_threshold: float,
        nms_iou: float,
        max_instances: int,
        *,
        class_agnostic: bool,
    ) -> Detections:
        """Apply score threshold and box NMS, keep the best `max_instances`, and predict the masks that are missing."""
        if features.key_frame is None:
            raise ValueError("a detector of boxes needs the key frame itself")
        found = self.detector.detect(features.key_frame, mask_size=features.image_size)
        boxes = _scaled_boxes(found, features.key_frame, features.image_size)
        scores, labels = torch.from_numpy(found.scores).float(), torch.from_numpy(found.labels)
        has_area = (boxes[:, 2:] > boxes[:, :2]).all(dim=1)
        wanted = torch.nonzero((scores > score_threshold) & has_area)[:, 0]
        groups = torch.zeros_like(labels) if class_agnostic else labels
        keep = wanted[batched_nms(boxes[wanted], scores[wanted], groups[wanted], nms_iou)][:max_instances]
        device = features.pyramid[0].device
        labels = self._corrected(features, boxes[keep].to(device), labels[keep].to(device)).cpu()
        # Two categories of one object can become the same category.
        groups = torch.zeros_like(labels) if class_agnostic else labels
        single = batched_nms(boxes[keep], scores[keep], groups, nms_iou)
        keep, labels = keep[single], labels[single].to(device)
        return Detections(
            boxes[keep].to(device),
            scores[keep].to(device),
            labels,
            _class_probs(scores[keep].to(device), labels, self.config.num_classes),
            self._masks(features, boxes[keep], [_mask(found, row, features.image_size) for row in keep.tolist()]),
            tuple(found.segmentations[row] for row in keep.tolist()) if found.segmentations else (),
        )

    def _corrected(self, features: FrameFeatures, boxes: Tensor, labels: Tensor) -> Tensor:
        """Return the labels (N,) of boxes (N, 4). The network changes those of which it is nearly certain."""
        if self._labels is None or len(boxes) == 0:
            return labels
        probability, column = self.network.class_probs(features, boxes)[:, 1:].max(dim=1)
        own = torch.tensor(self._labels, device=labels.device)[column]
        needed = torch.where(own > len(self.detector.categories), LIKELY, CERTAIN)
        return torch.where((probability >= needed) & (own > 0), own, labels)

    def _masks(self, features: FrameFeatures, boxes: Tensor, given: list[NDArray[np.float32] | None]) -> Tensor:
        """Return the masks (N, h, w): of the detector, or of the mask head for a detection that has only a box."""
        device = features.pyramid[0].device
        masks = torch.zeros((len(given), *features.image_size), device=device)
        missing = [row for row, mask in enumerate(given) if mask is None]
        if missing:
            masks[missing] = self.network.box_masks(features, boxes[missing].to(device)).float()
        for row, mask in enumerate(given):
            if mask is not None:
                masks[row] = torch.from_numpy(mask).to(device)
        return masks


def place(network: VideoNetwork, device: torch.device, openvino: OpenVinoOptions | None = None) -> VideoNetwork:
    """Return a network on a device, with faster layers, and with parts in OpenVINO if there are options for it.

    Raises:
        VisError: A package that OpenVINO needs is not installed.
    """
    if isinstance(network, BoxesAndMasks):
        return network.on_device(device, openvino)
    return _faster(network, device, openvino)


def _faster(network: VideoNetwork, device: torch.device, openvino: OpenVinoOptions | None) -> VideoNetwork:
    fast = accelerate(network, device)
    return fast if openvino is None else use_openvino(network, fast, openvino)


def _scaled_boxes(found: FoundBoxes, key_frame: KeyFrame, size: tuple[int, int]) -> Tensor:
    """Return boxes (N, 4) in pixels of the network input (h, w) = `size`, clipped to it."""
    height, width = key_frame.pixels.shape[:2]
    scale = torch.tensor([size[1] / width, size[0] / height] * 2)
    boxes: Tensor = clip_boxes_to_image(torch.from_numpy(found.boxes).float().reshape(-1, 4) * scale, size)
    return boxes


def _class_probs(scores: Tensor, labels: Tensor, num_classes: int) -> Tensor:
    """Return (N, C+1): the score at the label, the rest at the background."""
    probs = scores.new_zeros((len(scores), num_classes + 1))
    probs[torch.arange(len(scores), device=scores.device), labels] = scores
    probs[:, 0] = 1.0 - scores
    return probs


def _mask(found: FoundBoxes, row: int, size: tuple[int, int]) -> NDArray[np.float32] | None:
    """Return the mask of a detection at a size (h, w), None if the detection has only a box."""
    mask = found.masks[row]
    if mask is not None:
        return _resized(mask, size)
    rle = found.segmentations[row] if found.segmentations else None
    return None if rle is None else _covered(rle, size)


def _covered(rle: Rle, size: tuple[int, int]) -> NDArray[np.float32]:
    """Return the covered fraction of each pixel at a size (h, w)."""
    mask = decode_rle(rle).astype(np.float32)
    covered: NDArray[np.float32] = np.asarray(cv2.resize(mask, size[::-1], interpolation=cv2.INTER_AREA))
    return covered


def _resized(mask: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    if mask.shape == size:
        return mask
    resized: NDArray[np.float32] = np.asarray(cv2.resize(mask, size[::-1], interpolation=cv2.INTER_LINEAR))
    return resized

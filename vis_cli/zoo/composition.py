"""A detector of one model and the propagator of another as one network; used by the engine's segmenter.

Propagation knows no classes, so what one model finds another can follow. Each sees the frames with its own backbone.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from vis_cli.errors import VisError
from vis_cli.files.hashing import sha256_of
from vis_cli.network.config import ModelConfig
from vis_cli.network.mask_rcnn import MaskRCNN
from vis_cli.network.memory import MemoryBank
from vis_cli.network.protocol import DetectingNetwork, PropagatingNetwork, VideoNetwork
from vis_cli.network.structures import Detections, FrameFeatures, MemoryEntry, QueryFeatures
from vis_cli.records.types import ModelInfo
from vis_cli.zoo.coco import COCO_NAME, FOLLOWER, coco_config
from vis_cli.zoo.folder import identify_model
from vis_cli.zoo.torchvision_weights import COCO_R50, cached_file, fetch_coco_r50, select_classes
from vis_cli.zoo.weights import COUNTER, LoadedModel, load_model


@dataclass(frozen=True, slots=True)
class PairedFeatures(FrameFeatures):
    """Hold a frame as the propagator encodes it, and beside it as the detector does."""

    seen: FrameFeatures

    @property
    def num_bytes(self) -> int:
        """Count the bytes of both."""
        followed = FrameFeatures(self.pyramid, self.c2, self.c3, self.image_size)
        return followed.num_bytes + self.seen.num_bytes


class DetectorAndPropagator(nn.Module):
    """Implement the verbs of one network with two: the first detects and classifies, the second propagates."""

    def __init__(self, detector: DetectingNetwork, propagator: PropagatingNetwork) -> None:
        super().__init__()
        self.config = detector.config  # its categories and its input size
        self.detector = detector
        self.propagator = propagator

    def encode_frames(self, images: Tensor) -> PairedFeatures:
        """Encode frames (B, 3, h, w), RGB 0..255, with both backbones."""
        own = self.propagator.encode_frames(images)
        return PairedFeatures(own.pyramid, own.c2, own.c3, own.image_size, self.detector.encode_frames(images))

    def detect(
        self, features: FrameFeatures, *, score_threshold: float, nms_iou: float, max_instances: int
    ) -> Detections:
        """Detect the instances of one frame (B = 1) with the detector: NMS within each class."""
        return self.detector.detect(
            _seen(features), score_threshold=score_threshold, nms_iou=nms_iou, max_instances=max_instances
        )

    def detect_objects(
        self, features: FrameFeatures, *, score_threshold: float, nms_iou: float, max_instances: int
    ) -> Detections:
        """Detect instances of any class in one frame (B = 1) with the detector: NMS over all classes."""
        return self.detector.detect_objects(
            _seen(features), score_threshold=score_threshold, nms_iou=nms_iou, max_instances=max_instances
        )

    def class_probs(self, features: FrameFeatures, boxes: Tensor) -> Tensor:
        """Return (N, C+1) class probabilities of boxes by the detector."""
        return self.detector.class_probs(_seen(features), boxes)

    def encode_query(self, features: FrameFeatures) -> QueryFeatures:
        """Compute what propagation needs of a frame and no object."""
        return self.propagator.encode_query(features)

    def memorize(self, features: FrameFeatures, masks: Tensor) -> MemoryEntry:
        """Encode N masks (N, h, w) in 0..1 with their frame (B = 1)."""
        return self.propagator.memorize(features, masks)

    def propagate(self, query: QueryFeatures, memory: MemoryBank) -> Tensor:
        """Return the foreground probability (N, h, w) float32 of each object alone in the query frame."""
        return self.propagator.propagate(query, memory)


def compose(
    detector: LoadedModel[DetectingNetwork], propagator: LoadedModel[PropagatingNetwork]
) -> LoadedModel[VideoNetwork]:
    """Join two loaded models; the name says both, the hash depends on both."""
    info = compose_info(detector.info, propagator.info)
    return LoadedModel(DetectorAndPropagator(detector.model, propagator.model).eval(), info)


def compose_info(detector: ModelInfo, propagator: ModelInfo) -> ModelInfo:
    """Name a composed model: both names, and a hash that depends on both."""
    digest = hashlib.sha256(f"{detector.sha256} {propagator.sha256}".encode()).hexdigest()
    return ModelInfo(f"{detector.name}+{propagator.name}", digest, (detector, propagator))


def load_network(
    model: str, *, detector: str | None = None, propagator: str | None = None
) -> LoadedModel[VideoNetwork]:
    """Load a model, or compose one where it has a detector or a propagator of its own, or is `coco-r50`.

    Args:
        model: a name or a folder, or `coco-r50`.
        detector: likewise, in place of the model's own.
        propagator: a name or a folder, in place of the model's own.

    Raises:
        VisError: there is no such model, it is damaged, it cannot follow, or torchvision's weights cannot be fetched.
    """
    finding, following = _parts(model, detector, propagator)
    if finding == following:
        return load_model(finding)
    if finding == COCO_NAME:
        return compose(load_coco_detector(), load_model(following))
    return compose(load_model(finding), load_model(following))


def identify_network(
    model: str, *, detector: str | None = None, propagator: str | None = None
) -> tuple[ModelInfo, ModelConfig]:
    """Return what `load_network` would return as info, and the config of its detector, without building networks.

    Raises:
        VisError: As for `load_network`, except damage of the tensors.
    """
    finding, following = _parts(model, detector, propagator)
    if finding == COCO_NAME:
        found, config = _identify_coco(), coco_config()
    else:
        found, config = identify_model(finding)
    if finding == following:
        return found, config
    return compose_info(found, identify_model(following)[0]), config


def _parts(model: str, detector: str | None, propagator: str | None) -> tuple[str, str]:
    """Return which model detects and which one propagates."""
    if propagator == COCO_NAME:
        raise VisError(f"{COCO_NAME} finds objects but follows none: give another --propagator, such as {FOLLOWER}")
    return detector or model, propagator or (FOLLOWER if model == COCO_NAME else model)


def load_coco_detector() -> LoadedModel[MaskRCNN]:
    """Load torchvision's COCO Mask R-CNN as a detector of 80 categories.

    Raises:
        VisError: its weights cannot be fetched.
    """
    config = coco_config()
    state = select_classes(fetch_coco_r50(), [0, *(category.id for category in config.categories)])
    model = MaskRCNN(config)
    missing, unexpected = model.load_state_dict(state, strict=False)
    if unexpected or any(not key.endswith(COUNTER) for key in missing):
        raise ValueError(f"torchvision's COCO Mask R-CNN does not fit: {missing}, {unexpected}")
    model = model.eval().requires_grad_(False).to(memory_format=torch.channels_last)
    return LoadedModel(model, _identify_coco())


def _identify_coco() -> ModelInfo:
    path = cached_file(COCO_R50)
    if not path.is_file():
        fetch_coco_r50()
    return ModelInfo(COCO_NAME, sha256_of(path))


def _seen(features: FrameFeatures) -> FrameFeatures:
    if not isinstance(features, PairedFeatures):
        raise ValueError("a composed network reads the features that it encoded")
    return features.seen

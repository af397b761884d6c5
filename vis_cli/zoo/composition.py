"""Composition of a detector and the propagator of another model; used by the engine.

Propagation does not use classes. Therefore a model can propagate the objects that another detector has found. The
detector is a model folder with its own backbone, or a detector of boxes: PicoDet-S, a torchvision model or an
ONNX file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from vis_cli.errors import VisError
from vis_cli.files.hashing import sha256_of
from vis_cli.files.names import printable
from vis_cli.network.config import ModelConfig
from vis_cli.network.mask_rcnn import MaskRCNN
from vis_cli.network.memory import MemoryBank
from vis_cli.network.protocol import DetectingNetwork, PropagatingNetwork, VideoNetwork
from vis_cli.network.structures import Detections, FrameFeatures, MemoryEntry, QueryFeatures
from vis_cli.records.types import ModelInfo
from vis_cli.zoo.coco import COCO_NAME, FOLLOWER, coco_config
from vis_cli.zoo.detectors.boxes_and_masks import BoxesAndMasks
from vis_cli.zoo.detectors.kinds import is_box_detector
from vis_cli.zoo.detectors.lookup import identify_box_detector, load_box_detector
from vis_cli.zoo.folder import find_model, identify_model, read_summary
from vis_cli.zoo.included_detectors import INCLUDED_DETECTORS
from vis_cli.zoo.torchvision_weights import COCO_R50, cached_file, fetch_coco_r50, select_classes
from vis_cli.zoo.weights import COUNTER, LoadedModel, load_model


@dataclass(frozen=True, slots=True)
class PairedFeatures(FrameFeatures):
    """A frame as both networks encode it: the fields of the base class for the propagator, `seen` for the detector."""

    seen: FrameFeatures

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """Return all tensors of both networks, without the query features."""
        return (*self.pyramid, self.c2, self.c3, *self.seen.tensors)

    def map(self, change: Callable[[Tensor], Tensor]) -> PairedFeatures:
        """Return the features with other tensors, without the query features."""
        own = FrameFeatures(self.pyramid, self.c2, self.c3, self.image_size).map(change)
        return PairedFeatures(own.pyramid, own.c2, own.c3, own.image_size, self.seen.map(change))

    def without_backbone(self) -> PairedFeatures:
        """Return the features of both networks with empty C2 and C3."""
        own = FrameFeatures(self.pyramid, self.c2, self.c3, self.image_size).without_backbone()
        return PairedFeatures(own.pyramid, own.c2, own.c3, own.image_size, self.seen.without_backbone())


@dataclass(frozen=True, slots=True)
class NetworkIdentity:
    """Facts about a network that is not built."""

    info: ModelInfo
    config: ModelConfig  # of the network that encodes the frames; it contains the input size
    classifies_boxes: bool


class DetectorAndPropagator(nn.Module):
    """Two networks with the methods of one: the first detects and classifies, the second propagates."""

    classifies_boxes = True
    reads_video = False

    def __init__(self, detector: DetectingNetwork, propagator: PropagatingNetwork) -> None:
        super().__init__()
        self.config = detector.config  # its categories and its input size
        self.detector = detector
        self.propagator = propagator

    def encode_frames(self, images: Tensor) -> PairedFeatures:
        """Encode frames (B, 3, h, w), RGB 0..255, with both backbones."""
        own, seen = self.propagator.encode_for_propagation(images), self.detector.encode_frames(images)
        return PairedFeatures(own.pyramid, own.c2, own.c3, own.image_size, seen, query=own.query)

    def encode_for_propagation(self, images: Tensor) -> FrameFeatures:
        """Encode frames (B, 3, h, w), RGB 0..255, with the backbone of the propagator."""
        return self.propagator.encode_for_propagation(images)

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

    def box_masks(self, features: FrameFeatures, boxes: Tensor) -> Tensor:
        """Return the masks (N, h, w) of the objects in boxes (N, 4) by the detector."""
        return self.detector.box_masks(_seen(features), boxes)

    def encode_query(self, features: FrameFeatures) -> QueryFeatures:
        """Encode query frames for propagation."""
        return self.propagator.encode_query(features)

    def memorize(self, features: FrameFeatures, masks: Tensor) -> MemoryEntry:
        """Encode N masks (N, h, w) in 0..1 with their frame (B = 1)."""
        return self.propagator.memorize(features, masks)

    def propagate(self, query: QueryFeatures, memories: Sequence[MemoryBank]) -> list[Tensor]:
        """Return the foreground probability (N, h, w) float32 of each object alone in the query frame."""
        return self.propagator.propagate(query, memories)


def compose(
    detector: LoadedModel[DetectingNetwork], propagator: LoadedModel[PropagatingNetwork]
) -> LoadedModel[VideoNetwork]:
    """Compose two loaded models. Name and hash depend on both."""
    info = compose_info(detector.info, propagator.info)
    return LoadedModel(DetectorAndPropagator(detector.model, propagator.model).eval(), info)


def compose_info(detector: ModelInfo, propagator: ModelInfo) -> ModelInfo:
    """Return name and hash of a composed model. Both depend on both models."""
    digest = hashlib.sha256(f"{detector.sha256} {propagator.sha256}".encode()).hexdigest()
    return ModelInfo(f"{detector.name}+{propagator.name}", digest, (detector, propagator))


def quantized_info(info: ModelInfo) -> ModelInfo:
    """Return name and hash of a model whose frame encoder runs in int8. Its results differ by more than rounding."""
    return ModelInfo(f"{info.name}-int8", hashlib.sha256(f"int8 {info.sha256}".encode()).hexdigest(), info.parts)


def load_network(
    model: str, *, detector: str | None = None, propagator: str | None = None, device: str = "auto"
) -> LoadedModel[VideoNetwork]:
    """Load a model. Compose it if it has another detector or propagator, or if it only detects.

    Args:
        model: Name or folder of a model, or a detector.
        detector: Name or folder of a model that detects, `picodet-s`, `coco-r50`, `coco-r50-v2`, `torchvision:NAME` or
            the path of an ONNX file. None selects the detector that the config of `model` names, otherwise `model`.
        propagator: Name or folder of the model that propagates. None selects `model`.
        device: Device of a detector of boxes: auto, cpu, cuda, cuda:N or mps. `Segmenter` places all other networks.

    Raises:
        VisError: A model does not exist, is damaged or cannot propagate, or the weights cannot be fetched.
    """
    finding, following = _parts(model, detector, propagator)
    if finding == following:
        return load_model(finding)
    if is_box_detector(finding):
        boxes, network = load_box_detector(finding, device), load_model(following)
        is_own = network.model.config.detector == finding
        joined = BoxesAndMasks(boxes.model, network.model, second_opinion=is_own)
        return LoadedModel(joined, compose_info(boxes.info, network.info))
    if finding == COCO_NAME:
        return compose(load_coco_detector(), load_model(following))
    return compose(load_model(finding), load_model(following))


def identify_network(model: str, *, detector: str | None = None, propagator: str | None = None) -> NetworkIdentity:
    """Return the facts about a model that `load_network` loads.

    No network of a model folder is built, so damaged tensors are not detected.

    Raises:
        VisError: A model does not exist, cannot propagate, or its file is damaged.
    """
    finding, following = _parts(model, detector, propagator)
    if is_box_detector(finding):
        network, config = identify_model(following)
        info = compose_info(identify_box_detector(finding), network)
        return NetworkIdentity(info, config, classifies_boxes=False)
    found, config = (_identify_coco(), coco_config()) if finding == COCO_NAME else identify_model(finding)
    if finding != following:
        found = compose_info(found, identify_model(following)[0])
    return NetworkIdentity(found, config, classifies_boxes=True)


def _parts(model: str, detector: str | None, propagator: str | None) -> tuple[str, str]:
    """Return the model that detects and the model that propagates.

    Raises:
        VisError: A model does not exist, cannot propagate, or names a detector that is not included.
    """
    if propagator is not None and only_detects(propagator):
        raise VisError(f"cannot propagate with {propagator}: it only detects", hint=f"Use --propagator {FOLLOWER}.")
    return detector or _own_detector(model), _find_propagator(model, propagator)


def needed_detector(model: str, propagator: str | None = None) -> str | None:
    """Return the `detector` for `load_network` if nothing is detected.

    A detector of boxes is not needed then, so it is the propagator: the only network that is loaded. None: the detector
    of the model is a network whose mask head predicts the masks of given boxes.
    """
    return _find_propagator(model, propagator) if is_box_detector(_own_detector(model)) else None


def _find_propagator(model: str, propagator: str | None) -> str:
    return propagator or (FOLLOWER if only_detects(model) else model)


def _own_detector(model: str) -> str:
    """Return the detector that the config of a model names, otherwise the model."""
    if only_detects(model):
        return model
    summary = read_summary(find_model(model))
    name = summary.config.detector
    if name not in (None, *INCLUDED_DETECTORS):
        hint = "Use --detector with a detector of your choice."
        raise VisError(f"the model needs the detector {printable(name)}, which is not included", where=model, hint=hint)
    return name or model


def only_detects(name: str) -> bool:
    """Return whether the name belongs to a detector without propagation."""
    return name == COCO_NAME or is_box_detector(name)


def load_coco_detector() -> LoadedModel[MaskRCNN]:
    """Load torchvision's COCO Mask R-CNN as a detector of 80 categories.

    Raises:
        VisError: The weights cannot be fetched.
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
        raise ValueError("the features were not encoded by a composed network")
    return features.seen

"""A network whose static parts run in OpenVINO; made by `use_openvino`."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from vis_cli.network.accelerate.readout import attend
from vis_cli.network.memory import MemoryBank, read_memory
from vis_cli.network.openvino.runtime import Part
from vis_cli.network.protocol import VideoNetwork
from vis_cli.network.seq_prop_head import resize_masks
from vis_cli.network.structures import Detections, FrameFeatures, MemoryEntry, QueryFeatures

NUM_LEVELS = 5  # P2 to P6
NUM_QUERY_FEATURES = 4  # key, value, skip3 and skip2


@dataclass(frozen=True, slots=True)
class Parts:
    """Converted parts. None of the last two: torch is faster, or the network does not propagate."""

    encoder: Part  # `FrameEncoder`
    detector_levels: Part | None  # P3 to P6 from C3 to C5, which `encoder` then lacks. None: `encoder` computes them
    memory: Part | None = None  # `MemoryEncoder`
    decoder: Part | None = None  # `Decoder`


class OpenVinoNetwork(nn.Module):
    """Frame encoder, memory encoder and decoder in OpenVINO, everything else in torch."""

    def __init__(self, network: VideoNetwork, parts: Parts) -> None:
        """Take a network on a CPU, and its parts."""
        super().__init__()
        self.config = network.config
        self.classifies_boxes, self.reads_video = network.classifies_boxes, network.reads_video
        self.network = network
        self._parts = parts

    def encode_frames(self, images: Tensor) -> FrameFeatures:
        """Encode frames (B, 3, h, w), RGB 0..255. The result contains the query features."""
        if self._parts.detector_levels is None:
            return self._encode(images, NUM_LEVELS)[0]
        features, coarse = self._encode(images, 1)
        coarser = self._parts.detector_levels(features.c3, *coarse)
        return dataclasses.replace(features, pyramid=(*features.pyramid, *coarser))

    def encode_for_propagation(self, images: Tensor) -> FrameFeatures:
        """Encode frames (B, 3, h, w), RGB 0..255, that the detector does not read. See `encode_frames`."""
        if self._parts.detector_levels is None:
            return self._encode(images, NUM_LEVELS)[0].for_propagation()
        return self._encode(images, 1)[0]

    def detect(
        self, features: FrameFeatures, *, score_threshold: float, nms_iou: float, max_instances: int
    ) -> Detections:
        """Detect the instances of one frame (B = 1): NMS within each class."""
        return self.network.detect(
            features, score_threshold=score_threshold, nms_iou=nms_iou, max_instances=max_instances
        )

    def detect_objects(
        self, features: FrameFeatures, *, score_threshold: float, nms_iou: float, max_instances: int
    ) -> Detections:
        """Detect instances of any class in one frame (B = 1): NMS over all classes."""
        return self.network.detect_objects(
            features, score_threshold=score_threshold, nms_iou=nms_iou, max_instances=max_instances
        )

    def class_probs(self, features: FrameFeatures, boxes: Tensor) -> Tensor:
        """Return the class probabilities (N, C+1) of boxes (N, 4) in one frame, background first."""
        return self.network.class_probs(features, boxes)

    def box_masks(self, features: FrameFeatures, boxes: Tensor) -> Tensor:
        """Return the masks (N, h, w) from 0 to 1 of the objects in boxes (N, 4) of one frame."""
        return self.network.box_masks(features, boxes)

    def encode_query(self, features: FrameFeatures) -> QueryFeatures:
        """Return the part of propagation that depends on the frame only. `encode_frames` has computed it."""
        return self.network.encode_query(features) if features.query is None else features.query

    def memorize(self, features: FrameFeatures, masks: Tensor) -> MemoryEntry:
        """Encode N masks (N, h, w) in 0..1 with their frame (B = 1)."""
        p2 = features.pyramid[0]
        if self._parts.memory is None or len(masks) == 0:
            return self.network.memorize(features, masks)
        return MemoryEntry(*self._parts.memory(p2, resize_masks(masks, p2)))

    def propagate(self, query: QueryFeatures, memories: Sequence[MemoryBank]) -> list[Tensor]:
        """Return the foreground probability (N, h, w) float32 of each object alone, for the objects of each memory."""
        if self._parts.decoder is None or not memories:
            return self.network.propagate(query, memories)
        readouts = [self._read(query, memory) for memory in memories]
        (probs,) = self._parts.decoder(torch.cat(readouts), query.value, query.skip3, query.skip2)
        height, width = query.image_size
        return list(torch.split(probs[:, :height, :width], [len(readout) for readout in readouts]))

    def _encode(self, images: Tensor, num_levels: int) -> tuple[FrameFeatures, list[Tensor]]:
        """Return features with this number of levels, with the query features if there are any, and other outputs."""
        size = (images.shape[-2], images.shape[-1])
        outputs = self._parts.encoder(images)
        pyramid, (c2, c3, *rest) = tuple(outputs[:num_levels]), outputs[num_levels:]
        query = None
        if len(rest) >= NUM_QUERY_FEATURES:
            key, value, skip3, skip2, *rest = rest
            query = QueryFeatures(key, value, skip3, skip2, size)
        return FrameFeatures(pyramid, c2, c3, size, query=query), rest

    def _read(self, query: QueryFeatures, memory: MemoryBank) -> Tensor:
        return read_memory(query.key.expand(len(memory.key), -1, -1, -1), memory.key, memory.value, attend)

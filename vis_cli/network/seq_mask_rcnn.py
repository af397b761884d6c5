"""Seq Mask R-CNN: a backbone and FPN shared by detection, scoring and propagation (Propose-Reduce, Fig. 4).

The engine calls its verbs frame by frame, the trainer clip by clip.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops.feature_pyramid_network import FeaturePyramidNetwork, LastLevelMaxPool

from vis_cli.network import restore_cache_folder
from vis_cli.network.backbones import build_backbone, freeze_norms
from vis_cli.network.config import ModelConfig
from vis_cli.network.detector import LEVELS, Detector
from vis_cli.network.memory import MemoryBank
from vis_cli.network.seq_prop_head import SeqPropHead
from vis_cli.network.structures import Detections, FrameFeatures, MemoryEntry, QueryFeatures
from vis_cli.network.winograd import Conv3x3

restore_cache_folder()

SIZE_DIVISOR = 32  # the coarsest backbone stride


class SeqMaskRCNN(nn.Module):
    """Detect the instances of a frame and propagate them to others."""

    pixel_mean: Tensor
    pixel_std: Tensor

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.backbone = build_backbone(config.backbone)
        channels = self.backbone.channels
        self.fpn = FeaturePyramidNetwork(list(channels), config.fpn_channels, LastLevelMaxPool())
        if config.detector_fpn:
            self.detector_fpn = FeaturePyramidNetwork(list(channels[1:]), config.fpn_channels, LastLevelMaxPool())
            self.fpn.layer_blocks = self.fpn.layer_blocks[:1]
            _quicken(self.detector_fpn)
        self.detector = Detector(config)
        self.prop_head = SeqPropHead(
            fpn_channels=config.fpn_channels,
            c2_channels=channels[0],
            c3_channels=channels[1],
            encoder_channels=config.encoder_channels,
            key_channels=config.key_channels,
            value_channels=config.value_channels,
            decoder_channels=config.decoder_channels,
        )
        _quicken(self.fpn)
        self.register_buffer("pixel_mean", torch.tensor(config.pixel_mean).reshape(3, 1, 1), persistent=False)
        self.register_buffer("pixel_std", torch.tensor(config.pixel_std).reshape(3, 1, 1), persistent=False)

    def train(self, mode: bool = True) -> SeqMaskRCNN:
        """Set the training mode; batch norms always use their running statistics."""
        super().train(mode)
        freeze_norms(self.backbone)
        return self

    def encode_frames(self, images: Tensor) -> FrameFeatures:
        """Encode frames (B, 3, h, w), RGB 0..255, padded right and bottom after normalising."""
        height, width = images.shape[-2:]
        normalised = (images.float() - self.pixel_mean) / self.pixel_std
        padded = F.pad(normalised, (0, -width % SIZE_DIVISOR, 0, -height % SIZE_DIVISOR))
        c2, c3, c4, c5 = self.backbone(padded.contiguous(memory_format=torch.channels_last))
        return FrameFeatures(self._build_pyramid((c2, c3, c4, c5)), c2, c3, (height, width))

    def detect(
        self,
        features: FrameFeatures,
        *,
        score_threshold: float,
        nms_iou: float,
        max_instances: int,
        class_agnostic: bool,
    ) -> Detections:
        """Find the instances of one frame (B = 1), best first."""
        return self.detector.detect(
            features,
            score_threshold=score_threshold,
            nms_iou=nms_iou,
            max_instances=max_instances,
            class_agnostic=class_agnostic,
        )

    def class_probs(self, features: FrameFeatures, boxes: Tensor) -> Tensor:
        """Return the class probabilities (N, C+1) of boxes (N, 4) in one frame, background first.

        These are the C(S(t)) of Propose-Reduce, Eq. 2.
        """
        if len(boxes) == 0:
            return boxes.new_zeros((0, self.config.num_classes + 1), dtype=torch.float32)
        return torch.softmax(self.detector.classify(features, [boxes])[0], dim=1)

    def encode_query(self, features: FrameFeatures) -> QueryFeatures:
        """Compute what propagation needs of a frame and no object."""
        key, value = self.prop_head.encode_query(features.pyramid[0])
        skip3, skip2 = self.prop_head.encode_skips(features.c3, features.c2)
        return QueryFeatures(key, value, skip3, skip2, features.image_size)

    def memorize(self, features: FrameFeatures, masks: Tensor) -> MemoryEntry:
        """Encode N masks (N, h, w) in 0..1 with their frame (B = 1)."""
        return MemoryEntry(*self.prop_head.memorize(features.pyramid[0], masks))

    def propagate(self, query: QueryFeatures, memory: MemoryBank) -> Tensor:
        """Return the foreground probability (N, h, w) float32 of each object alone in the query frame."""
        height, width = query.image_size
        probs = self.prop_head.segment((query.key, query.value), (query.skip3, query.skip2), memory.key, memory.value)
        return probs[:, :height, :width]

    def _build_pyramid(self, levels: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Return P2..P6 of the backbone's levels C2..C5."""
        if not self.config.detector_fpn:
            return tuple(self.fpn(dict(zip(LEVELS[:4], levels, strict=True))).values())
        coarser = self.detector_fpn(dict(zip(LEVELS[1:4], levels[1:], strict=True))).values()
        return (_finest_level(self.fpn, levels), *coarser)


def _finest_level(fpn: FeaturePyramidNetwork, levels: tuple[Tensor, ...]) -> Tensor:
    """Return P2 alone; `fpn` needs no other layer block than the first."""
    merged = fpn.inner_blocks[-1](levels[-1])
    for block, level in zip(list(fpn.inner_blocks)[-2::-1], levels[-2::-1], strict=True):
        merged = block(level) + F.interpolate(merged, size=level.shape[-2:], mode="nearest")
    finest: Tensor = fpn.layer_blocks[0](merged)
    return finest


def _quicken(fpn: FeaturePyramidNetwork) -> None:
    """Make the 3x3 convolutions of an FPN Conv3x3, with the parameters that they have."""
    for block in fpn.layer_blocks:
        plain = block[0]
        with torch.device("meta"):  # no parameters of its own, and no random numbers drawn for them
            conv = Conv3x3(plain.in_channels, plain.out_channels)
        conv.weight, conv.bias = plain.weight, plain.bias
        block[0] = conv

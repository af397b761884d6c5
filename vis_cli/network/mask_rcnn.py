"""Mask R-CNN: backbone, FPN and detector of one frame; the image-level part of Seq Mask R-CNN, and a detector alone."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops.feature_pyramid_network import FeaturePyramidNetwork, LastLevelMaxPool

from vis_cli.network import restore_cache_folder
from vis_cli.network.backbones import build_backbone, freeze_norms
from vis_cli.network.config import ModelConfig
from vis_cli.network.detector import LEVELS, Detector
from vis_cli.network.structures import Detections, FrameFeatures

restore_cache_folder()

SIZE_DIVISOR = 32  # the coarsest backbone stride


class MaskRCNN(nn.Module):
    """Encode frames, detect their instances and classify boxes."""

    classifies_boxes = True
    reads_video = False
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
        self.detector = Detector(config)
        for name, values in (("pixel_mean", config.pixel_mean), ("pixel_std", config.pixel_std)):
            # with values also if the other tensors are built on the meta device, because weights do not contain them
            self.register_buffer(name, torch.tensor(values, device="cpu").reshape(3, 1, 1), persistent=False)

    def train(self, mode: bool = True) -> MaskRCNN:
        """Set the training mode; batch norms always use their running statistics."""
        super().train(mode)
        freeze_norms(self.backbone)
        return self

    def encode_frames(self, images: Tensor) -> FrameFeatures:
        """Encode frames (B, 3, h, w), RGB 0..255."""
        levels, size = self.run_backbone(images)
        return FrameFeatures(self.build_pyramid(levels), levels[0], levels[1], size)

    def run_backbone(self, images: Tensor) -> tuple[tuple[Tensor, ...], tuple[int, int]]:
        """Return C2..C5 of images (B, 3, h, w), padded right and bottom after normalising, and (h, w)."""
        height, width = images.shape[-2:]
        normalised = (images.float() - self.pixel_mean) / self.pixel_std
        padded = F.pad(normalised, (0, -width % SIZE_DIVISOR, 0, -height % SIZE_DIVISOR))
        levels = self.backbone(padded.contiguous(memory_format=torch.channels_last))
        return tuple(levels), (height, width)

    def build_pyramid(self, levels: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Return P2..P6 of the backbone's levels C2..C5."""
        if not self.config.detector_fpn:
            return tuple(self.fpn(dict(zip(LEVELS[:4], levels, strict=True))).values())
        coarser = self.detector_fpn(dict(zip(LEVELS[1:4], levels[1:], strict=True))).values()
        return (self._build_finest_level(levels), *coarser)

    def detect(
        self, features: FrameFeatures, *, score_threshold: float, nms_iou: float, max_instances: int
    ) -> Detections:
        """Detect the instances of one frame (B = 1): NMS within each class."""
        return self.detector.detect(
            features, score_threshold=score_threshold, nms_iou=nms_iou, max_instances=max_instances
        )

    def detect_objects(
        self, features: FrameFeatures, *, score_threshold: float, nms_iou: float, max_instances: int
    ) -> Detections:
        """Detect instances of any class in one frame (B = 1): NMS over all classes."""
        return self.detector.detect_objects(
            features, score_threshold=score_threshold, nms_iou=nms_iou, max_instances=max_instances
        )

    def class_probs(self, features: FrameFeatures, boxes: Tensor) -> Tensor:
        """Return the class probabilities (N, C+1) of boxes (N, 4) in one frame, background first.

        These are the C(S(t)) of Propose-Reduce, Eq. 2.
        """
        if len(boxes) == 0:
            return boxes.new_zeros((0, self.config.num_classes + 1), dtype=torch.float32)
        return torch.softmax(self.detector.classify(features, [boxes])[0], dim=1)

    def box_masks(self, features: FrameFeatures, boxes: Tensor) -> Tensor:
        """Return the masks (N, h, w) from 0 to 1 of the objects in boxes (N, 4) of one frame (B = 1).

        A mask head with one map per class uses the most likely class of each box.
        """
        labels = torch.ones(len(boxes), dtype=torch.int64, device=boxes.device)
        if self.config.class_specific and len(boxes) > 0:
            labels = self.class_probs(features, boxes)[:, 1:].argmax(dim=1) + 1
        return self.detector.paste_masks(features, [boxes], labels)

    def _build_finest_level(self, levels: tuple[Tensor, ...]) -> Tensor:
        """Return P2 of C2..C5, equal to the first level of `fpn`, which needs no other layer block than the first."""
        blocks = list(self.fpn.inner_blocks)
        merged = blocks[-1](levels[-1])
        for block, level in zip(blocks[-2::-1], levels[-2::-1], strict=True):
            merged = block(level) + F.interpolate(merged, size=level.shape[-2:], mode="nearest")
        finest: Tensor = self.fpn.layer_blocks[0](merged)
        return finest

"""The methods of a network that the engine calls; implemented here, in `zoo`, and by the fakes of the tests.

The engine knows these protocols only. Detection and propagation are separate, because one model can detect while
another one propagates.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from torch import Tensor

from vis_cli.network.config import ModelConfig
from vis_cli.network.memory import MemoryBank
from vis_cli.network.structures import Detections, FrameFeatures, MemoryEntry, QueryFeatures


class DetectingNetwork(Protocol):
    """Detect and classify the instances of a frame."""

    @property
    def config(self) -> ModelConfig:
        """Return the categories and the input size."""

    @property
    def classifies_boxes(self) -> bool:
        """Return whether `class_probs` is available. False: the detector finds its own boxes only."""

    @property
    def reads_video(self) -> bool:
        """Return whether `detect` reads `features.key_frame` at the size of the video, not of the network input."""

    def encode_frames(self, images: Tensor) -> FrameFeatures:
        """Encode frames (B, 3, h, w), RGB 0..255, for all methods of the network."""

    def detect(
        self, features: FrameFeatures, *, score_threshold: float, nms_iou: float, max_instances: int
    ) -> Detections:
        """Detect the instances of one frame (B = 1): NMS within each class."""

    def detect_objects(
        self, features: FrameFeatures, *, score_threshold: float, nms_iou: float, max_instances: int
    ) -> Detections:
        """Detect instances of any class in one frame (B = 1): the score is 1 - background, NMS ignores classes."""

    def class_probs(self, features: FrameFeatures, boxes: Tensor) -> Tensor:
        """Return the class probabilities (N, C+1) of boxes (N, 4) in one frame, background first."""

    def box_masks(self, features: FrameFeatures, boxes: Tensor) -> Tensor:
        """Return the masks (N, h, w) from 0 to 1 of the objects in boxes (N, 4) of one frame."""


class PropagatingNetwork(Protocol):
    """Propagate masks from memorized frames to others."""

    def encode_for_propagation(self, images: Tensor) -> FrameFeatures:
        """Encode frames (B, 3, h, w), RGB 0..255, for the methods of this protocol only.

        These features equal `encode_frames(images).for_propagation()`.
        """

    def encode_query(self, features: FrameFeatures) -> QueryFeatures:
        """Compute the part of propagation that depends on the frame only, not on objects."""

    def memorize(self, features: FrameFeatures, masks: Tensor) -> MemoryEntry:
        """Encode N masks (N, h, w) in 0..1 with their frame (B = 1)."""

    def propagate(self, query: QueryFeatures, memories: Sequence[MemoryBank]) -> list[Tensor]:
        """Return the foreground probability (N, h, w) float32 of each object alone, for the N objects of each memory.

        One call for all memories lets the network share work between them.
        """


class VideoNetwork(DetectingNetwork, PropagatingNetwork, Protocol):
    """Detect, classify and propagate: all that Propose-Reduce needs."""

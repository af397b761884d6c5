"""Encoded frames within a byte budget: the backward sweep finds what the forward one made; used by `propose`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from vis_cli.engine.frames import FrameStore
from vis_cli.network.structures import FrameFeatures, QueryFeatures

if TYPE_CHECKING:
    from vis_cli.network.seq_mask_rcnn import SeqMaskRCNN


@dataclass(frozen=True, slots=True)
class EncodedFrame:
    """Hold all that the network computes of a frame before it knows of any object."""

    features: FrameFeatures
    query: QueryFeatures

    @property
    def num_bytes(self) -> int:
        """Count the bytes of all tensors."""
        query = self.query
        tensors = (query.key, query.value, query.skip3, query.skip2)
        return self.features.num_bytes + sum(t.numel() * t.element_size() for t in tensors)


class FeatureCache:
    """Encode frames and keep the most recent of them, those that a backward sweep asks for first."""

    def __init__(
        self,
        network: SeqMaskRCNN,
        frames: FrameStore,
        *,
        device: torch.device,
        budget_bytes: int,
        reused_before: int,
        padded: bool = False,
    ) -> None:
        """Start empty; frames from `reused_before` on are never asked for twice, so none of them is kept.

        Masks that are decoded from a frame cover its padding, too, if `padded`.
        """
        self._network = network
        self._frames = frames
        self._device = device
        self._budget = budget_bytes
        self._reused_before = reused_before
        self._padded = padded
        self._kept: dict[int, EncodedFrame] = {}
        self.num_bytes = 0

    def encode(self, index: int) -> EncodedFrame:
        """Encode frame `index`, keep it if it will be taken later, and drop the oldest ones to stay in budget."""
        encoded = self._encode(index)
        if index < self._reused_before and encoded.num_bytes <= self._budget:
            while self.num_bytes + encoded.num_bytes > self._budget:
                self._drop(next(iter(self._kept)))
            self._kept[index] = encoded
            self.num_bytes += encoded.num_bytes
        return encoded

    def take(self, index: int) -> EncodedFrame:
        """Return frame `index` for the last time: the kept one, or encoded again."""
        return self._drop(index) if index in self._kept else self._encode(index)

    def _drop(self, index: int) -> EncodedFrame:
        encoded = self._kept.pop(index)
        self.num_bytes -= encoded.num_bytes
        return encoded

    def _encode(self, index: int) -> EncodedFrame:
        frame = torch.from_numpy(self._frames[index]).to(self._device)
        image = frame.permute(2, 0, 1)[None].float()  # (1, 3, h, w), channels last in memory
        features = self._network.encode_frames(image)
        query = self._network.encode_query(features)
        return EncodedFrame(features, query.with_padding() if self._padded else query)

"""Cache of encoded frames with a size limit in bytes; used by `propose`.

Propagation backward in time reuses the features that were computed forward in time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from vis_cli.engine.frames import FrameStore
from vis_cli.network.structures import EncodedFrame

if TYPE_CHECKING:
    from vis_cli.network.protocol import VideoNetwork


class FeatureCache:
    """Encoded frames. The most recent ones stay, because propagation backward in time asks for them first."""

    def __init__(
        self,
        network: VideoNetwork,
        frames: Sequence[FrameStore],
        *,
        device: torch.device,
        budget_bytes: int,
        reused_before: int,
        padded: bool = False,
    ) -> None:
        """Start empty.

        Args:
            network: It encodes the frames.
            frames: Stores that contain the frames at the size of the network input.
            device: Device of the network.
            budget_bytes: Size limit of the kept features.
            reused_before: Frames from this index on are not kept.
            padded: Masks that are decoded from a frame also cover its padding.
        """
        self._network = network
        self._stores = frames
        self._device = device
        self._budget = budget_bytes
        self._reused_before = reused_before
        self._padded = padded
        self._kept: dict[int, EncodedFrame] = {}
        self.num_bytes = 0

    def encode(self, index: int) -> EncodedFrame:
        """Encode a frame. Keep it for the other direction, and remove the oldest frames to stay below the limit."""
        encoded = self._encode(index)
        if index < self._reused_before and encoded.num_bytes <= self._budget:
            while self.num_bytes + encoded.num_bytes > self._budget:
                self._drop(next(iter(self._kept)))
            self._kept[index] = encoded
            self.num_bytes += encoded.num_bytes
        return encoded

    def take(self, index: int) -> EncodedFrame:
        """Return a frame for the last time: from the cache, or encoded again."""
        return self._drop(index) if index in self._kept else self._encode(index)

    def _drop(self, index: int) -> EncodedFrame:
        encoded = self._kept.pop(index)
        self.num_bytes -= encoded.num_bytes
        return encoded

    def _encode(self, index: int) -> EncodedFrame:
        store = next(store for store in self._stores if index in store.indices)
        frame = torch.from_numpy(store[index]).to(self._device)
        image = frame.permute(2, 0, 1)[None].float()  # (1, 3, h, w), channels last in memory
        features = self._network.encode_frames(image)
        query = self._network.encode_query(features)
        return EncodedFrame(index, features, query.with_padding() if self._padded else query)

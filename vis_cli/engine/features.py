"""Cache of encoded frames with a size limit in bytes; used by `propose`.

Propagation backward in time reuses the features that were computed forward in time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from vis_cli.engine.frames import FrameStore
from vis_cli.network.structures import EncodedFrame

if TYPE_CHECKING:
    from vis_cli.network.protocol import VideoNetwork


# Frames that a GPU encodes in one call. A CPU is nearly as fast with one, which needs less memory.
GPU_BATCH = 8


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
        self._batch: dict[int, EncodedFrame] = {}  # encoded with an earlier frame
        self._batch_frames = self._batch_size()
        self.num_bytes = 0

    def encode(self, index: int) -> EncodedFrame:
        """Encode a frame. Keep it for the other direction, and remove the oldest frames to stay below the limit."""
        encoded = self._encode(index, 1)
        if index < self._reused_before and encoded.num_bytes <= self._budget:
            while self.num_bytes + encoded.num_bytes > self._budget:
                self._drop(next(iter(self._kept)))
            self._kept[index] = encoded
            self.num_bytes += encoded.num_bytes
        return encoded

    def take(self, index: int) -> EncodedFrame:
        """Return a frame for the last time: from the cache, or encoded again."""
        return self._drop(index) if index in self._kept else self._encode(index, -1)

    def _batch_size(self) -> int:
        """Return the number of frames to encode in one call."""
        return GPU_BATCH if self._device.type == "cuda" else 1

    def _drop(self, index: int) -> EncodedFrame:
        encoded = self._kept.pop(index)
        self.num_bytes -= encoded.num_bytes
        return encoded

    def _encode(self, index: int, step: int) -> EncodedFrame:
        """Return an encoded frame. The next frames in the direction `step` are encoded in the same call."""
        if index not in self._batch:
            self._batch = {}  # its memory is free before the next call
            self._batch = self._encode_batch(index, step)
        return self._batch.pop(index)

    def _encode_batch(self, index: int, step: int) -> dict[int, EncodedFrame]:
        store = next(store for store in self._stores if index in store.indices)
        ahead = range(index, index + step * self._batch_frames, step)
        indices = [later for later in ahead if later in store.indices and later not in self._kept]
        frames = torch.from_numpy(np.stack([store[later] for later in indices])).to(self._device)
        try:
            features = self._network.encode_frames(frames.permute(0, 3, 1, 2).float())  # channels last in memory
            query = self._network.encode_query(features)
        except torch.cuda.OutOfMemoryError:
            if len(indices) == 1:
                raise
            self._batch_frames = len(indices) // 2
            return self._encode_batch(index, step)
        if self._padded:
            query = query.with_padding()
        return {
            later: EncodedFrame(later, features.frame(number), query.frame(number))
            for number, later in enumerate(indices)
        }

"""Cache of encoded frames with a size limit in bytes; used by `propose`.

Propagation backward in time reuses the features that were computed forward in time. Features in float32 are rounded to
float16 meanwhile, so that twice as many frames fit. Frames that do not fit are encoded again and rounded, too, so the
result does not depend on the limit.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from mmap import MAP_PRIVATE, mmap
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from vis_cli.engine.frames import FrameStore
from vis_cli.network.malloc import release_memory
from vis_cli.network.structures import EncodedFrame
from vis_cli.records.types import KeyFrame

if TYPE_CHECKING:
    from vis_cli.network.protocol import VideoNetwork


# Frames that a GPU encodes in one call. A CPU is nearly as fast with one, which needs less memory.
GPU_BATCH = 8
LARGE = 2**20  # bytes. The kernel limits the number of mappings: smaller frames would need too many


@dataclass(frozen=True, slots=True)
class _Kept:
    """A frame between both directions."""

    frame: EncodedFrame
    is_rounded: bool  # its features were float32, and are float16 unless a value is too large

    @classmethod
    def keep(cls, frame: EncodedFrame) -> _Kept:
        """Round features in float32. Features in other formats stay as they are."""
        if any(tensor.dtype != torch.float32 for tensor in frame.tensors):
            return cls(frame, is_rounded=False)
        num_bytes = frame.num_bytes // 2
        on_cpu = frame.query.key.device.type == "cpu"
        pages = _Pages(num_bytes) if on_cpu and num_bytes >= LARGE else None
        return cls(frame.map(lambda tensor: _round(tensor, pages)), is_rounded=True)

    def restore(self) -> EncodedFrame:
        """Return the frame in its former number format."""
        return self.frame.map(Tensor.float) if self.is_rounded else self.frame


class _Pages:
    """Memory of one kept frame on a CPU.

    Reason: it lives longer than the buffers of the network, and would divide the memory that they reuse (`malloc`) into
    small parts.
    """

    def __init__(self, num_bytes: int) -> None:
        """Map the memory, for values of two bytes."""
        self._values = torch.frombuffer(mmap(-1, num_bytes, flags=MAP_PRIVATE), dtype=torch.float16)
        self._num_used = 0

    def round(self, tensor: Tensor) -> Tensor:
        """Return a tensor in float16, with the same order of dimensions, in the next part of the memory."""
        like = torch.empty_like(tensor, dtype=torch.float16, device="meta")
        start, self._num_used = self._num_used, self._num_used + like.numel()
        return self._values.as_strided(like.shape, like.stride(), start).copy_(tensor)


def _round(tensor: Tensor, pages: _Pages | None = None) -> Tensor:
    """Return a tensor in float16. A tensor with a value beyond the range of float16 stays in float32."""
    rounded = tensor.half() if pages is None else pages.round(tensor)
    return rounded if bool(torch.isfinite(rounded).all()) else tensor


class FeatureCache:
    """Encoded frames, each for two uses: forward and backward in time."""

    def __init__(
        self,
        network: VideoNetwork,
        frames: Sequence[FrameStore],
        *,
        device: torch.device,
        budget_bytes: int,
        reused_before: int,
        key_frames: Collection[int] = (),
        classifies_frames: bool = False,
        padded: bool = False,
    ) -> None:
        """Start empty.

        Args:
            network: It encodes the frames.
            frames: Stores that contain the frames at the size of the network input.
            device: Device of the network.
            budget_bytes: Size limit of the kept features.
            reused_before: Frames from this index on are not kept.
            key_frames: Indices of the frames that the detector reads forward in time. Their features contain all levels
                of the pyramid and the frame itself.
            classifies_frames: The detector also classifies objects in all frames, in both directions.
            padded: Masks that are decoded from a frame also cover its padding.
        """
        self._network = network
        self._stores = frames
        self._device = device
        self._budget = budget_bytes
        self._reused_before = reused_before
        self._key_frames = key_frames
        self._classifies_frames = classifies_frames
        self._padded = padded
        self._kept: dict[int, _Kept] = {}
        self._is_full = False
        self._batch: dict[int, EncodedFrame] = {}  # encoded with an earlier frame
        self._batch_frames = self._batch_size()
        self.num_bytes = 0

    def encode(self, index: int) -> EncodedFrame:
        """Encode a frame. Keep it for the other direction if there is space.

        Kept frames stay: propagation backward in time starts in the last key frame with a new object, so it surely
        needs the first frames, but perhaps not the most recent ones.
        """
        if index in self._key_frames and self._device.type == "cpu":
            release_memory()  # rarely: the pages of the buffers are mapped again
        encoded = self._encode(index, 1)
        if index < self._reused_before and not self._is_full:
            self._keep(self._for_backward(encoded))
        return encoded

    def take(self, index: int) -> EncodedFrame:
        """Return a frame for the last time: from the cache, or encoded again."""
        kept = self._drop(index) if index in self._kept else self._for_backward(self._encode(index, -1))
        return kept.restore()

    def _for_backward(self, frame: EncodedFrame) -> _Kept:
        """Round a frame, without the features of the detector if it does not read the frame again."""
        return _Kept.keep(frame if self._classifies_frames else frame.for_propagation())

    def _keep(self, kept: _Kept) -> None:
        num_bytes = kept.frame.num_bytes
        self._is_full = self.num_bytes + num_bytes > self._budget
        if not self._is_full:
            self._kept[kept.frame.index] = kept
            self.num_bytes += num_bytes

    def _batch_size(self) -> int:
        """Return the number of frames to encode in one call."""
        return GPU_BATCH if self._device.type == "cuda" else 1

    def _drop(self, index: int) -> _Kept:
        kept = self._kept.pop(index)
        self.num_bytes -= kept.frame.num_bytes
        return kept

    def _encode(self, index: int, step: int) -> EncodedFrame:
        """Return an encoded frame. The next frames in the direction `step` are encoded in the same call."""
        if index not in self._batch:
            self._batch = {}  # its memory is free before the next call
            self._batch = self._encode_batch(index, step)
        return self._batch.pop(index)

    def _is_detected(self, index: int, step: int) -> bool:
        """Return whether the detector reads a frame in the direction `step`."""
        return self._classifies_frames or (step > 0 and index in self._key_frames)

    def _encode_batch(self, index: int, step: int) -> dict[int, EncodedFrame]:
        store = next(store for store in self._stores if index in store.indices)
        ahead = range(index, index + step * self._batch_frames, step)
        indices = [later for later in ahead if later in store.indices and later not in self._kept]
        pixels = {later: store[later] for later in indices}
        frames = torch.from_numpy(np.stack(list(pixels.values()))).to(self._device)
        detects = any(self._is_detected(later, step) for later in indices)
        encode = self._network.encode_frames if detects else self._network.encode_for_propagation
        try:
            features = encode(frames.permute(0, 3, 1, 2).float())  # channels last in memory
            query = self._network.encode_query(features)
        except torch.cuda.OutOfMemoryError:
            if len(indices) == 1:
                raise
            self._batch_frames = len(indices) // 2
            return self._encode_batch(index, step)
        features = features.without_backbone()  # frees C2 and C3
        if self._padded:
            query = query.with_padding()
        encoded = {}
        for number, later in enumerate(indices):
            own = features.frame(number)
            if later in self._key_frames:
                own = dataclasses.replace(own, key_frame=KeyFrame(later, pixels[later]))
            encoded[later] = EncodedFrame(later, own, query.frame(number))
        return encoded

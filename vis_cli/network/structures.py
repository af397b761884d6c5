"""Inputs and outputs of the methods of a network; used by the engine and by training."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from vis_cli.records.rle import Rle
from vis_cli.records.types import KeyFrame


@dataclass(frozen=True, slots=True)
class FrameFeatures:
    """B encoded frames, as detection, scoring and propagation read them.

    Propagation reads P2 only, and C2 and C3 to compute the query features.
    """

    # P2..P6, each (B, F, h/2^l, w/2^l) of the padded input. Frames that are encoded for propagation have P2 only.
    pyramid: tuple[Tensor, ...]
    c2: Tensor  # (B, C2, h/4, w/4), or empty: see `without_backbone`
    c3: Tensor  # (B, C3, h/8, w/8), or empty
    image_size: tuple[int, int]  # (h, w) of the input before padding to a multiple of 32
    # The frame (B = 1) itself, for a detector that reads no features. Key frames only.
    key_frame: KeyFrame | None = field(default=None, kw_only=True)
    # The query features, if the network computes them together with the others.
    query: QueryFeatures | None = field(default=None, kw_only=True)

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """Return all tensors, without the query features."""
        return (*self.pyramid, self.c2, self.c3)

    def map(self, change: Callable[[Tensor], Tensor]) -> FrameFeatures:
        """Return the features with other tensors, without the query features."""
        levels = tuple(change(level) for level in self.pyramid)
        return dataclasses.replace(self, pyramid=levels, c2=change(self.c2), c3=change(self.c3), query=None)

    def for_propagation(self) -> FrameFeatures:
        """Return the part that propagation reads. The detector cannot read it."""
        return FrameFeatures(self.pyramid[:1], self.c2, self.c3, self.image_size, query=self.query)

    def without_backbone(self) -> FrameFeatures:
        """Return the features with empty C2 and C3. Only `encode_query` reads both."""
        return dataclasses.replace(self, c2=self.c2.new_empty(0), c3=self.c3.new_empty(0))

    def frame(self, number: int) -> FrameFeatures:
        """Return the features of one of the B frames. They share its memory."""
        return self.map(lambda tensor: tensor[number : number + 1])


def select_frames(features: FrameFeatures, frames: list[int] | range | Tensor) -> FrameFeatures:
    """Return the features of the frames with these indices. An index can occur several times."""
    index = frames if isinstance(frames, Tensor) else torch.tensor(list(frames), device=features.c2.device)
    return FrameFeatures(
        tuple(level[index] for level in features.pyramid),
        features.c2[index],
        features.c3[index],
        features.image_size,
        query=None if features.query is None else features.query.select(index),
    )


def select_objects(features: FrameFeatures, frames: Tensor) -> FrameFeatures:
    """Return the features that memorizing N objects reads: the finest pyramid level of the frame of each object."""
    return FrameFeatures((features.pyramid[0][frames],), features.c2, features.c3, features.image_size)


@dataclass(frozen=True, slots=True)
class Detections:
    """N detected instances of one frame, in the order of the detector."""

    boxes: Tensor  # (N, 4) float32 xyxy, pixels of the network input; ends are where the last pixel ends
    scores: Tensor  # (N,) float32 in 0..1
    labels: Tensor  # (N,) int64 in 1..C
    class_probs: Tensor  # (N, C+1) float32 in 0..1, background first
    mask_probs: Tensor  # (N, h, w) float32 in 0..1, pasted at the unpadded input size
    # Masks at the size of the video that are known exactly, as in a file of detections. (): no mask is.
    segmentations: tuple[Rle | None, ...] = ()


@dataclass(frozen=True, slots=True)
class QueryFeatures:
    """Features of query frames; B = 1 except in training and while a GPU encodes. They depend on no object."""

    key: Tensor  # (B, CK, h/16, w/16)
    value: Tensor  # (B, CV, h/16, w/16)
    skip3: Tensor  # (B, D, h/8, w/8)
    skip2: Tensor  # (B, D, h/4, w/4)
    image_size: tuple[int, int]  # (h, w) of the masks that are decoded

    def select(self, index: Tensor) -> QueryFeatures:
        """Return the features of the frames with the indices (N,). An index can occur several times."""
        return self.map(lambda tensor: tensor[index])

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """Return all tensors."""
        return self.key, self.value, self.skip3, self.skip2

    def map(self, change: Callable[[Tensor], Tensor]) -> QueryFeatures:
        """Return the features with other tensors."""
        key, value, skip3, skip2 = (change(tensor) for tensor in self.tensors)
        return QueryFeatures(key, value, skip3, skip2, self.image_size)

    def frame(self, number: int) -> QueryFeatures:
        """Return the features of one of the B frames. They share its memory."""
        return self.map(lambda tensor: tensor[number : number + 1])

    def with_padding(self) -> QueryFeatures:
        """Return the features for masks that also cover the padding."""
        height, width = self.skip2.shape[-2:]
        return dataclasses.replace(self, image_size=(4 * height, 4 * width))


@dataclass(frozen=True, slots=True)
class EncodedFrame:
    """A frame as detection, scoring and propagation read it. It depends on no object."""

    index: int  # frame index in the video or the clip
    features: FrameFeatures
    query: QueryFeatures

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """Return all tensors."""
        return (*self.features.tensors, *self.query.tensors)

    @property
    def num_bytes(self) -> int:
        """Return the size of all tensors in bytes."""
        return sum(tensor.numel() * tensor.element_size() for tensor in self.tensors)

    def for_propagation(self) -> EncodedFrame:
        """Return the part that propagation reads. The detector cannot read it."""
        return EncodedFrame(self.index, self.features.for_propagation(), self.query)

    def map(self, change: Callable[[Tensor], Tensor]) -> EncodedFrame:
        """Return the frame with other tensors."""
        return EncodedFrame(self.index, self.features.map(change), self.query.map(change))


@dataclass(frozen=True, slots=True)
class MemoryEntry:
    """Key and value of N objects in one memorized frame."""

    key: Tensor  # (N, CK, h/16, w/16)
    value: Tensor  # (N, CV, h/16, w/16)

    def select(self, rows: Sequence[int]) -> MemoryEntry:
        """Return the objects `rows`, in that order."""
        return MemoryEntry(self.key[list(rows)], self.value[list(rows)])

    def detach(self) -> MemoryEntry:
        """Return the entry without its gradient."""
        return MemoryEntry(self.key.detach(), self.value.detach())

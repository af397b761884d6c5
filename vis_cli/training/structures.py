"""What a training sample is: a short clip, its objects, and what is known about them.

Made by `datasets`, checked and looked at through `contact_sheet`, consumed by `trainer`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class ClipTargets:
    """Hold the N labelled objects that are visible in one frame of a clip."""

    boxes: Tensor  # (N, 4) float32 xyxy pixels, tight around the mask: x2 = last column + 1
    labels: Tensor  # (N,) int64 in 1..C
    masks: Tensor  # (N, H, W) uint8 in {0, 1}, disjoint
    instance_ids: Tensor  # (N,) int64 above 0, the same object has the same id in all frames of the clip
    scores: Tensor | None = (
        None  # (N,) float32 in 0..1, the weight of each object in the detector's losses; None: all 1
    )
    has_mask: Tensor | None = None  # (N,) bool, False: only the box is known, and the mask is empty; None: all have one

    def __post_init__(self) -> None:
        """Check that every field speaks of the same N objects.

        Raises:
            ValueError: the lengths differ.
        """
        lengths = {len(part) for part in self._parts() if part is not None}
        if len(lengths) != 1:
            raise ValueError(f"boxes, labels, masks and instance_ids differ in length: {sorted(lengths)}")

    def to(self, device: torch.device) -> ClipTargets:
        """Return the targets on a device."""
        return ClipTargets(*(None if part is None else part.to(device) for part in self._parts()))  # type: ignore[arg-type]

    def _parts(self) -> tuple[Tensor | None, ...]:
        return self.boxes, self.labels, self.masks, self.instance_ids, self.scores, self.has_mask


@dataclass(slots=True)
class TrainClip:
    """Hold T frames: frame 0 is the guidance frame, the others are query frames in playing order."""

    images: Tensor  # (T, 3, H, W) uint8 RGB
    targets: tuple[ClipTargets, ...]  # T
    labelled: Tensor  # (C+1,) bool: label i is labelled exhaustively in these pictures; index 0: all of them are
    detect: bool  # False: the labels say nothing (classes unknown), the clip is for the propagation head only
    ignore: tuple[Tensor, ...]  # T times (M, 4) float32 xyxy: crowds and slivers, neither object nor background
    name: str  # file names, for error messages
    guided_ids: Tensor  # (G,) int64 instance ids given to the propagation head, all visible in frame 0
    background_weight: float = 1.0  # of regions without an object in the detector's losses
    doubtful: Tensor | None = None  # (D, 4) float32 xyxy: each may be an object of the last frame or not; None: no box
    notes: tuple[str, ...] = ()  # assumptions that were made to read the images

    def to(self, device: torch.device) -> TrainClip:
        """Return the clip on a device."""
        targets = tuple(target.to(device) for target in self.targets)
        return dataclasses.replace(
            self,
            images=self.images.to(device),
            targets=targets,
            labelled=self.labelled.to(device),
            ignore=tuple(boxes.to(device) for boxes in self.ignore),
            guided_ids=self.guided_ids.to(device),
            doubtful=None if self.doubtful is None else self.doubtful.to(device),
        )

    def __post_init__(self) -> None:
        """Check that targets and ignored boxes are there for each frame.

        Raises:
            ValueError: their number is not that of the frames.
        """
        if not len(self.images) == len(self.targets) == len(self.ignore):
            raise ValueError(f"{len(self.images)} frames, {len(self.targets)} targets, {len(self.ignore)} ignore")


def collate(clips: Sequence[TrainClip]) -> list[TrainClip]:
    """Return the clips of one batch as they are; their frames have one size, their objects do not stack.

    Raises:
        ValueError: the frames of two clips differ in number or size.
    """
    if len({clip.images.shape for clip in clips}) > 1:
        raise ValueError(f"clips of one batch differ in shape: {[tuple(clip.images.shape) for clip in clips]}")
    return list(clips)

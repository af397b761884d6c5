"""A training sample: a short clip and the targets of its frames.

Created by `datasets`. Used by `contact_sheet` and `objective`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class ClipTargets:
    """The N labelled objects that are visible in one frame of a clip."""

    boxes: Tensor  # (N, 4) float32 xyxy pixels, tight; x2 is the last column of the mask + 1
    labels: Tensor  # (N,) int64 in 1..C
    masks: Tensor  # (N, H, W) uint8 in {0, 1}, disjoint
    instance_ids: Tensor  # (N,) int64 above 0; an object has the same id in all frames of the clip
    # (N,) float32 from 0 to 1, weights of the objects in the losses of the detector; None: all 1
    scores: Tensor | None = None
    # (N,) bool; False: the object has only a box, and its mask is empty; None: all objects have a mask
    has_mask: Tensor | None = None

    def __post_init__(self) -> None:
        """Check that all fields have the same length.

        Raises:
            ValueError: The lengths differ.
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
    """T frames with targets. Frame 0 is the guidance frame. Query frames follow in the order of the video."""

    images: Tensor  # (T, 3, H, W) uint8 RGB
    targets: tuple[ClipTargets, ...]  # T
    labelled: Tensor  # (C+1,) bool; i: all objects of label i are labelled; 0: all labels are
    detect: bool  # False: the labels have no meaning, and the clip trains only the Seq-Prop head
    ignore: tuple[Tensor, ...]  # T times (M, 4) float32 xyxy; crowds and almost hidden objects
    name: str  # file names, for error messages
    guided_ids: Tensor  # (G,) int64 ids of the objects to propagate, all visible in frame 0
    background_weight: float = 1.0  # of regions without an object in the losses of the detector
    doubtful: Tensor | None = None  # (D, 4) float32 xyxy of the last frame: possible objects; None: empty
    notes: tuple[str, ...] = ()  # assumptions of the reader of the images

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
        """Check that each frame has targets and ignored boxes.

        Raises:
            ValueError: The numbers of frames, targets and ignored boxes differ.
        """
        if not len(self.images) == len(self.targets) == len(self.ignore):
            raise ValueError(f"{len(self.images)} frames, {len(self.targets)} targets, {len(self.ignore)} ignore")


def collate(clips: Sequence[TrainClip]) -> list[TrainClip]:
    """Return the clips of one batch as a list, because the numbers of objects differ.

    Raises:
        ValueError: The clips differ in the number or the size of their frames.
    """
    if len({clip.images.shape for clip in clips}) > 1:
        raise ValueError(f"clips of one batch differ in shape: {[tuple(clip.images.shape) for clip in clips]}")
    return list(clips)

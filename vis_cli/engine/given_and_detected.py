"""Objects that the user gives, together with detected objects; used by `mask_sources`.

In each group of sequences, the given objects come first. Given objects compete for pixels among themselves, and
detected objects with the other detections of their key frame: a detection can be a duplicate of a given object.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vis_cli.engine.detected_masks import DetectedMasks
from vis_cli.engine.given_objects import GivenObjects
from vis_cli.engine.scoring import frame_class_probs
from vis_cli.engine.sequences import KeyMasks
from vis_cli.network.structures import EncodedFrame

if TYPE_CHECKING:
    from vis_cli.network.protocol import VideoNetwork


class GivenAndDetected:
    """The given objects of a video, and the detections of one window."""

    def __init__(
        self, given: GivenObjects, detected: DetectedMasks, network: VideoNetwork, *, mask_threshold: float
    ) -> None:
        """Join both sources.

        Args:
            given: Objects with ids.
            detected: Detections whose sequences have other ids.
            network: It classifies the given objects, so that their class is known when duplicates are removed.
            mask_threshold: Minimum probability of a mask pixel.
        """
        self.key_frames = tuple(sorted({*given.key_frames, *detected.key_frames}))
        self.num_classes = detected.num_classes
        self.classifies_frames = detected.classifies_frames
        self._given = given
        self._detected = detected
        self._network = network
        self._mask_threshold = mask_threshold

    def masks_at(self, frame: EncodedFrame) -> KeyMasks:
        """Return the given and the detected masks of a key frame."""
        parts = []
        if frame.index in self._given.key_frames:
            given = self._given.masks_at(frame)
            parts.append(dataclasses.replace(given, class_probs=self._classify(frame, given.probs)))
        if frame.index in self._detected.key_frames:
            parts.append(self._detected.masks_at(frame))
        return parts[0] if len(parts) == 1 else _join(*parts)

    def select_new(self, key_masks: KeyMasks, ids: Sequence[tuple[int, ...]], propagated: Sequence[Tensor]) -> KeyMasks:
        """Return the objects that are given for the first time, and the detections that no other mask covers."""
        given, detected = self._split(key_masks)
        masks = [*propagated, given.probs] if given.ids else propagated
        new = {
            *self._given.select_new(given, ids, propagated).ids,
            *self._detected.select_new(detected, ids, masks).ids,
        }
        return key_masks.select(row for row, id_ in enumerate(key_masks.ids) if id_ in new)

    def aggregate(
        self, ids: Sequence[tuple[int, ...]], separate: Sequence[Tensor], key_masks: KeyMasks | None
    ) -> list[Tensor]:
        """Let the given objects compete for the pixels of a frame, and the detections of each key frame."""
        counts = [sum(id_ in self._given.ids for id_ in some) for some in ids]
        given = self._given.aggregate(
            [some[:num] for some, num in zip(ids, counts, strict=True)],
            [probs[:num] for probs, num in zip(separate, counts, strict=True)],
            None if key_masks is None else self._split(key_masks)[0],
        )
        detected = self._detected.aggregate(
            [some[num:] for some, num in zip(ids, counts, strict=True)],
            [probs[num:] for probs, num in zip(separate, counts, strict=True)],
            None,
        )
        return [torch.cat(parts) for parts in zip(given, detected, strict=True)]

    def class_probs(self, frame: EncodedFrame, masks: Tensor) -> NDArray[np.float64]:
        """Classify the objects of a frame, as for detections."""
        return self._detected.class_probs(frame, masks)

    def guidance_frames(self, ids: tuple[int, ...]) -> frozenset[int]:
        """Return the frames that give one of these objects."""
        return self._given.guidance_frames(ids)

    def _classify(self, frame: EncodedFrame, probs: Tensor) -> NDArray[np.float64]:
        if not self._network.classifies_boxes:
            return np.zeros((len(probs), self.num_classes + 1))
        return frame_class_probs(self._network, frame.features, probs > self._mask_threshold)

    def _split(self, key_masks: KeyMasks) -> tuple[KeyMasks, KeyMasks]:
        """Return the given and the detected masks."""
        is_given = [id_ in self._given.ids for id_ in key_masks.ids]
        return (
            key_masks.select(row for row, known in enumerate(is_given) if known),
            key_masks.select(row for row, known in enumerate(is_given) if not known),
        )


def _join(given: KeyMasks, detected: KeyMasks) -> KeyMasks:
    exact = [some.segmentations or (None,) * len(some.ids) for some in (given, detected)]
    return KeyMasks(
        ids=given.ids + detected.ids,
        probs=torch.cat([given.probs, detected.probs]),
        guidance=torch.cat([given.guidance, detected.guidance]),
        class_probs=np.concatenate([given.class_probs, detected.class_probs]),
        segmentations=exact[0] + exact[1],
        resegment=detected.resegment,
    )

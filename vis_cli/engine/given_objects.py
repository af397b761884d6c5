"""Objects that the user gives, instead of detections: the rules that masks, boxes and points share.

Used by `given_masks` and `prompted_masks`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vis_cli.engine.sequences import KeyMasks
from vis_cli.network.aggregation import soft_aggregate
from vis_cli.network.structures import EncodedFrame


class GivenObjects(ABC):
    """Objects with ids. Each one starts in the first frame that gives it. Later frames correct its mask."""

    num_classes = 0
    classifies_frames = False

    def __init__(self, ids: Mapping[int, tuple[int, ...]]) -> None:
        """Store the ids of the objects that are given in each key frame, by frame index."""
        self.key_frames = tuple(sorted(ids))
        self.frame_ids = ids

    @property
    def ids(self) -> frozenset[int]:
        """Return the ids of all objects."""
        return frozenset(id_ for some in self.frame_ids.values() for id_ in some)

    @abstractmethod
    def masks_at(self, frame: EncodedFrame) -> KeyMasks:
        """Return the masks that are given for a frame, in the order of `frame_ids`."""

    def select_new(self, key_masks: KeyMasks, ids: Sequence[tuple[int, ...]], propagated: Sequence[Tensor]) -> KeyMasks:
        """Return the objects that are given for the first time."""
        known = {id_ for some in ids for id_ in some}
        return key_masks.select(row for row, id_ in enumerate(key_masks.ids) if id_ not in known)

    def aggregate(
        self, ids: Sequence[tuple[int, ...]], separate: Sequence[Tensor], key_masks: KeyMasks | None
    ) -> list[Tensor]:
        """Let all objects compete for the pixels of a frame. Given masks replace propagated masks in this frame."""
        if not separate:
            return []
        all_ids = [id_ for some in ids for id_ in some]
        probs = torch.cat(list(separate))
        if key_masks is None:
            aggregated = soft_aggregate(probs)[1:]
        else:
            starting = [row for row, id_ in enumerate(key_masks.ids) if id_ not in all_ids]
            rivals = torch.cat([_replace(probs, all_ids, key_masks), key_masks.probs[starting]])
            aggregated = _replace(soft_aggregate(rivals)[1 : len(all_ids) + 1], all_ids, key_masks)
        return list(torch.split(aggregated, [len(some) for some in ids]))

    def class_probs(self, frame: EncodedFrame, masks: Tensor) -> NDArray[np.float64]:
        """Return zeros (N, 1): the box head does not classify given objects in other frames."""
        return np.zeros((len(masks), 1))

    def guidance_frames(self, ids: tuple[int, ...]) -> frozenset[int]:
        """Return the frames that give one of these objects. Their masks stay in the memory."""
        return frozenset(frame for frame, given in self.frame_ids.items() if not set(given).isdisjoint(ids))


def _replace(probs: Tensor, ids: Sequence[int], given: KeyMasks) -> Tensor:
    """Return the masks (N, h, w) of the objects `ids`. A given mask replaces the propagated mask of its object."""
    replaced = probs.clone()
    for row, id_ in enumerate(given.ids):
        if id_ in ids:
            replaced[ids.index(id_)] = given.probs[row]
    return replaced

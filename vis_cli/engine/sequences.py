"""What flows through the engine: masks that sequences start from, sets that grow, and the gathered proposals."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from vis_cli.network.memory import MemoryBank
from vis_cli.network.structures import FrameFeatures, MemoryEntry
from vis_cli.records.types import Rle

Segmentations: TypeAlias = tuple[Rle | None, ...]  # one a frame, on the mask canvas of the config


@dataclass(frozen=True, slots=True)
class KeyMasks:
    """Hold the N objects that a key frame gives before anything is propagated."""

    ids: tuple[int, ...]  # of the sequences they belong to
    probs: Tensor  # (N, h, w) float32 in 0..1
    guidance: Tensor  # (N, h, w) float32 in 0..1, as the memory is to see them
    segmentations: tuple[Rle, ...] | None = None  # at the video's size, where they are known
    is_answer: bool = True  # they are the sequences' masks at this frame; else propagation answers here too

    def select(self, rows: Iterable[int]) -> KeyMasks:
        """Return the objects `rows`, in that order."""
        rows = list(rows)
        return KeyMasks(
            ids=tuple(self.ids[row] for row in rows),
            probs=self.probs[rows],
            guidance=self.guidance[rows],
            segmentations=None if self.segmentations is None else tuple(self.segmentations[row] for row in rows),
            is_answer=self.is_answer,
        )

    def padded(self, size: tuple[int, int]) -> KeyMasks:
        """Return the same on a canvas of `size` (h, w) that goes on to the right and below."""
        pad = (0, size[1] - self.probs.shape[2], 0, size[0] - self.probs.shape[1])
        return dataclasses.replace(
            self, probs=F.pad(self.probs, pad), guidance=F.pad(self.guidance, pad), segmentations=None
        )

    def answers(self, ids: tuple[int, ...]) -> bool:
        """Tell whether all of these sequences have their mask at this frame from here."""
        return self.is_answer and set(ids) <= set(self.ids)

    def impose(self, ids: tuple[int, ...], probs: Tensor) -> Tensor:
        """Overwrite the rows of `probs` (N, h, w) whose sequence has its mask from here; return `probs`."""
        for row, id_ in enumerate(ids):
            if self.answers((id_,)):
                probs[row] = self.probs[self.ids.index(id_)]
        return probs

    def segmentation(self, id_: int) -> Rle | None:
        """Return the mask of a sequence at the video's size, None where it is not known."""
        if self.segmentations is None or id_ not in self.ids:
            return None
        return self.segmentations[self.ids.index(id_)]


class MaskSource(Protocol):
    """Say where sequences start: detection on key frames, or masks that the caller gives."""

    @property
    def key_frames(self) -> tuple[int, ...]:
        """Return the frames that have masks, ascending, at least one."""

    @property
    def one_contest(self) -> bool:
        """Return whether the objects of all key frames compete for a pixel, not only those of the same one."""

    def masks_at(self, frame: int, features: FrameFeatures) -> KeyMasks:
        """Return the masks of a key frame; ids seen before go on, new ones start a sequence here."""


@dataclass(slots=True)
class SequenceSet:
    """Hold S_k, the sequences that start from one key frame, while they are propagated."""

    key_frame: int
    ids: tuple[int, ...]
    first: MemoryEntry  # of the key frame; both directions start from it
    bank: MemoryBank
    segmentations: list[list[Rle | None]]  # N lists, one entry a frame of the video
    class_sums: NDArray[np.float64]  # (N, C+1), over the frames where the object is visible
    num_visible: NDArray[np.int64]  # (N,)


@dataclass(frozen=True, slots=True)
class SequenceProposals:
    """Hold the gathered set S: N sequences, all as long as the video."""

    ids: tuple[int, ...]
    key_frames: tuple[int, ...]
    segmentations: tuple[Segmentations, ...]
    class_scores: NDArray[np.float64]  # (N, C+1), background first; -1: the class was reduced away

    def __post_init__(self) -> None:
        """Check that all fields count the same sequences."""
        counts = {len(self.ids), len(self.key_frames), len(self.segmentations), len(self.class_scores)}
        if len(counts) != 1:
            raise ValueError(f"fields of SequenceProposals count different sequences: {sorted(counts)}")

    @property
    def scores(self) -> NDArray[np.float64]:
        """Return (N,) the sequence scores: the best foreground class of each (Propose-Reduce, Eq. 2)."""
        best: NDArray[np.float64] = self.class_scores[:, 1:].max(axis=1, initial=-1.0)
        return best

    def select(self, rows: Iterable[int]) -> SequenceProposals:
        """Return the sequences `rows`, in that order."""
        rows = list(rows)
        return SequenceProposals(
            ids=tuple(self.ids[row] for row in rows),
            key_frames=tuple(self.key_frames[row] for row in rows),
            segmentations=tuple(self.segmentations[row] for row in rows),
            class_scores=self.class_scores[rows],
        )


def gather_proposals(sets: Sequence[SequenceSet], class_scores: NDArray[np.float64]) -> SequenceProposals:
    """Join all S_k into S (Propose-Reduce, Alg. 1, last line), leaving out sequences without a pixel anywhere.

    Args:
        sets: the S_k, by key frame.
        class_scores: (N, C+1) of all their sequences, in the same order.
    """
    gathered = SequenceProposals(
        ids=tuple(id_ for s in sets for id_ in s.ids),
        key_frames=tuple(s.key_frame for s in sets for _ in s.ids),
        segmentations=tuple(tuple(row) for s in sets for row in s.segmentations),
        class_scores=class_scores,
    )
    return gathered.select(row for row, masks in enumerate(gathered.segmentations) if any(masks))

"""Records of the engine: key masks, the sequence proposals of a key frame, and all proposals of a video."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from vis_cli.engine.packed_probs import PackedProbs
from vis_cli.network.propagation import Propagation
from vis_cli.network.structures import EncodedFrame
from vis_cli.records.rle import Rle

Masks: TypeAlias = Sequence[Rle | None]  # one per frame


@dataclass(frozen=True, slots=True)
class KeyMasks:
    """N objects of a key frame, detected or given."""

    ids: tuple[int, ...]  # of their sequences
    probs: Tensor  # (N, h, w) float32 from 0 to 1
    guidance: Tensor  # (N, h, w) float32 from 0 to 1, as they are memorized
    class_probs: NDArray[np.float64]  # (N, C+1) of detections, background first; zeros for given masks
    segmentations: tuple[Rle | None, ...] | None = None  # at the size of the video, for masks that are known exactly
    resegment: bool = False  # the mask of the key frame comes from propagation, too, instead of `probs`

    def select(self, rows: Iterable[int]) -> KeyMasks:
        """Return the objects `rows`, in that order."""
        rows = list(rows)
        return KeyMasks(
            ids=tuple(self.ids[row] for row in rows),
            probs=self.probs[rows],
            guidance=self.guidance[rows],
            class_probs=self.class_probs[rows],
            segmentations=None if self.segmentations is None else tuple(self.segmentations[row] for row in rows),
            resegment=self.resegment,
        )

    def padded(self, size: tuple[int, int]) -> KeyMasks:
        """Return the masks on a larger canvas (h, w), with background on the right and at the bottom."""
        pad = (0, size[1] - self.probs.shape[2], 0, size[0] - self.probs.shape[1])
        return dataclasses.replace(
            self, probs=F.pad(self.probs, pad), guidance=F.pad(self.guidance, pad), segmentations=None
        )

    def segmentation(self, id_: int) -> Rle | None:
        """Return the mask of an object at the size of the video, None if it is not known."""
        if self.segmentations is None or id_ not in self.ids:
            return None
        return self.segmentations[self.ids.index(id_)]


class MaskSource(Protocol):
    """The start of sequences: detections in key frames, or given masks."""

    @property
    def key_frames(self) -> tuple[int, ...]:
        """Return the indices of the key frames: at least one, in ascending order."""

    @property
    def num_classes(self) -> int:
        """Return the number of foreground classes C of `class_probs`. 0: the objects have no class."""

    @property
    def classifies_frames(self) -> bool:
        """Return whether `class_probs` reads all frames with the box head. False: it returns zeros."""

    def masks_at(self, frame: EncodedFrame) -> KeyMasks:
        """Return the masks of a key frame."""

    def select_new(self, key_masks: KeyMasks, ids: Sequence[tuple[int, ...]], propagated: Sequence[Tensor]) -> KeyMasks:
        """Return the objects of a key frame that start a sequence.

        Args:
            key_masks: All objects of the key frame.
            ids: Ids of the sequences that are propagated, for each earlier key frame.
            propagated: Their masks in this frame, (N, h, w) for each earlier key frame.
        """

    def aggregate(
        self, ids: Sequence[tuple[int, ...]], separate: Sequence[Tensor], key_masks: KeyMasks | None
    ) -> list[Tensor]:
        """Let objects compete for the pixels of a frame (soft aggregation).

        Args:
            ids: Ids of the propagated sequences, for each key frame.
            separate: Probability of each object without the others, (N, h, w) for each key frame.
            key_masks: Masks of this frame, if it is a key frame.

        Returns:
            Probabilities (N, h, w) for each key frame.
        """

    def class_probs(self, frame: EncodedFrame, masks: Tensor) -> NDArray[np.float64]:
        """Return the class probabilities (N, C+1) of the objects of a frame, background first.

        Args:
            frame: The frame.
            masks: (N, h, w) bool at the size of the network input.
        """

    def guidance_frames(self, ids: tuple[int, ...]) -> frozenset[int]:
        """Return the frames that must stay in the memory of these objects, in addition to their key frame."""


class ProposalIds(Iterator[int]):
    """Ids of sequence proposals. They are different in all windows of a video."""

    def __init__(self, following: int = 0) -> None:
        """Start with the id `following`."""
        self.following = following

    def __next__(self) -> int:
        """Return the next id."""
        self.following += 1
        return self.following - 1


@dataclass(slots=True)
class KeyFrameProposals:
    """S_k: the N sequences of one key frame, while they are propagated through a window."""

    key_frame: int
    ids: tuple[int, ...]
    propagation: Propagation  # forward in time. It continues in the next window
    masks: list[dict[int, Rle]]  # N sequences by frame index, without frames in which the object is absent
    class_sums: NDArray[np.float64]  # (N, C+1), class probabilities summed over the frames that show the object
    num_visible: NDArray[np.int64]  # (N,), number of frames that show the object
    detection_scores: NDArray[np.float64]  # (N, C+1), class probabilities of the detections in the key frame
    probs: list[dict[int, PackedProbs]]  # as `masks`, without given masks; [] if masks may overlap
    backward: Propagation | None = None  # backward in time. It continues in the previous window

    def keep(self, rows: Sequence[int]) -> None:
        """Continue with the sequences `rows` only, in that order."""
        self.ids = tuple(self.ids[row] for row in rows)
        self.propagation.keep(rows)
        if self.backward is not None:
            self.backward.keep(rows)
        self.masks = [self.masks[row] for row in rows]
        self.class_sums = self.class_sums[list(rows)]
        self.num_visible = self.num_visible[list(rows)]
        self.detection_scores = self.detection_scores[list(rows)]
        self.probs = [self.probs[row] for row in rows] if self.probs else []

    def state_dict(self) -> dict[str, Any]:
        """Return the sequences as the next window needs them. `from_state_dict` restores them."""
        return {
            "key_frame": self.key_frame,
            "ids": list(self.ids),
            "has_probs": bool(self.probs),
            "propagation": self.propagation.state_dict(),
        }

    @staticmethod
    def from_state_dict(state: dict[str, Any]) -> KeyFrameProposals:
        """Return the sequences of `state_dict`, without masks and scores."""
        num = len(state["ids"])
        return KeyFrameProposals(
            key_frame=state["key_frame"],
            ids=tuple(state["ids"]),
            propagation=Propagation.from_state_dict(state["propagation"]),
            masks=[{} for _ in range(num)],
            class_sums=np.zeros((num, 1)),
            num_visible=np.zeros(num, dtype=np.int64),
            detection_scores=np.zeros((num, 1)),
            probs=[{} for _ in range(num)] if state["has_probs"] else [],
        )

    def next_window(self, num_scores: int) -> KeyFrameProposals:
        """Return the same sequences without the masks and scores of this window."""
        num = len(self.ids)
        return KeyFrameProposals(
            key_frame=self.key_frame,
            ids=self.ids,
            propagation=self.propagation,
            masks=[{} for _ in range(num)],
            class_sums=np.zeros((num, num_scores)),
            num_visible=np.zeros(num, dtype=np.int64),
            detection_scores=np.zeros((num, num_scores)),
            probs=[{} for _ in range(num)] if self.probs else [],
        )


@dataclass(frozen=True, slots=True)
class SequenceProposals:
    """S: N sequences of the length of the video."""

    ids: tuple[int, ...]
    key_frames: tuple[int, ...]
    segmentations: tuple[Masks, ...]
    class_scores: NDArray[np.float64]  # (N, C+1), background first; -1: the reduction removed the class
    probs: tuple[tuple[PackedProbs | None, ...], ...] = ()  # as `segmentations`; () if masks may overlap

    def __post_init__(self) -> None:
        """Check that all fields have the same length."""
        counts = {len(self.ids), len(self.key_frames), len(self.segmentations), len(self.class_scores)}
        counts |= {len(self.probs)} if self.probs else set()
        if len(counts) != 1:
            raise ValueError(f"fields of SequenceProposals have different lengths: {sorted(counts)}")

    @property
    def scores(self) -> NDArray[np.float64]:
        """Return the sequence scores (N,): the maximum over the foreground classes (Propose-Reduce, Eq. 2)."""
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
            probs=tuple(self.probs[row] for row in rows) if self.probs else (),
        )

    def join(self, others: SequenceProposals) -> SequenceProposals:
        """Return these sequences, followed by `others`."""
        return SequenceProposals(
            ids=self.ids + others.ids,
            key_frames=self.key_frames + others.key_frames,
            segmentations=self.segmentations + others.segmentations,
            class_scores=np.concatenate([self.class_scores, others.class_scores]),
            probs=self.probs + others.probs,
        )

    def without_empty(self) -> SequenceProposals:
        """Return the sequences that have a mask in at least one frame."""
        return self.select(row for row, masks in enumerate(self.segmentations) if any(masks))


def gather_proposals(
    proposals: Sequence[KeyFrameProposals], class_scores: NDArray[np.float64], frames: range
) -> SequenceProposals:
    """Join all S_k to S (Propose-Reduce, Alg. 1, last line).

    Args:
        proposals: S_k of each key frame.
        class_scores: (N, C+1) of all their sequences, in the same order.
        frames: Indices of the frames of the window.
    """
    return SequenceProposals(
        ids=tuple(id_ for some in proposals for id_ in some.ids),
        key_frames=tuple(some.key_frame for some in proposals for _ in some.ids),
        segmentations=tuple(tuple(map(masks.get, frames)) for some in proposals for masks in some.masks),
        class_scores=class_scores,
        probs=tuple(tuple(map(probs.get, frames)) for some in proposals for probs in some.probs),
    )

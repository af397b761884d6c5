"""Sequences that continue from window to window; used by `method`.

A video with one window has no known sequences. Then `Tracks` contains the result of the reduction, as in the paper.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from vis_cli.engine.exclusive import make_exclusive
from vis_cli.engine.packed_probs import PackedProbs
from vis_cli.engine.reduce import contained_pairs, reduce_proposals
from vis_cli.engine.sequences import SequenceProposals
from vis_cli.records.rle import Rle, sequence_iou
from vis_cli.settings import SegmentSettings

Value = TypeVar("Value")


@dataclass(slots=True)
class Track:
    """One sequence of the video."""

    id: int
    key_frame: int
    masks: dict[int, Rle] = field(default_factory=dict)  # by frame index, without frames in which it is absent
    probs: dict[int, PackedProbs] = field(default_factory=dict)  # of frames whose pixels are not yet shared
    window_scores: list[NDArray[np.float64]] = field(default_factory=list)  # (C+1,) of each window
    weights: list[int] = field(default_factory=list)  # number of masks in each of these windows

    def class_scores(self) -> NDArray[np.float64]:
        """Return the class scores (C+1,): the mean over the windows, weighted by their masks."""
        if len(self.window_scores) == 1:
            return self.window_scores[0]
        mean: NDArray[np.float64] = np.average(self.window_scores, axis=0, weights=self.weights)
        return mean

    def score(self) -> float:
        """Return the score of the best class (Propose-Reduce, Eq. 2)."""
        return float(self.class_scores()[1:].max(initial=-1.0))

    def add(self, proposals: SequenceProposals, row: int, frames: range, *, is_scored: bool = True) -> None:
        """Add the masks of one window, and its class scores."""
        masks = _present(proposals.segmentations[row], frames)
        self.masks |= masks
        if proposals.probs:
            self.probs |= _present(proposals.probs[row], frames)
        if is_scored:
            self.window_scores.append(proposals.class_scores[row])
            self.weights.append(len(masks))


class Tracks:
    """All sequences of a video."""

    def __init__(self, config: SegmentSettings, *, reduces: bool) -> None:
        """Start without sequences.

        Args:
            config: Settings of the method.
            reduces: Remove duplicate sequences. False: the sequences are given, and keep their ids.
        """
        self._config = config
        self._reduces = reduces
        self._all: list[Track] = []
        self._ids = count(1)
        self._by_id: dict[int, Track] = {}  # by the id of its proposal. A rejoined sequence has several ids

    def add_window(self, proposals: SequenceProposals, frames: range, key_frames: Sequence[int]) -> set[int]:
        """Add the sequences of a window: the known ones that are still visible, and the new ones without duplicates.

        Args:
            proposals: All sequences of the window, with the ids of their proposals.
            frames: Indices of the frames of the window.
            key_frames: Indices of its key frames. Detections do not support a sequence that none of them shows.

        Returns:
            Ids of the proposals that continue.
        """
        known = proposals.select(row for row, id_ in enumerate(proposals.ids) if id_ in self._by_id).without_empty()
        new = proposals.select(row for row, id_ in enumerate(proposals.ids) if id_ not in self._by_id).without_empty()
        if self._reduces:
            known = self._without_duplicates(known)
            new = reduce_proposals(self._uncovered(new, known), self._config)
        for row, id_ in enumerate(known.ids):
            is_scored = self._config.score_source == "eq2" or _is_visible(known, row, frames, key_frames)
            self._by_id[id_].add(known, row, frames, is_scored=is_scored)
        for row, id_ in enumerate(new.ids):
            track = Track(next(self._ids) if self._reduces else id_, new.key_frames[row])
            track.add(new, row, frames)
            self._all.append(track)
            self._by_id[id_] = track
        return {*known.ids, *new.ids}

    def add_earlier(self, proposals: SequenceProposals, frames: range, window: range) -> None:
        """Add the masks of new sequences in the previous window.

        If they cover a sequence that has been lost since, the new sequence continues it. If they cover a sequence that
        is still visible, only the masks of that sequence remain.

        Args:
            proposals: New sequences, with their masks in the previous window.
            frames: Indices of the frames of the previous window.
            window: Indices of the frames of the current window.
        """
        rivals = [track for track in self._all if any(index in track.masks for index in frames)]
        iou = sequence_iou(proposals.segmentations, [[track.masks.get(index) for index in frames] for track in rivals])
        for row, id_ in enumerate(proposals.ids):
            track = self._by_id[id_]
            best = int(iou[row].argmax()) if rivals else -1
            if best >= 0 and iou[row, best] >= self._config.sequence_nms_iou:
                if not any(index in rivals[best].masks for index in window):
                    self._merge(rivals[best], track, id_)
                continue
            track.masks |= _present(proposals.segmentations[row], frames)
            if proposals.probs:
                track.probs |= _present(proposals.probs[row], frames)

    def share_pixels(self, frames: range) -> None:
        """Let the sequences compete for the pixels of a finished window (`exclusive`)."""
        if self._config.overlap != "exclusive":
            return
        visible = [track for track in self._all if any(index in track.masks for index in frames)]
        visible.sort(key=lambda track: -track.score())
        shared = make_exclusive(self._gather(visible, frames), confident_score=self._config.confident_score)
        for track, masks in zip(visible, shared.segmentations, strict=True):
            for index, mask in zip(frames, masks, strict=True):
                track.probs.pop(index, None)
                if mask is None:
                    track.masks.pop(index, None)
                else:
                    track.masks[index] = mask

    def result(self, num_frames: int) -> SequenceProposals:
        """Return all sequences over the complete video, without empty ones."""
        return self._gather(self._all, range(num_frames)).without_empty()

    def _without_duplicates(self, known: SequenceProposals) -> SequenceProposals:
        """Return the known sequences, except for duplicates of a better sequence in this window."""
        scores = np.array([self._by_id[id_].score() for id_ in known.ids])
        iou = sequence_iou(known.segmentations, known.segmentations)
        kept: list[int] = []
        for row in np.argsort(-scores, kind="stable").tolist():
            if not (iou[row, kept] >= self._config.sequence_nms_iou).any():
                kept.append(row)
        return known.select(sorted(kept))

    def _uncovered(self, new: SequenceProposals, known: SequenceProposals) -> SequenceProposals:
        """Return the new sequences that no known sequence covers (Propose-Reduce, Eq. 3 over the window)."""
        if not known.ids or not new.ids:
            return new
        covered = sequence_iou(new.segmentations, known.segmentations) >= self._config.sequence_nms_iou
        if self._config.containment < 1.0:
            both = new.join(known)
            num = len(new.ids)
            covered |= contained_pairs(both, self._config.containment)[:num, num:]
        return new.select(np.flatnonzero(~covered.any(axis=1)).tolist())

    def join(self, lost: int, new: int) -> None:
        """Continue the sequence of the proposal `lost` with the sequence of the proposal `new`."""
        self._merge(self._by_id[lost], self._by_id[new], new)

    def is_visible(self, id_: int, frames: range) -> bool:
        """Return whether the sequence of a proposal has a mask in some frames."""
        return any(index in self._by_id[id_].masks for index in frames)

    def first_mask(self, id_: int, key_frame: int) -> Rle | None:
        """Return the mask of a sequence in its key frame. None: it has none, or it continues an earlier sequence."""
        track = self._by_id[id_]
        return track.masks.get(key_frame) if track.key_frame == key_frame else None

    def _merge(self, earlier: Track, later: Track, id_: int) -> None:
        earlier.masks |= later.masks
        earlier.probs |= later.probs
        earlier.window_scores += later.window_scores
        earlier.weights += later.weights
        self._all.remove(later)
        self._by_id[id_] = earlier

    def _gather(self, tracks: Sequence[Track], frames: range) -> SequenceProposals:
        scores = [track.class_scores() for track in tracks]
        return SequenceProposals(
            ids=tuple(track.id for track in tracks),
            key_frames=tuple(track.key_frame for track in tracks),
            segmentations=tuple(tuple(map(track.masks.get, frames)) for track in tracks),
            class_scores=np.stack(scores) if scores else np.zeros((0, 1)),
            probs=tuple(tuple(map(track.probs.get, frames)) for track in tracks),
        )


def _is_visible(proposals: SequenceProposals, row: int, frames: range, some: Sequence[int]) -> bool:
    """Return whether a sequence has a mask in one of some frames of the window."""
    return any(proposals.segmentations[row][index - frames.start] is not None for index in some if index in frames)


def _present(values: Iterable[Value | None], frames: range) -> dict[int, Value]:
    return {index: value for index, value in zip(frames, values, strict=True) if value is not None}

"""Sequences that continue from window to window; used by `method`.

A video with one window has no known sequences. Then `Tracks` contains the result of the reduction, as in the paper.
"""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from vis_cli.engine.exclusive import make_exclusive
from vis_cli.engine.packed_probs import PackedProbs
from vis_cli.engine.reduce import contained_pairs, reduce_proposals
from vis_cli.engine.sequences import SequenceProposals
from vis_cli.records.rle import Rle, sequence_iou
from vis_cli.records.segmentations import Segmentations
from vis_cli.settings import SegmentSettings

Value = TypeVar("Value")


@dataclass(slots=True)
class MeanScores:
    """Class scores of a sequence: the mean over its windows, weighted by the number of masks."""

    num_windows: int
    weight: int  # number of masks in these windows
    total: NDArray[np.float64]  # (C+1,) weighted sum
    first: NDArray[np.float64]  # (C+1,) of the first window: the mean of one window is exact

    def mean(self) -> NDArray[np.float64]:
        """Return the class scores (C+1,)."""
        return self.first if self.num_windows == 1 else self.total / self.weight

    def add(self, other: MeanScores) -> None:
        """Add the scores of other windows."""
        self.num_windows += other.num_windows
        self.weight += other.weight
        self.total = self.total + other.total


@dataclass(frozen=True, slots=True)
class WindowEnd:
    """Ids of proposals at the end of a window."""

    continuing: frozenset[int]
    lost: frozenset[int]  # known before, without a mask. Those that the reduction removes are not lost


@dataclass(slots=True)
class Track:
    """One sequence of the video. It has the masks that can still change: at most two windows."""

    id: int
    number: int  # of all sequences, in the order of their start
    key_frame: int
    scores: MeanScores
    masks: dict[int, Rle] = field(default_factory=dict)  # by frame index, without frames in which it is absent
    probs: dict[int, PackedProbs] = field(default_factory=dict)  # of frames whose pixels are not yet shared
    num_finished: int = 0  # masks that `Tracks.finish` has returned
    is_given: bool = False  # the user gave the object, so it is certain

    def score(self) -> float:
        """Return the score of the best class (Propose-Reduce, Eq. 2)."""
        return float(self.scores.mean()[1:].max(initial=-1.0))

    def add(self, proposals: SequenceProposals, row: int, frames: range) -> None:
        """Add the masks of some frames."""
        self.masks |= _present(proposals.segmentations[row], frames)
        if proposals.probs:
            self.probs |= _present(proposals.probs[row], frames)

    def remove(self, frames: Iterable[int]) -> None:
        """Remove the masks of some frames."""
        for index in frames:
            self.masks.pop(index, None)
            self.probs.pop(index, None)


class Tracks:
    """All sequences of a video."""

    def __init__(self, config: SegmentSettings, *, reduces: bool, given: Set[int] = frozenset()) -> None:
        """Start without sequences.

        Args:
            config: Settings of the method.
            reduces: Remove duplicate sequences. False: all sequences are given.
            given: Ids of the sequences that the user gives. They keep their ids, and none of them is a duplicate.
        """
        self._config = config
        self._reduces = reduces
        self._given = given
        self._all: dict[int, Track] = {}  # by number
        self._recent: dict[int, Track] = {}  # with masks that can still change, by number
        self._num_started = 0
        self._num_detected = 0
        self._by_id: dict[int, Track] = {}  # by the id of its proposal. A rejoined sequence has several ids

    def add_window(self, proposals: SequenceProposals, frames: range, key_frames: Sequence[int]) -> WindowEnd:
        """Add the sequences of a window: the known ones that are still visible, and the new ones without duplicates.

        A known sequence without a mask in the window ends, except for a given one: its object can appear again. While
        the proposal of a given object has no mask, a detection can continue the object. That ends with its next mask.

        Args:
            proposals: All sequences of the window, with the ids of their proposals.
            frames: Indices of the frames of the window.
            key_frames: Indices of its key frames. Detections do not support a sequence that none of them shows.

        Returns:
            Ids of the proposals that continue, and of those whose object is lost.
        """
        known = self._without_replaced(
            proposals.select(row for row, id_ in enumerate(proposals.ids) if id_ in self._by_id)
        )
        given_ids = {id_ for id_ in known.ids if self._by_id[id_].is_given}
        all_known, known = known.ids, known.without_empty()
        lost = {id_ for id_ in all_known if id_ not in known.ids and id_ not in given_ids}
        new = proposals.select(row for row, id_ in enumerate(proposals.ids) if id_ not in self._by_id).without_empty()
        if self._reduces:
            given = new.select(row for row, id_ in enumerate(new.ids) if id_ in self._given)
            detected = new.select(row for row, id_ in enumerate(new.ids) if id_ not in self._given)
            known = self._without_duplicates(known, given)
            found = reduce_proposals(self._uncovered(detected, known.join(given)), self._config)
            if self._all:  # NMS keeps the best sequence of a video at any score, not that of each window
                found = found.select(np.flatnonzero(found.scores >= self._config.score_threshold).tolist())
            known = self._without_worse(known, found)
            new = given.join(self._uncontained(found, known.join(given)))
        for row, id_ in enumerate(known.ids):
            track = self._by_id[id_]
            track.add(known, row, frames)
            is_scored = self._config.score_source == "eq2" or _is_visible(known, row, frames, key_frames)
            if is_scored and not track.is_given:
                track.scores.add(_window_scores(known, row))
            self._recent[track.number] = track
        for row in range(len(new.ids)):
            self._start(new, row, frames)
        return WindowEnd(frozenset({*known.ids, *new.ids, *given_ids}), frozenset(lost))

    def add_earlier(self, proposals: SequenceProposals, frames: range, window: range) -> None:
        """Add the masks of new sequences in the previous window.

        If they cover a sequence that has been lost since, the new sequence continues it. If they cover a sequence that
        is still visible, only the masks of that sequence remain. A given sequence always keeps its masks and its id: a
        detected sequence that it covers has no mask in the previous window.

        Args:
            proposals: New sequences, with their masks in the previous window.
            frames: Indices of the frames of the previous window.
            window: Indices of the frames of the current window.
        """
        rivals = self._visible(frames)
        iou = sequence_iou(proposals.segmentations, [[track.masks.get(index) for index in frames] for track in rivals])
        for row, id_ in enumerate(proposals.ids):
            track = self._by_id[id_]
            best = int(iou[row].argmax()) if rivals else -1
            is_covered = best >= 0 and iou[row, best] >= self._config.sequence_nms_iou
            if is_covered and track.is_given:
                rivals[best].remove(() if rivals[best].is_given else frames)
            elif is_covered:
                if not any(index in rivals[best].masks for index in window):
                    self._merge(rivals[best], track, id_)
                continue
            track.add(proposals, row, frames)

    def share_pixels(self, frames: range) -> None:
        """Let the sequences compete for the pixels of a finished window (`exclusive`)."""
        if self._config.overlap != "exclusive":
            return
        visible = sorted(self._visible(frames), key=lambda track: -track.score())
        shared = make_exclusive(self._gather(visible, frames), confident_score=self._config.confident_score)
        for track, masks in zip(visible, shared.segmentations, strict=True):
            for index, mask in zip(frames, masks, strict=True):
                track.probs.pop(index, None)
                if mask is None:
                    track.masks.pop(index, None)
                else:
                    track.masks[index] = mask

    def finish(self, frames: range) -> list[tuple[Track, dict[int, Rle]]]:
        """Remove the masks of a window that no longer change, and return them with their sequences."""
        finished = []
        for track in self._visible(frames):
            finished.append((track, {index: track.masks.pop(index) for index in frames if index in track.masks}))
            track.probs = {index: probs for index, probs in track.probs.items() if index not in frames}
            track.num_finished += len(finished[-1][1])
        self._recent = {number: track for number, track in self._recent.items() if track.masks}
        return finished

    def result(self, masks: Mapping[int, Sequence[Rle | None]], num_frames: int) -> SequenceProposals:
        """Return all sequences over the complete video, without sequences that never had a mask.

        Args:
            masks: The finished masks by the id of the sequence, one mask or None per frame. A sequence without an entry
                has no mask.
            num_frames: Number of frames of the video.
        """
        tracks = [track for track in self._all.values() if track.num_finished]
        return SequenceProposals(
            ids=tuple(track.id for track in tracks),
            key_frames=tuple(track.key_frame for track in tracks),
            segmentations=tuple(masks.get(track.id, Segmentations(num_frames)) for track in tracks),
            class_scores=_stack([track.scores.mean() for track in tracks]),
        )

    def state_dict(self) -> dict[str, Any]:
        """Return all sequences as tensors and JSON values. `restore` reads them."""
        tracks = list(self._all.values())
        masks = [[number, frame, mask] for number, track in self._recent.items() for frame, mask in track.masks.items()]
        probs = [
            [number, frame, base64.b64encode(packed.data).decode(), list(packed.box), list(packed.size)]
            for number, track in self._recent.items()
            for frame, packed in track.probs.items()
        ]
        scalars = [
            [
                *(track.id, track.number, track.key_frame, track.num_finished, track.is_given),
                *(track.scores.num_windows, track.scores.weight),
            ]
            for track in tracks
        ]
        return {
            "scalars": scalars,
            "totals": torch.from_numpy(_stack([track.scores.total for track in tracks])),
            "firsts": torch.from_numpy(_stack([track.scores.first for track in tracks])),
            "recent": list(self._recent),
            "masks": masks,
            "probs": probs,
            "num_started": self._num_started,
            "num_detected": self._num_detected,
            "by_id": [[id_, track.number] for id_, track in self._by_id.items()],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue with the sequences of `state_dict`."""
        totals, firsts = (state[key].cpu().numpy() for key in ("totals", "firsts"))
        rows = zip(state["scalars"], totals, firsts, strict=True)
        for (id_, number, key_frame, num_finished, is_given, num_windows, weight), total, first in rows:
            scores = MeanScores(num_windows, weight, total, first)
            self._all[number] = Track(id_, number, key_frame, scores, num_finished=num_finished, is_given=is_given)
        for number, frame, mask in state["masks"]:
            self._all[number].masks[frame] = mask
        for number, frame, data, box, size in state["probs"]:
            packed = PackedProbs(base64.b64decode(data), tuple(box), tuple(size))
            self._all[number].probs[frame] = packed
        self._recent = {number: self._all[number] for number in state["recent"]}
        self._by_id = {id_: self._all[number] for id_, number in state["by_id"]}
        self._num_started, self._num_detected = state["num_started"], state["num_detected"]

    def _start(self, new: SequenceProposals, row: int, frames: range) -> None:
        """Start the sequence of a new proposal."""
        self._num_started += 1
        is_given = new.ids[row] in self._given
        self._num_detected += not is_given
        id_ = new.ids[row] if is_given else max(self._given, default=0) + self._num_detected
        scores = _window_scores(new, row)
        if is_given:
            scores = dataclasses.replace(scores, first=np.ones_like(scores.first))
        track = Track(id_, self._num_started, new.key_frames[row], scores, is_given=is_given)
        track.add(new, row, frames)
        self._all[track.number] = self._recent[track.number] = self._by_id[new.ids[row]] = track

    def _visible(self, frames: range) -> list[Track]:
        """Return the sequences with a mask in some frames that can still change, in the order of their start."""
        recent = (self._recent[number] for number in sorted(self._recent))
        return [track for track in recent if any(index in track.masks for index in frames)]

    def _without_replaced(self, known: SequenceProposals) -> SequenceProposals:
        """Return the known sequences without detections that continue a given object that has own masks again."""
        visible = {id_ for id_, masks in zip(known.ids, known.segmentations, strict=True) if any(masks)}
        tracks = [self._by_id[id_] for id_ in known.ids]
        return known.select(
            row
            for row, (id_, track) in enumerate(zip(known.ids, tracks, strict=True))
            if not track.is_given or id_ == track.id or track.id not in visible
        )

    def _without_duplicates(self, known: SequenceProposals, given: SequenceProposals) -> SequenceProposals:
        """Return the known sequences, except for duplicates of a better or given sequence in this window."""
        is_given = np.array([self._by_id[id_].is_given for id_ in known.ids], dtype=np.bool_)
        scores = np.array([self._by_id[id_].score() for id_ in known.ids])
        iou = sequence_iou(known.segmentations, known.segmentations)
        overlaps = sequence_iou(known.segmentations, given.segmentations)
        covered: NDArray[np.bool_] = np.any(overlaps >= self._config.sequence_nms_iou, axis=1)
        kept: list[int] = []
        for row in np.lexsort((-scores, ~is_given)).tolist():  # stable: given sequences, then the best ones
            is_duplicate = covered[row] or (iou[row, kept] >= self._config.sequence_nms_iou).any()
            if is_given[row] or not is_duplicate:
                kept.append(row)
        return known.select(sorted(kept))

    def _uncovered(self, new: SequenceProposals, known: SequenceProposals) -> SequenceProposals:
        """Return the new sequences that no known sequence covers (Propose-Reduce, Eq. 3 over the window)."""
        if not known.ids or not new.ids:
            return new
        covered = sequence_iou(new.segmentations, known.segmentations) >= self._config.sequence_nms_iou
        return new.select(np.flatnonzero(~covered.any(axis=1)).tolist())

    def _without_worse(self, known: SequenceProposals, new: SequenceProposals) -> SequenceProposals:
        """Return the known sequences, except for those that lie in a better new sequence, or contain it.

        Such a sequence has left its object: its mask has grown over others, or it is a part of one.
        """
        is_worse = (self._contained(new, known) & self._is_better(new, known)).any(axis=0)
        return known.select(np.flatnonzero(~is_worse).tolist())

    def _uncontained(self, new: SequenceProposals, known: SequenceProposals) -> SequenceProposals:
        """Return the new sequences, except for those that lie in a better known sequence, or contain it."""
        is_worse = (self._contained(new, known) & ~self._is_better(new, known)).any(axis=1)
        return new.select(np.flatnonzero(~is_worse).tolist())

    def _contained(self, new: SequenceProposals, known: SequenceProposals) -> NDArray[np.bool_]:
        """Return which new and known sequences (N, M) contain each other, by the setting `containment`."""
        num = len(new.ids)
        if self._config.containment >= 1.0 or not new.ids or not known.ids:
            return np.zeros((num, len(known.ids)), dtype=np.bool_)
        has_class = np.array([id_ not in self._given for id_ in known.ids]) | known.class_scores[:, 1:].any(axis=1)
        pairs = contained_pairs(new.join(known), self._config.containment)[:num, num:]
        return pairs & has_class

    def _is_better(self, new: SequenceProposals, known: SequenceProposals) -> NDArray[np.bool_]:
        """Return whether a new sequence has a higher score than a known one (N, M). Given objects are certain."""
        earlier = [track.score() if (track := self._by_id.get(id_)) else -1.0 for id_ in known.ids]
        scores = np.maximum(known.scores, np.array(earlier))
        scores[[id_ in self._given for id_ in known.ids]] = np.inf
        better: NDArray[np.bool_] = new.scores[:, None] > scores
        return better

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
        """Continue a sequence with a sequence that started in this window, which no longer exists."""
        earlier.masks |= later.masks
        earlier.probs |= later.probs
        if not earlier.is_given:
            earlier.scores.add(later.scores)
        del self._all[later.number], self._recent[later.number]
        self._by_id[id_] = self._recent[earlier.number] = earlier

    def _gather(self, tracks: Sequence[Track], frames: range) -> SequenceProposals:
        return SequenceProposals(
            ids=tuple(track.id for track in tracks),
            key_frames=tuple(track.key_frame for track in tracks),
            segmentations=tuple(tuple(map(track.masks.get, frames)) for track in tracks),
            class_scores=_stack([track.scores.mean() for track in tracks]),
            probs=tuple(tuple(map(track.probs.get, frames)) for track in tracks),
        )


def _window_scores(proposals: SequenceProposals, row: int) -> MeanScores:
    """Return the class scores of a sequence in one window, weighted by its masks."""
    scores = proposals.class_scores[row]
    num_masks = sum(mask is not None for mask in proposals.segmentations[row])
    return MeanScores(1, num_masks, scores * num_masks, scores)


def _stack(scores: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    return np.stack(scores) if scores else np.zeros((0, 1))


def _is_visible(proposals: SequenceProposals, row: int, frames: range, some: Sequence[int]) -> bool:
    """Return whether a sequence has a mask in one of some frames of the window."""
    return any(proposals.segmentations[row][index - frames.start] is not None for index in some if index in frames)


def _present(values: Iterable[Value | None], frames: range) -> dict[int, Value]:
    return {index: value for index, value in zip(frames, values, strict=True) if value is not None}

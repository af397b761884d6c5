"""The clip-match paradigm (Propose-Reduce, Fig. 1b): segment overlapping clips, and match their sequences by mask IoU.

Used by `windows.py`. The engine segments each clip with one key frame, in the middle of the clip, as MaskProp does
(Bertasius and Torresani, CVPR 2020). Sequences of neighbouring clips are matched on their common frames.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from baselines import BaselineSequences, VideoDetector, iter_frames
from numpy.typing import NDArray
from track_by_detect import assign, spread_masks

from vis_cli.engine.detected_masks import DetectedMasks
from vis_cli.engine.frames import FrameStore
from vis_cli.engine.method import Method, MethodState
from vis_cli.engine.sequences import SequenceProposals
from vis_cli.engine.tracks import MeanScores, Tracks
from vis_cli.engine.windows import Window
from vis_cli.records.rle import Rle, sequence_iou

if TYPE_CHECKING:
    from vis_cli.records.video import Video

CLIP_LENGTH = 13  # frames
CLIP_OVERLAP = 6  # frames that a clip has in common with the next clip


@dataclass(slots=True)
class ClipSequence:
    """One sequence of a clip, or of several matched clips."""

    key_frame: int
    scores: MeanScores
    masks: dict[int, Rle] = field(default_factory=dict)  # by frame index


@dataclass(frozen=True, slots=True)
class ClipSequences:
    """The sequences of one clip."""

    frames: range
    key_frame: int
    sequences: tuple[ClipSequence, ...]


class ClipMatcher:
    """Matches the sequences of each clip with the sequences of the previous clip.

    The sum of the IoU on the common frames is the maximum. In a common frame, a matched sequence has the mask of the
    clip with the nearer key frame. A sequence without a match starts a new one.
    """

    def __init__(self) -> None:
        self._all: list[ClipSequence] = []
        self._previous: ClipSequences | None = None
        self._continued: list[ClipSequence] = []  # for each sequence of the previous clip

    def add(self, clip: ClipSequences) -> None:
        """Add the next clip."""
        matched = {} if self._previous is None else match_clips(self._previous, clip)
        continued = []
        for row, sequence in enumerate(clip.sequences):
            if row in matched and self._previous is not None:
                known = self._continued[matched[row]]
                _continue(known, sequence, first=(self._previous.key_frame + clip.key_frame) // 2 + 1)
            else:
                known = ClipSequence(sequence.key_frame, sequence.scores, dict(sequence.masks))
                self._all.append(known)
            continued.append(known)
        self._previous, self._continued = clip, continued

    def proposals(self, num_frames: int, num_scores: int) -> SequenceProposals:
        """Return all sequences of a video with `num_frames` frames, with the scores of `num_scores` classes."""
        scores = [sequence.scores.mean() for sequence in self._all]
        return SequenceProposals(
            ids=tuple(range(len(self._all))),
            key_frames=tuple(sequence.key_frame for sequence in self._all),
            segmentations=tuple(spread_masks(sequence.masks, num_frames) for sequence in self._all),
            class_scores=np.array(scores).reshape(len(scores), num_scores),
        ).without_empty()


def clip_match(
    method: Method, video: Video, *, length: int = CLIP_LENGTH, overlap: int = CLIP_OVERLAP
) -> BaselineSequences:
    """Segment a video in overlapping clips.

    The setting `cuts` ends the clips at a cut. The paper does not detect cuts.

    Args:
        method: The method with its network. Its settings apply to each clip, except for the key frames.
        video: The video.
        length: Number of frames of a clip.
        overlap: Number of frames that a clip has in common with the next clip, from 1 to `length` - 1.
    """
    matcher, detector = ClipMatcher(), VideoDetector(method, video)
    num_clips = num_frames = 0
    for window in iter_clips(iter_frames(method, video), length, overlap):
        key_frame = middle(window.indices)
        matcher.add(segment_clip(method, video, window, detector.source(key_frame)))
        num_clips, num_frames = num_clips + 1, window.indices.stop
    return BaselineSequences(
        matcher.proposals(num_frames, method.network.config.num_classes + 1), num_frames, num_clips
    )


def iter_clips(frames: Iterable[Window], length: int, overlap: int) -> Iterator[Window]:
    """Join single frames to overlapping clips. The last clip of a shot can be shorter."""
    recent: list[NDArray[np.uint8]] = []
    first = num_new = 0  # of the clip: index of its first frame, number of frames without a clip
    for window in frames:
        index = window.indices.start
        if window.starts_shot:
            if num_new:
                yield _join(recent, first)
            recent, first, num_new = [], index, 0
        recent.append(window.frames[index])
        num_new += 1
        if len(recent) == length:
            yield _join(recent, first)
            recent, first, num_new = recent[length - overlap :], first + length - overlap, 0
    if num_new:
        yield _join(recent, first)


def middle(frames: range) -> int:
    """Return the key frame of a clip."""
    return frames[len(frames) // 2]


def segment_clip(method: Method, video: Video, window: Window, source: DetectedMasks) -> ClipSequences:
    """Propagate the objects of the key frame through a clip (Propose-Reduce, Alg. 1 with K = 1)."""
    state = MethodState(Tracks(method.config, reduces=True))
    (finished,) = method.iter_windows(video, [window], lambda _: source, state, lambda *_: None)
    sequences = (ClipSequence(track.key_frame, track.scores, masks) for track, masks in finished.sequences)
    return ClipSequences(window.indices, source.key_frames[0], tuple(sequences))


def match_clips(previous: ClipSequences, clip: ClipSequences) -> dict[int, int]:
    """Return the rows of sequences of the previous clip, by the rows of the matched sequences of this clip."""
    common = range(clip.frames.start, previous.frames.stop)
    before, after = (
        [tuple(map(sequence.masks.get, common)) for sequence in some.sequences] for some in (previous, clip)
    )
    return assign(sequence_iou(before, after))


def _continue(known: ClipSequence, sequence: ClipSequence, *, first: int) -> None:
    """Continue a sequence with the masks of the next clip from frame `first` on."""
    known.masks = {index: mask for index, mask in known.masks.items() if index < first}
    known.masks |= {index: mask for index, mask in sequence.masks.items() if index >= first}
    known.scores.add(sequence.scores)


def _join(frames: list[NDArray[np.uint8]], first: int) -> Window:
    """Return a clip as a window that is a complete shot."""
    store = FrameStore(frames[0].shape[:2], first=first, budget_bytes=sum(frame.nbytes for frame in frames))
    for frame in frames:
        store.append(frame)
    return Window(store, starts_shot=True, is_last=True)

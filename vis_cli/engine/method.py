"""Propose-Reduce, window by window, with one network and its settings; used by `segmenter`."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch

from vis_cli.engine.device import autocast
from vis_cli.engine.features import FeatureCache
from vis_cli.engine.frames import Size
from vis_cli.engine.lost import LostObjects
from vis_cli.engine.propose import Proposer, memory_rule
from vis_cli.engine.scoring import calibrate_scores
from vis_cli.engine.sequences import KeyFrameProposals, MaskSource, SequenceProposals, gather_proposals
from vis_cli.engine.tracks import Track, Tracks
from vis_cli.engine.windows import Window
from vis_cli.errors import VisError
from vis_cli.progress import Progress
from vis_cli.records.rle import Rle
from vis_cli.records.types import Shot
from vis_cli.settings import SUPPORT, SegmentSettings

if TYPE_CHECKING:
    from vis_cli.network.config import Calibration
    from vis_cli.network.protocol import VideoNetwork
    from vis_cli.records.video import Video


@dataclass(frozen=True, slots=True)
class Method:
    """Propose-Reduce for one video."""

    network: VideoNetwork
    config: SegmentSettings
    device: torch.device
    precision: torch.dtype
    feature_budget: int  # bytes of encoded frames
    reduces: bool  # False: all sequences are given
    given: frozenset[int] = frozenset()  # ids of the objects that the user gives
    library: str = "torch"  # that runs the static parts of the network

    def iter_windows(
        self,
        video: Video,
        windows: Iterable[Window],
        choose_source: Callable[[range], MaskSource],
        state: MethodState,
        progress: Progress,
    ) -> Iterator[FinishedMasks]:
        """Yield the masks of each window when the next window, which can still change them, is done.

        Args:
            video: The video.
            windows: All windows of the video in order. They are closed.
            choose_source: Returns the detected or given masks of a window.
            state: The new state of a video. It is consistent when a window is yielded.
            progress: Called for each frame.

        Raises:
            VisError: The memory of the GPU is too small.
        """
        try:
            for window in _skip(windows, state):
                finished = None if state.previous is None else (state.previous.indices, state.previous.starts_shot)
                with self._running(video):
                    self._add_window(video, window, choose_source(window.indices), state, progress)
                if finished is not None:
                    yield FinishedMasks(*finished, state.tracks.finish(finished[0]), state.num_live)
            if (last := state.previous) is not None:
                with torch.inference_mode():
                    state.tracks.share_pixels(last.indices)
                yield FinishedMasks(last.indices, last.starts_shot, state.tracks.finish(last.indices), 0, is_last=True)
        finally:
            if state.previous is not None:
                state.previous.frames.close()

    @contextmanager
    def _running(self, video: Video) -> Iterator[None]:
        """Run the network in the body."""
        try:
            with torch.inference_mode(), autocast(self.device, self.precision):
                yield
        except torch.cuda.OutOfMemoryError:
            raise VisError(
                f"the memory of {self.device} is too small",
                where=f"cannot segment {video.path}",
                hint="Use a smaller short_side, long_side, max_instances or feature_budget_mb, or the device cpu.",
            ) from None

    def _add_window(
        self, video: Video, window: Window, source: MaskSource, state: MethodState, progress: Progress
    ) -> None:
        """Propose and reduce the sequences of a window."""
        if window.starts_shot:
            state.live, state.lost = [], LostObjects()  # another scene: no memory of an earlier one is valid
            state.shot_starts.append(window.indices.start)
        earlier = None if window.starts_shot else state.previous
        continues = state.previous is not None or not window.is_last
        cache, size = self._make_cache(source, window, earlier), (video.height, video.width)
        proposer = Proposer(
            self.network,
            cache,
            source,
            self.config,
            frames=window.indices,
            rule=memory_rule(self.config, len(window.indices)),
            video=size,
            continues=continues,
        )
        known = [some.next_window(source.num_classes + 1) for some in state.live]
        new = proposer.propose(known, _of_video(progress, window, video) if continues else progress)
        proposals = gather_proposals([*known, *new], proposer.class_scores([*known, *new]), window.indices)
        end = state.tracks.add_window(self._calibrated(proposals), window.indices, source.key_frames)
        state.lose(known, end.lost)
        state.live = [*_keep(known, end.continuing), *_keep(new, end.continuing)]
        started = [some for some in new if some.ids]
        if earlier is not None:
            self._extend(proposer, started, earlier.indices, window.indices, state.tracks)
        for id_ in state.lost.ids:
            if state.tracks.is_visible(id_, window.indices):  # a new sequence continues it
                state.lost.remove(id_)
        self._find_again(started, cache, size, state)
        if state.previous is not None:
            state.tracks.share_pixels(state.previous.indices)
            state.previous.frames.close()
        state.previous = window
        state.num_windows += 1
        state.num_visible = state.num_live

    def _find_again(
        self, started: Sequence[KeyFrameProposals], cache: FeatureCache, video: Size, state: MethodState
    ) -> None:
        """Continue lost sequences whose memory finds the object of a new sequence in its key frame."""
        if not (state.lost and self.reduces):
            return
        for some in started:
            frame = cache.take(some.key_frame)
            for id_ in some.ids:
                mask = state.tracks.first_mask(id_, some.key_frame)
                if mask is None or id_ in self.given:
                    continue
                found = state.lost.find(self.network, frame, mask, video, self.config.mask_threshold)
                if found is not None:
                    state.tracks.join(found, id_)
                    state.lost.remove(found)

    def _extend(
        self, proposer: Proposer, new: Sequence[KeyFrameProposals], frames: range, window: range, tracks: Tracks
    ) -> None:
        """Propagate the new sequences that are visible at the start of the window through the previous window."""
        started = [some for some in new if any(window.start in masks for masks in some.masks)]
        if not started:
            return
        proposer.extend(started, frames)
        earlier = gather_proposals(started, proposer.class_scores(started), frames)
        visible = [window.start in masks for some in started for masks in some.masks]
        tracks.add_earlier(earlier.select(row for row, is_visible in enumerate(visible) if is_visible), frames, window)

    def _make_cache(self, source: MaskSource, window: Window, previous: Window | None) -> FeatureCache:
        return FeatureCache(
            self.network,
            [window.frames] if previous is None else [previous.frames, window.frames],
            device=self.device,
            budget_bytes=self.feature_budget,
            reused_before=max(source.key_frames, default=0),
            key_frames=source.key_frames,
            classifies_frames=source.classifies_frames,
            padded=self.config.mask_canvas == "network",
        )

    @property
    def calibration(self) -> Calibration | None:
        """Return the calibration of the scores. None: the settings or the model have none."""
        fitted_to = SegmentSettings().score_source if self.network.classifies_boxes else SUPPORT
        is_fitted = self.config.calibrate and self.config.score_source == fitted_to and self.reduces
        return self.network.config.calibration if is_fitted else None

    def _calibrated(self, proposals: SequenceProposals) -> SequenceProposals:
        return dataclasses.replace(proposals, class_scores=calibrate_scores(proposals.class_scores, self.calibration))


@dataclass(slots=True)
class MethodState:
    """Everything that continues from window to window."""

    tracks: Tracks
    live: list[KeyFrameProposals] = field(default_factory=list)  # that continue in the next window
    lost: LostObjects = field(default_factory=LostObjects)
    previous: Window | None = None
    shot_starts: list[int] = field(default_factory=list)
    num_windows: int = 0  # that are done
    num_visible: int = 0  # sequences at the end of the last window
    skipped: range | None = None  # frames of the last window that an interrupted run has done

    @property
    def num_live(self) -> int:
        """Return the number of sequences that continue in the next window."""
        return sum(len(some.ids) for some in self.live)

    @property
    def shots(self) -> tuple[Shot, ...]:
        """Return the shots of the processed windows."""
        num_frames = 0 if self.previous is None else self.previous.indices.stop
        ends = [*self.shot_starts[1:], num_frames]
        return tuple((start, end - 1) for start, end in zip(self.shot_starts, ends, strict=False))

    def lose(self, proposals: Sequence[KeyFrameProposals], ids: Set[int]) -> None:
        """Keep the memory of sequences whose object is no longer visible."""
        for some in proposals:
            for row, id_ in enumerate(some.ids):
                if id_ in ids:
                    self.lost.add(id_, some.propagation.bank.pick(row))


@dataclass(frozen=True, slots=True)
class FinishedMasks:
    """Masks of a window that no longer change."""

    frames: range
    starts_shot: bool
    sequences: list[tuple[Track, dict[int, Rle]]]  # sequences with masks in this window, by frame index
    num_live: int  # sequences that continue in the next window
    is_last: bool = False


def _skip(windows: Iterable[Window], state: MethodState) -> Iterator[Window]:
    """Omit the windows that an interrupted run has done. The last one becomes the previous window.

    Raises:
        VisError: The windows have other frames than before.
    """
    num_done, number = state.num_windows, 0
    for number, window in enumerate(windows, start=1):
        if number < num_done:
            window.frames.close()
        elif number > num_done:
            yield window
        else:
            state.previous = window
            _require_same(window.indices == state.skipped)
    _require_same(number >= num_done)


def _require_same(is_same: bool) -> None:
    if not is_same:
        raise VisError("cannot resume: the video has other windows than before", hint="Use --overwrite to start again.")


def _of_video(progress: Progress, window: Window, video: Video) -> Progress:
    """Return the progress of a window as the progress of the video. Only the forward pass counts."""

    def report(stage: str, done: int, total: int) -> None:
        if stage == "forward":
            progress(stage, window.indices.start + done, video.num_frames or 0)

    return report


def _keep(proposals: Sequence[KeyFrameProposals], ids: Set[int]) -> list[KeyFrameProposals]:
    """Keep the sequences with these ids. Return the key frames that still have one."""
    for some in proposals:
        some.keep([row for row, id_ in enumerate(some.ids) if id_ in ids])
    return [some for some in proposals if some.ids]

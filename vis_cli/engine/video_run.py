"""Segmentation of one video, window by window; made by `segmenter`."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import torch

from vis_cli.engine.finished import FinishedSequence, FinishedWindow
from vis_cli.engine.frames import Size
from vis_cli.engine.instances import GIVEN_SCORE, make_given_instances, make_instances, resize_masks
from vis_cli.engine.method import FinishedMasks, Method, MethodState
from vis_cli.engine.saved_state import load_state, save_state
from vis_cli.engine.sequences import MaskSource, ProposalIds
from vis_cli.engine.tracks import Track, Tracks
from vis_cli.engine.windows import Window
from vis_cli.progress import Progress
from vis_cli.records.rle import Rle
from vis_cli.records.segmentations import Segmentations, segmentations_of
from vis_cli.records.types import Category, ModelInfo, VideoInfo, VideoResult

if TYPE_CHECKING:
    from vis_cli.records.video import Video


class VideoRun:
    """One video that is segmented. Iterate over its windows, then ask for the result."""

    def __init__(
        self,
        video: Video,
        method: Method,
        windows: Iterable[Window],
        choose_source: Callable[[range], MaskSource],
        *,
        model: ModelInfo,
        input_size: Size,
        ids: ProposalIds,
        progress: Progress,
        labels: dict[int, int] | None = None,
        excluded: Mapping[str, int] | None = None,
    ) -> None:
        """Prepare the run. Nothing is decoded before the first window is asked for.

        Args:
            video: An opened video.
            method: The method with its network.
            windows: All windows of the video in order.
            choose_source: Returns the detected or given masks of a window.
            model: Name and hash of the model.
            input_size: (h, w) of the network input.
            ids: Ids of the detected objects of all windows.
            progress: Called for each frame.
            labels: Label of each given object with a known class. It can change until the last window. None: given
                objects have no class.
            excluded: See the attribute. The network changes it until the last window.
        """
        # Largest number of detections in a key frame, by the name of each category that `only` excludes.
        self.excluded: Mapping[str, int] = {} if excluded is None else excluded
        self._labels = labels
        self._video = video
        self._method = method
        self._windows = windows
        self._choose_source = choose_source
        self._model = model
        self._input_size = input_size
        self._ids = ids
        self._progress = progress
        self._state = MethodState(Tracks(method.config, reduces=method.reduces, given=method.given))

    def iter_windows(self) -> Iterator[FinishedWindow]:
        """Yield each window when its masks are final: one window after its frames were decoded.

        Memory does not grow with the length of the video, except for a few numbers per object.
        """
        finished = self._method.iter_windows(
            self._video, self._windows, self._choose_source, self._state, self._progress
        )
        for masks in finished:
            yield self._describe(masks)

    def result(self, masks: Mapping[int, Segmentations] | None = None) -> VideoResult:
        """Return the result after the last window.

        Args:
            masks: The masks of all windows by the id of the object. None: without masks.
        """
        shots = self._state.shots
        num_frames = shots[-1][1] + 1
        sequences = self._state.tracks.result(masks or {}, num_frames)
        video, config = self._video, self._method.config
        is_given = [id_ in self._method.given for id_ in sequences.ids]
        given = sequences.select(row for row, known in enumerate(is_given) if known)
        category_ids = {id_: category for id_ in given.ids if (category := self._given_category(id_)) is not None}
        detected = make_instances(
            sequences.select(row for row, known in enumerate(is_given) if not known),
            self.categories,
            reported_score=config.score_threshold,
            confident_score=config.confident_score,
        )
        return VideoResult(
            video=VideoInfo(video.name, video.path, video.width, video.height, video.fps, num_frames, part=video.part),
            model=self._model,
            config=dataclasses.asdict(config),
            categories=self.categories,
            instances=(*make_given_instances(given, category_ids), *detected),
            shots=shots,
        )

    @property
    def num_windows(self) -> int:
        """Return the number of windows that are done."""
        return self._state.num_windows

    @property
    def num_visible(self) -> int:
        """Return the number of objects at the end of the last window."""
        return self._state.num_visible

    @property
    def numerics(self) -> str:
        """Return what influences the rounding of the masks: versions of torch and OpenVINO, device and type."""
        method = self._method
        return f"torch {torch.__version__}, {method.library}, {method.device}, {method.precision}"

    def save(self) -> bytes:
        """Return the state after the window that was yielded last, except for the last window of the video."""
        return save_state(self._state, self._ids, self._labels or {})

    def restore(self, data: bytes) -> None:
        """Continue after the windows that an interrupted run of the same video, model and settings has done.

        Call it before the first window is asked for. The windows are decoded, but the network does not run, and
        `iter_windows` does not yield them again.

        Args:
            data: The bytes that `save` returned.
        """
        labels = {} if self._labels is None else self._labels
        load_state(data, self._state, self._ids, labels, self._method.device)

    @property
    def categories(self) -> tuple[Category, ...]:
        """Return the categories of the labels 1..C. Given masks have none."""
        has_classes = self._method.reduces or self._labels is not None
        return self._method.network.config.categories if has_classes else ()

    def _given_category(self, id_: int) -> int | None:
        """Return the category of a given object, None if it is not known."""
        label = None if self._labels is None else self._labels.get(id_)
        return None if label is None else self.categories[label - 1].id

    def _describe(self, finished: FinishedMasks) -> FinishedWindow:
        sequences = (self._describe_sequence(track, masks) for track, masks in finished.sequences)
        return FinishedWindow(
            frames=finished.frames,
            starts_shot=finished.starts_shot,
            is_last=finished.is_last,
            sequences=tuple(some for some in sequences if some.masks),
            num_live=finished.num_live,
        )

    def _describe_sequence(self, track: Track, masks: Mapping[int, Rle]) -> FinishedSequence:
        if self._method.config.mask_canvas == "network":
            masks = resize_masks(masks, self._input_size, (self._video.height, self._video.width))
        if track.is_given:
            return FinishedSequence(track.id, self._given_category(track.id), GIVEN_SCORE, masks)
        scores = track.scores.mean()[1:]
        best = int(scores.argmax())
        return FinishedSequence(track.id, self.categories[best].id, float(scores[best]), masks)


def collect_masks(windows: Iterable[FinishedWindow]) -> dict[int, Segmentations]:
    """Return the masks of all windows in memory, by the id of the object."""
    masks: dict[int, dict[int, Rle]] = {}
    num_frames = 0
    for window in windows:
        num_frames = window.frames.stop
        for sequence in window.sequences:
            masks.setdefault(sequence.id, {}).update(sequence.masks)
    return {id_: _join(some, num_frames) for id_, some in masks.items()}


def _join(masks: Mapping[int, Rle], num_frames: int) -> Segmentations:
    frames: Sequence[int] = range(min(masks), max(masks) + 1)
    return segmentations_of(map(masks.get, frames), num_frames=num_frames, first=frames[0])

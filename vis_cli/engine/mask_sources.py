"""Sources of masks of a video: detections, objects that the user gives, or both; used by `segmenter`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from vis_cli.engine.detected_masks import DetectedMasks
from vis_cli.engine.given_and_detected import GivenAndDetected
from vis_cli.engine.given_objects import GivenObjects
from vis_cli.engine.key_frame_reader import KeyFrameReader, KeyFrames, KeyFrameSizes
from vis_cli.engine.key_frames import select_among
from vis_cli.engine.method import Method
from vis_cli.engine.sequences import MaskSource
from vis_cli.records.detections import VideoDetections

if TYPE_CHECKING:
    from vis_cli.records.video import Video


def choose_source(
    method: Method, video: Video, detections: VideoDetections | None, given: GivenObjects | None, ids: Iterator[int]
) -> Callable[[range], MaskSource]:
    """Return a function that returns the source of masks of a window.

    Args:
        method: The method, with the network that detects.
        video: The video.
        detections: Detections of another program. None: the network detects.
        given: Objects that the user gives. Objects are detected, too, if the method reduces sequences.
        ids: Ids of detected objects.
    """
    if given is None or method.reduces:
        return DetectionSource(method, video, detections, ids, given=given)
    return lambda frames: given


class DetectionSource:
    """Detections in the key frames of each window (Propose-Reduce, Eq. 1)."""

    def __init__(
        self,
        method: Method,
        video: Video,
        detections: VideoDetections | None,
        ids: Iterator[int],
        *,
        given: GivenObjects | None = None,
    ) -> None:
        """Choose the reader of the key frames.

        Args:
            method: Its network detects.
            video: The video.
            detections: Detections of another program. None: the network detects.
            ids: Ids of detected objects.
            given: Objects that the user gives, in addition to detections.
        """
        self._method = method
        self._detections = detections
        self._reader = key_frame_reader(method, video, detections)
        self._given = given
        self._ids = ids

    def __call__(self, frames: range) -> MaskSource:
        """Return the detections of a window, with the objects that the user gives."""
        key_frames, method = self._key_frames(frames), self._method
        detected = DetectedMasks(method.network, key_frames, method.config, self._reader, ids=self._ids)
        if self._given is None:
            return detected
        threshold = method.config.mask_threshold
        return GivenAndDetected(self._given, detected, method.network, mask_threshold=threshold)

    def _key_frames(self, frames: range) -> tuple[int, ...]:
        config = self._method.config
        candidates: Sequence[int] = frames
        if self._detections is not None:
            likely = self._detections.likely_frames(config.detection_score_threshold)
            candidates = [index for index in likely if index in frames]
        selected = select_among(candidates, config.num_key_frames, config.key_frame_spacing) if candidates else ()
        if self._given is None:
            return selected
        return tuple(sorted({*selected, *(index for index in self._given.key_frames if index in frames)}))


def key_frame_reader(method: Method, video: Video, detections: VideoDetections | None) -> KeyFrames | None:
    """Return the reader of key frames that the detector needs. None: it reads the network input or its features."""
    if detections is not None:
        return KeyFrameSizes(video)
    return KeyFrameReader(video) if method.network.reads_video else None

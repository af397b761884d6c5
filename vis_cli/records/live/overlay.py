"""Overlay of a live video, window by window, in a file that plays while it is written. Used by `commands.live`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from vis_cli.records.live.lines import MaskedSequence
from vis_cli.records.live.video import LiveFrame, LiveVideo
from vis_cli.records.overlay import OverlayPainter
from vis_cli.records.segmentations import segmentations_of
from vis_cli.records.shown_instances import describe_selection, shown_instances
from vis_cli.records.types import Category, InstanceSequence, ModelInfo, VideoInfo, VideoResult
from vis_cli.records.video_writer import FragmentWriter

NO_MODEL = ModelInfo("", "")  # an overlay does not show the model


class LiveOverlay:
    """The overlay file of a live video. Use it as a context manager."""

    def __init__(
        self,
        path: Path,
        video: LiveVideo,
        *,
        categories: Sequence[Category],
        confident_score: float,
        min_score: float | None,
    ) -> None:
        """Create the file.

        Args:
            path: The file to write.
            video: The live video.
            categories: Categories of the objects.
            confident_score: Minimum score of a confident instance.
            min_score: Minimum score of an instance to draw. None: confident instances.

        Raises:
            VisError: The file cannot be written.
        """
        self._writer = FragmentWriter(path, video, comment=describe_selection(min_score))
        self._video = video
        self._categories = tuple(categories)
        self._confident_score, self._min_score = confident_score, min_score
        self._painter: OverlayPainter | None = None

    def __enter__(self) -> LiveOverlay:
        """Return the overlay."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: object) -> None:
        """Complete the file."""
        self._writer.__exit__(kind, error, trace)

    def write(self, indices: range, frames: Iterable[LiveFrame], sequences: Iterable[MaskedSequence]) -> None:
        """Draw the frames of a finished window.

        Args:
            indices: Frame indices of the window.
            frames: Its frames, with images.
            sequences: The objects that they show.

        Raises:
            VisError: The file cannot be written.
        """
        instances = tuple(self._instance(some, indices) for some in sequences)
        video = self._video
        info = VideoInfo(video.name, video.path, video.width, video.height, video.fps, len(indices))
        result = VideoResult(info, NO_MODEL, {}, self._categories, instances)
        self._painter = OverlayPainter(result, shown_instances(instances, self._min_score), previous=self._painter)
        for position, frame in enumerate(frames):
            self._writer.write(self._painter.draw(frame.image(), position), frame.timestamp)

    def _instance(self, sequence: MaskedSequence, indices: range) -> InstanceSequence:
        return InstanceSequence(
            id=sequence.id,
            category_id=sequence.category_id,
            score=sequence.score,
            category_scores={},
            key_frame=0,
            segmentations=segmentations_of(map(sequence.masks.get, indices)),
            confident=sequence.score >= self._confident_score,
        )

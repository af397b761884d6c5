"""Annotated objects from the file of another tool, the protocol of a reader, and their result.

Used by the readers of this package and by `commands.import_`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from vis_cli.errors import VisError
from vis_cli.files.hashing import sha256_of
from vis_cli.messages import Messages
from vis_cli.records.rle import Rle, rle_areas
from vis_cli.records.segmentations import Segmentations, segmentations_of
from vis_cli.records.types import Category, InstanceSequence, ModelInfo, VideoInfo, VideoResult


@dataclass(frozen=True, slots=True)
class AnnotatedObject:
    """One object of a file."""

    id: int
    category: str
    masks: Mapping[int, Rle]  # by frame index; all have the size of the video


class Importer(Protocol):
    """Reader of one format."""

    def __call__(self, path: Path, video: VideoInfo, messages: Messages) -> Sequence[AnnotatedObject]:
        """Return the objects of a file in the frames of a video. Warn about parts that are omitted.

        Raises:
            VisError: The file is damaged, has another format, or does not fit the video.
        """


def make_annotated_result(
    objects: Sequence[AnnotatedObject], video: VideoInfo, path: Path, file_format: str
) -> VideoResult:
    """Return the result of annotations: each score is 1, and the model names the file.

    Categories are numbered from 1 in the order of their first use. Objects without a pixel are omitted.

    Args:
        objects: The objects. Their ids are unique.
        video: The video.
        path: The file of the annotations.
        file_format: Its format.
    """
    shown = [item for item in objects if rle_areas(list(item.masks.values())).any()]
    numbers = {name: i for i, name in enumerate(dict.fromkeys(item.category for item in shown), start=1)}
    instances = tuple(
        InstanceSequence(
            id=item.id,
            category_id=numbers[item.category],
            score=1.0,
            category_scores={numbers[item.category]: 1.0},
            key_frame=min(item.masks),
            segmentations=_segmentations(item.masks, video.num_frames),
        )
        for item in shown
    )
    return VideoResult(
        video=video,
        model=ModelInfo(f"{file_format} annotations", sha256_of(path)),
        config={},
        categories=tuple(Category(number, name) for name, number in numbers.items()),
        instances=instances,
    )


def _segmentations(masks: Mapping[int, Rle], num_frames: int) -> Segmentations:
    span = range(min(masks), max(masks) + 1)
    return segmentations_of(map(masks.get, span), num_frames=num_frames, first=span.start)


def require_frame(frame: int, video: VideoInfo, where: str) -> int:
    """Return a frame index of the video.

    Raises:
        VisError: The video has no such frame.
    """
    if not 0 <= frame < video.num_frames:
        problem = f"frame {frame} does not exist, the video has {video.num_frames} frames"
        raise VisError(problem, where=where, hint="Pass the annotated video with --video.")
    return frame

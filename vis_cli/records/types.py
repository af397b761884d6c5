"""The facts that outlive a run: what a video is and what was found in it; read and written by `result_json`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from vis_cli.records.rle import Rle, decode_rle


@dataclass(frozen=True, slots=True)
class SourceIdentity:
    """The file or folder that a video was read from; `size` and `fingerprint` identify its content."""

    path: Path  # absolute
    kind: Literal["file", "folder"]
    size: int  # bytes; of a folder: of its images
    fingerprint: str
    stream: int | None = None  # index of the video stream that the user chose


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """Describe a video as a person sees it: rotation applied, `num_frames` frames that decode."""

    name: str
    path: Path  # as the user gave it
    width: int
    height: int
    fps: float
    num_frames: int
    source: SourceIdentity | None = None  # None: a result of schema 1, or frames that come from no file
    frame_names: tuple[str, ...] | None = None  # file names of a folder of images; None for a video file
    timestamps: tuple[float, ...] | None = None  # seconds, one per frame


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """Name the model that made a result; `sha256` is its weights file's."""

    name: str
    sha256: str
    parts: tuple[ModelInfo, ...] = ()  # detector and propagator of a composed model


@dataclass(frozen=True, slots=True)
class Category:
    """A class of objects; `id` is the dataset's category_id, not the network's label."""

    id: int
    name: str


@dataclass(frozen=True, slots=True)
class InstanceSequence:
    """One object through a whole video: a mask or None for each frame, and how sure the model is of its class."""

    id: int
    category_id: int
    score: float
    category_scores: dict[int, float]  # category_id -> score, for every category worth reporting
    key_frame: int  # the frame this sequence was propagated from
    segmentations: tuple[Rle | None, ...]  # one a frame; None where the object is absent

    def mask(self, frame: int) -> NDArray[np.bool_] | None:
        """Decode the (H, W) mask of `frame`, or None where the object is absent."""
        segmentation = self.segmentations[frame]
        return None if segmentation is None else decode_rle(segmentation)


@dataclass(frozen=True, slots=True)
class VideoResult:
    """Everything `vis segment` found in one video; N = 0 instances is a normal result."""

    video: VideoInfo
    model: ModelInfo
    config: dict[str, Any]  # SegmentSettings's fields, as JSON
    categories: tuple[Category, ...]
    instances: tuple[InstanceSequence, ...]
    given_masks: str | None = None  # hash of the label maps that were given instead of detections

    def __post_init__(self) -> None:
        """Check that every instance has one entry a frame and a known category."""
        known = {category.id for category in self.categories}
        for instance in self.instances:
            if len(instance.segmentations) != self.video.num_frames:
                raise ValueError(
                    f"instance {instance.id} has {len(instance.segmentations)} frames, video {self.video.num_frames}"
                )
            if instance.category_id not in known:
                raise ValueError(f"instance {instance.id} has unknown category {instance.category_id}")

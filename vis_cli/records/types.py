"""Description of a video and of the instances that `vis segment` finds in it. `result_json` reads and writes both."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from vis_cli.records.part import VideoPart
from vis_cli.records.rle import Rle, decode_rle, rle_areas, rle_boxes
from vis_cli.records.segmentations import Segmentations, segmentations_of

if TYPE_CHECKING:
    import pandas
    import supervision

Shot: TypeAlias = tuple[int, int]  # indices of the first and the last frame


@dataclass(frozen=True, slots=True)
class SourceIdentity:
    """File or folder of a video. `size` and `fingerprint` identify its content."""

    path: Path  # absolute
    kind: Literal["file", "folder"]
    size: int  # bytes of the file, or of all images of the folder
    fingerprint: str
    stream: int | None = None  # index of the video stream that the user chose


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """Properties of a video as it is displayed, after rotation."""

    name: str
    path: Path  # as given by the user
    width: int
    height: int
    fps: float
    num_frames: int  # frames of the video that can be decoded, or of its part
    source: SourceIdentity | None = None  # None for a result of schema 1, and for frames that are not from a file
    frame_names: tuple[str, ...] | None = None  # file names in a folder of images; None for a video file
    timestamps: tuple[float, ...] | None = None  # seconds in the complete video, one per frame
    part: VideoPart | None = None  # None: the complete video

    @property
    def frame_numbers(self) -> range:
        """Return the number of each frame in the complete video, counted from 0."""
        return range(self.num_frames) if self.part is None else self.part.frames

    def time(self, frame: int) -> float | None:
        """Return the timestamp of the frame with index `frame` in seconds. None: the result stores no frame rate."""
        if self.timestamps is not None:
            return self.timestamps[frame]
        return self.frame_numbers[frame] / self.fps if self.fps > 0 else None


@dataclass(frozen=True, slots=True)
class KeyFrame:
    """A key frame at the size of the video, for a detector that does not read the features of the network."""

    index: int  # of the frame in the video
    pixels: NDArray[np.uint8]  # (H, W, 3) RGB


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """Model that produced a result."""

    name: str
    sha256: str  # of the weights file
    parts: tuple[ModelInfo, ...] = ()  # detector and propagator of a composed model


@dataclass(frozen=True, slots=True)
class Category:
    """A category of a dataset. `id` is the dataset's category_id, not the label of the network."""

    id: int
    name: str


@dataclass(frozen=True, slots=True)
class InstanceSequence:
    """One object of a video: its masks in all frames, and the scores of its categories."""

    id: int
    category_id: int | None  # None: an object that the user gave without a name
    score: float  # of `category_id`, from 0 to 1
    category_scores: dict[int, float]  # category_id -> score from 0 to 1, for the categories that are reported
    key_frame: int  # index of the frame from which the masks were propagated
    segmentations: Sequence[Rle | None]  # one per frame; None if the object is absent
    confident: bool = True  # false: the score is below the limit of confident instances

    def __post_init__(self) -> None:
        """Store the masks without the frames before the first mask and after the last mask."""
        if not isinstance(self.segmentations, Segmentations):
            object.__setattr__(self, "segmentations", segmentations_of(self.segmentations))

    @property
    def span(self) -> Segmentations:
        """Return `segmentations` with the type that also has the first and the last frame, and only their masks."""
        return cast("Segmentations", self.segmentations)

    @property
    def first_frame(self) -> int | None:
        """Return the index of the first frame that shows the object. None: no frame shows it."""
        return self.span.first_frame

    @property
    def last_frame(self) -> int | None:
        """Return the index of the last frame that shows the object. None: no frame shows it."""
        return self.span.last_frame

    def mask(self, frame: int) -> NDArray[np.bool_] | None:
        """Return the (H, W) mask of the frame with index `frame`, or None if the object is absent."""
        segmentation = self.segmentations[frame]
        return None if segmentation is None else decode_rle(segmentation)

    @property
    def areas(self) -> NDArray[np.int64]:
        """Return the number of pixels of the mask in each frame, int64 (T,). It is 0 if the object is absent.

        The areas are computed at each access.

        >>> cat = VideoResult.load("holiday.json").instances[0]
        >>> cat.areas
        array([6, 0, 4])
        """
        return rle_areas(self.segmentations)

    @property
    def boxes(self) -> NDArray[np.int64]:
        """Return the bounding box of the mask in each frame, int64 (T, 4): left, top, right and bottom side in pixels.

        Right and bottom are exclusive, so that right minus left is the width. The box is 0, 0, 0, 0 if the object is
        absent. The boxes are computed at each access.

        >>> cat = VideoResult.load("holiday.json").instances[0]
        >>> cat.boxes
        array([[0, 1, 3, 3],
               [0, 0, 0, 0],
               [2, 1, 4, 3]])
        """
        boxes = np.zeros((len(self.segmentations), 4), np.int64)
        present = [frame for frame, mask in enumerate(self.segmentations) if mask is not None]
        found = rle_boxes([mask for mask in self.segmentations if mask is not None])
        found[:, 2:] += found[:, :2]
        boxes[present] = found
        return boxes


@dataclass(frozen=True, slots=True)
class ResultFrame:
    """One frame of a result."""

    index: int  # in the result, from 0
    number: int  # in the complete video; differs from `index` if the result covers a part
    time: float | None  # timestamp in the complete video in seconds; None: the result stores no frame rate
    instances: tuple[InstanceSequence, ...]  # that have a pixel in this frame


@dataclass(frozen=True, slots=True)
class VideoResult:
    """Result of `vis segment` for one video. It can have 0 instances."""

    video: VideoInfo
    model: ModelInfo
    config: dict[str, Any]  # the fields of SegmentSettings, as JSON
    categories: tuple[Category, ...]
    instances: tuple[InstanceSequence, ...]
    given_masks: str | None = None  # hash of the label maps that the user gave instead of detections
    given_names: str | None = None  # hash of the names that the user gave to these objects
    given_detections: str | None = None  # hash of the detections of another program
    given_prompts: str | None = None  # --only and other prompts of the user, as options
    shots: tuple[Shot, ...] = ()  # in order; () becomes one shot, the complete video

    def __post_init__(self) -> None:
        """Check that each instance has one entry per frame, and a category of the result or none."""
        if not self.shots and self.video.num_frames:
            object.__setattr__(self, "shots", ((0, self.video.num_frames - 1),))
        known = {category.id for category in self.categories}
        for instance in self.instances:
            if len(instance.segmentations) != self.video.num_frames:
                raise ValueError(
                    f"instance {instance.id} has {len(instance.segmentations)} frames, video {self.video.num_frames}"
                )
            if instance.category_id is not None and instance.category_id not in known:
                raise ValueError(f"instance {instance.id} has unknown category {instance.category_id}")

    @classmethod
    def load(cls, path: str | Path) -> VideoResult:
        """Read a result that `save` or `vis segment` wrote.

        >>> result = VideoResult.load("holiday.json")
        >>> [instance.id for instance in result.instances]
        [1, 4]

        Raises:
            VisError: The file is missing, damaged or inconsistent, or has an unknown schema.
        """
        from vis_cli.records import result_methods

        return result_methods.load(path)

    def save(self, path: str | Path) -> None:
        """Write the result as NAME.json, which `load` and the commands read. An existing file is replaced.

        >>> VideoResult.load("holiday.json").save("copy.json")
        >>> VideoResult.load("copy.json") == VideoResult.load("holiday.json")
        True

        Raises:
            VisError: The file cannot be written.
        """
        from vis_cli.records import result_methods

        result_methods.save(self, path)

    def frames(self) -> Iterator[ResultFrame]:
        """Yield each frame with the instances that it shows.

        >>> for frame in VideoResult.load("holiday.json").frames():
        ...     print(frame.index, frame.time, [instance.id for instance in frame.instances])
        0 0.0 [1]
        1 0.5 [4]
        2 1.0 [1, 4]
        """
        visible = [instance.areas > 0 for instance in self.instances]
        for index, number in enumerate(self.video.frame_numbers):
            shown = (instance for instance, frames in zip(self.instances, visible, strict=True) if frames[index])
            yield ResultFrame(index, number, self.video.time(index), tuple(shown))

    def masks(self, frame: int) -> NDArray[np.bool_]:
        """Return the masks of all instances in the frame with index `frame`, bool (n, H, W).

        Mask k belongs to `instances[k]`. It is False everywhere if the object is absent.

        >>> result = VideoResult.load("holiday.json")
        >>> result.masks(1).shape
        (2, 4, 6)
        >>> result.masks(1).any(axis=(1, 2))
        array([False,  True])

        Raises:
            IndexError: The result has no such frame.
        """
        self._require_frame(frame)
        masks = np.zeros((len(self.instances), self.video.height, self.video.width), np.bool_)
        for row, instance in zip(masks, self.instances, strict=True):
            mask = instance.mask(frame)
            if mask is not None:
                row[:] = mask
        return masks

    def detections(self, frame: int) -> supervision.Detections:
        """Return the visible instances of the frame with index `frame` as `supervision.Detections`.

        They have `xyxy`, `mask`, `confidence` (the score), `class_id` (the category_id, -1 without a category),
        `tracker_id` (the id) and `data["class_name"]`.

        >>> VideoResult.load("holiday.json").detections(2).tracker_id
        array([1, 4])

        Raises:
            IndexError: The result has no such frame.
            VisError: The package supervision is missing.
        """
        from vis_cli.records import result_methods

        return result_methods.detections(self, frame)

    def to_pandas(self) -> pandas.DataFrame:
        """Return one row per instance and frame, with the columns of `vis export --to csv`.

        docs/reference/tables.md describes the columns. Box, area and centre are NaN if the object is absent. Frames are
        numbers in the complete video.

        >>> table = VideoResult.load("holiday.json").to_pandas()
        >>> table.groupby("instance")["area"].max().to_dict()
        {1: 6.0, 4: 2.0}

        Raises:
            VisError: The package pandas is missing.
        """
        from vis_cli.records import result_methods

        return result_methods.to_pandas(self)

    def _require_frame(self, frame: int) -> None:
        """Check the index of a frame. A negative index counts from the end.

        Raises:
            IndexError: The result has no such frame.
        """
        if not -self.video.num_frames <= frame < self.video.num_frames:
            raise IndexError(f"frame {frame} of {self.video.num_frames}")


def gives_all_objects(given_masks: str | None, given_prompts: str | None) -> bool:
    """Return whether the user gave all objects of a result, from the fields of the result.

    Args:
        given_masks: Hash of given masks.
        given_prompts: Prompts as options.
    """
    words = (given_prompts or "").split()
    return "--also-detect" not in words and (given_masks is not None or "--box" in words or "--point" in words)

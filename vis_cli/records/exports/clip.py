"""The input of every format of `vis export`, its target, and the protocol of a writer.

Used by the writers of this package and by `commands.export`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from vis_cli.files.atomic import atomic_path
from vis_cli.files.library_output import silenced_libraries
from vis_cli.messages import Messages
from vis_cli.records.bundle import AddFile, write_bundle
from vis_cli.records.categories import category_names
from vis_cli.records.result_matching import SplitSequences
from vis_cli.records.types import InstanceSequence, VideoResult
from vis_cli.records.youtube_vis import YouTubeVis

JPEG_QUALITY = 95  # of 100; OpenCV's default

Images: TypeAlias = Callable[[], Iterator[NDArray[np.uint8]]]


@dataclass(frozen=True, slots=True)
class Clip:
    """One result with the selected instances and frames.

    Attributes:
        result: The result. Its masks, frame names and timestamps belong to the selected frames only.
        frames: Index in the video of each selected frame.
        images: Iterates over the selected frames as (H, W, 3) uint8 RGB. None: the export has no images.
    """

    result: VideoResult
    frames: Sequence[int]
    images: Images | None = None

    @property
    def name(self) -> str:
        """Return the name of the video."""
        return self.result.video.name

    @property
    def instances(self) -> tuple[InstanceSequence, ...]:
        """Return the selected instances."""
        return self.result.instances

    def category_of(self, instance: InstanceSequence) -> str:
        """Return the name of the category, `object` for an instance without a category."""
        return category_names(self.result.categories)[instance.category_id]

    def time(self, position: int) -> float | None:
        """Return the timestamp of a selected frame in seconds, None if the frame rate is unknown."""
        return self.result.video.time(position)

    def image_name(self, position: int) -> str:
        """Return the name of the image of a selected frame, without file extension: clip_000012 for frame 12."""
        return f"{self.name}_{self.frames[position]:06d}"


@dataclass(frozen=True, slots=True)
class Target:
    """Output and settings of a writer.

    Attributes:
        path: File or folder to write.
        messages: Receives notes and warnings.
        split: Split with the ids of videos and categories (coco-video), or with the names of frames (mots).
        tolerance: Maximum distance in pixels between a polygon and the outline of its mask.
        as_masks: Write one mask per frame instead of polygons (cvat).
    """

    path: Path
    messages: Messages
    split: YouTubeVis | SplitSequences | None = None
    tolerance: float = 1.0
    as_masks: bool = False


class Exporter(Protocol):
    """Writer of one format."""

    def __call__(self, clips: Iterable[Clip], target: Target) -> int:
        """Write all clips, which are read one at a time, and return the number of written instances.

        Raises:
            VisError: A result does not fit the format, or the output cannot be written.
        """


@contextmanager
def write_files(path: Path, suffix: str) -> Iterator[AddFile]:
    """Open the output of a format with one file, or one file per video.

    Args:
        path: A path with the extension `suffix` becomes the only file, under this name. A path with
            the extension .zip becomes a zip, any other path a folder.
        suffix: File extension, such as `.xml`.

    Raises:
        VisError: A file cannot be written.
    """
    if path.suffix.lower() != suffix:
        with write_bundle(path) as add:
            yield add
        return
    with atomic_path(path) as temporary:
        yield lambda _name, data: _write_once(temporary, data)


def add_images(clip: Clip, add: AddFile, folder: str = "") -> None:
    """Add the selected frames of a clip as JPEG images. Without images, add nothing."""
    if clip.images is not None:
        for position, image in enumerate(clip.images()):
            quality = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
            with silenced_libraries():
                _, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), quality)
            add(f"{folder}{clip.image_name(position)}.jpg", data.tobytes())


def _write_once(path: Path, data: bytes) -> None:
    if path.stat().st_size:
        raise ValueError(f"{path} is written twice")
    path.write_bytes(data)

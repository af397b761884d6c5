"""A folder of images as a video: each image is a frame, in natural order of the names.

Used by `video.open_video`.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from vis_cli.errors import VisError
from vis_cli.records.inputs import image_files

FOLDER_FPS = 24.0  # DAVIS's rate; YouTube-VIS's frames are 6 a second of 30


class FrameFolder:
    """The images of a folder (or one image alone) as the frames of a video.

    Every common depth and colour comes out as 8-bit RGB, alpha is dropped, EXIF orientation applied. An image that
    cannot be read is an error, not a gap, because a gap would shift every later frame of a submission.
    """

    has_audio = False

    def __init__(self, path: Path, *, fps: float = FOLDER_FPS) -> None:
        """List the images and read the first one, which settles the size.

        Raises:
            VisError: there are no images, two that differ in their ending alone, or the first one cannot be read.
        """
        self.path = path
        self.losses: list[str] = []
        self.fps = fps
        self.time_base = 1 / Fraction(fps).limit_denominator(1001)
        self._images = image_files(path) if path.is_dir() else [path]
        if not self._images:
            raise VisError(f"{path}: no images (jpg, png, bmp, webp, tiff, ppm) in this folder")
        _require_one_picture_a_frame(path, self._images)
        self.name = path.resolve().name if path.is_dir() else path.stem
        self.height, self.width = _read_image(self._images[0]).shape[:2]
        num_pictures = 1 if path.is_dir() else cv2.imcount(str(path))
        if num_pictures > 1:
            self.losses.append(f"{num_pictures} pictures are in this file, of which the first is used")

    @property
    def num_frames(self) -> int:
        """Return the number of images."""
        return len(self._images)

    def count_frames(self) -> int:
        """Return the number of images."""
        return len(self._images)

    def iter_frames(self, start: int = 0, stop: int | None = None) -> Iterator[NDArray[np.uint8]]:
        """Yield the frames [start, stop) as (H, W, 3) uint8 RGB; fewer where the folder ends before.

        Raises:
            VisError: an image cannot be read, or is of another size than the first one.
        """
        for image in islice(self._images, start, stop):
            picture = _read_image(image)
            height, width = picture.shape[:2]
            if (width, height) != (self.width, self.height):
                raise VisError(
                    f"{image}: {width}x{height}, but the folder's first image {self._images[0].name} is "
                    f"{self.width}x{self.height}; frames of one video must be of one size"
                )
            yield picture

    def frame_pts(self, number: int) -> int:
        """Return when frame `number` is shown, in ticks of `time_base`: one a frame."""
        return number


def _require_one_picture_a_frame(folder: Path, images: list[Path]) -> None:
    """Refuse a folder in which pictures and, say, their masks lie side by side: every frame would count twice."""
    seen: dict[str, Path] = {}
    for image in images:
        if (other := seen.setdefault(image.stem, image)) is not image:
            raise VisError(f"{folder}: both {other.name} and {image.name} would be a frame; leave one of each in it")


def _read_image(path: Path) -> NDArray[np.uint8]:
    """Read an image file as (H, W, 3) uint8 RGB.

    Raises:
        VisError: the file is missing, damaged or of a kind OpenCV does not read.
    """
    try:
        encoded = np.frombuffer(path.read_bytes(), np.uint8)
        image = cv2.imdecode(encoded, cv2.IMREAD_COLOR) if encoded.size else None
    except OSError as error:
        raise VisError(f"{path}: cannot be read ({error.strerror})") from error
    except cv2.error as error:
        raise VisError(f"{path}: cannot be read as an image ({error.err})") from error
    if image is None:
        raise VisError(f"{path}: cannot be read as an image; is the file whole?")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB).astype(np.uint8, copy=False)

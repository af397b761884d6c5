"""A folder of images as a video: each image is a frame, in frame order of the names.

Used by `video.open_video`.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vis_cli.errors import VisError
from vis_cli.files.limits import MAX_FRAMES
from vis_cli.files.reading import real_path, require_regular
from vis_cli.records.image_file import read_image
from vis_cli.records.image_pages import num_pages
from vis_cli.records.media_folder import MediaFolder, disguised_media, listed, read_folder, require_readable_suffix
from vis_cli.records.timestamps import ClockSegment

FOLDER_FPS = 24.0  # DAVIS's rate; YouTube-VIS's frames are 6 a second of 30
NARROW_BITS, WIDE_BITS = 8, 16  # of a value in an image file
PAGED_SUFFIXES = frozenset({".png", ".tif", ".tiff", ".webp"})  # formats that can hold more than one image


class FrameFolder:
    """The images of a folder (or one image alone) as the frames of a video.

    Every common depth and colour comes out as 8-bit RGB. Files of 16 bits are scaled by one factor, so that the
    largest bit depth in use becomes 8 bits. An image that cannot be read is an error, not a gap, because a gap would
    shift every later frame of a submission.
    """

    has_audio = False
    pixel_aspect = Fraction(1)
    clock_segments: tuple[ClockSegment, ...] = ()

    def __init__(self, path: Path, *, fps: float = FOLDER_FPS) -> None:
        """List the images and read the first one, which settles the size.

        Raises:
            VisError: there are no images, two that differ in their ending alone, an entry that may be a frame but
                cannot be read, or the first image cannot be read.
        """
        self.path = path
        self.warnings: list[str] = []
        self.fps = fps
        self.time_base = 1 / Fraction(fps).limit_denominator(1001)
        self.name = real_path(path).name if path.is_dir() else path.stem
        self._images = self._list_images(path)
        self._bits: int | None = None  # in use in 16-bit files; None: not known yet
        self.height, self.width = self._read(self._images[0]).shape[:2]
        self._report_pages()

    @property
    def frame_names(self) -> tuple[str, ...] | None:
        """Return the file names of the images in a folder; None for one image alone."""
        return tuple(image.name for image in self._images) if self.path.is_dir() else None

    @property
    def num_frames(self) -> int:
        """Return the number of images."""
        return len(self._images)

    def count_frames(self) -> int:
        """Return the number of images."""
        return len(self._images)

    def iter_frames(self) -> Iterator[NDArray[np.uint8]]:
        """Yield the frames as (H, W, 3) uint8 RGB.

        Raises:
            VisError: an image cannot be read, or is of another size than the first one.
        """
        for image in self._images:
            frame = self._read(image)
            height, width = frame.shape[:2]
            if (width, height) != (self.width, self.height):
                raise VisError(
                    f"{image}: {width}x{height}, but the folder's first image {self._images[0].name} is "
                    f"{self.width}x{self.height}; frames of one video must be of one size"
                )
            yield frame

    def settle_times(self) -> None:
        """Do nothing, as the times of images are known."""

    def frame_pts(self, number: int) -> int:
        """Return when frame `number` is shown, in ticks of `time_base`: one a frame."""
        return number

    def _list_images(self, path: Path) -> list[Path]:
        if not path.is_dir():
            require_readable_suffix(path)
            require_regular(path)
            return [path]
        content = read_folder(path)
        for image in content.unreadable:
            require_readable_suffix(image)
        images = list(content.images)
        if not images:
            raise VisError(f"{path}: no images (jpg, png, bmp, webp, tiff, ppm, jp2, avif) in this folder")
        if len(images) > MAX_FRAMES:
            raise VisError(
                f"cannot read {path}: {len(images):,} images, the limit is {MAX_FRAMES:,}. Split the folder."
            )
        for image in images:
            require_regular(image)
        _require_one_image_per_frame(path, images)
        self._report_content(content)
        return images

    def _report_content(self, content: MediaFolder) -> None:
        if content.order is not None:
            self.warnings.append(f"{content.order}; to change the order, pad the numbers with zeros")
        others = [*content.videos, *content.folders, *disguised_media(content.unknown)]
        if others:
            self.warnings.append(f"the images are the frames of one video; not used: {listed(others)}")

    def _report_pages(self) -> None:
        """Report files with several pages. They may be meant as frames, but in a folder each file is one frame."""
        pages = {image: num_pages(image) for image in self._images if image.suffix.lower() in PAGED_SUFFIXES}
        several = [image for image, count in pages.items() if count > 1]
        if several and not self.path.is_dir():
            self.warnings.append(f"{pages[self.path]} pictures are in this file, of which the first is used")
        elif several:
            self.warnings.append(
                f"{len(several)} of {len(self._images)} images have more than one page, of which the first is used: "
                f"{listed(several)}; to use all pages as frames, save each page as an image"
            )

    def _read(self, path: Path) -> NDArray[np.uint8]:
        image = read_image(path)
        if image.dtype == np.uint8:
            return image.astype(np.uint8, copy=False)
        if self._bits is None:
            self._bits = self._bits_in_use()
            if self._bits < WIDE_BITS:
                self.warnings.append(
                    f"the 16-bit images use {self._bits} bits: 0 to {2**self._bits - 1} become 0 to 255"
                )
        levels = (np.arange(2**WIDE_BITS) * 255 / (2**self._bits - 1)).round().clip(0, 255).astype(np.uint8)
        return np.take(levels, image)

    def _bits_in_use(self) -> int:
        """Return the smallest bit depth, from 8 to 16, that holds every value of the 16-bit images."""
        bits = NARROW_BITS
        for path in self._images:
            image = read_image(path)
            if image.dtype == np.uint16:
                bits = max(bits, int(image.max()).bit_length())
            if bits == WIDE_BITS:
                break
        return bits


def _require_one_image_per_frame(folder: Path, images: list[Path]) -> None:
    """Refuse a folder in which images and, say, their masks lie side by side: every frame would count twice."""
    seen: dict[str, Path] = {}
    for image in images:
        if (other := seen.setdefault(image.stem, image)) is not image:
            raise VisError(f"{folder}: both {other.name} and {image.name} would be a frame; leave one of each in it")

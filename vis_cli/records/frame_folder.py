"""Folders of images as videos. Each image is a frame. `frame_order` sorts the names.

Used by `video.open_video`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vis_cli.errors import VisError
from vis_cli.files.limits import MAX_FRAMES
from vis_cli.files.names import printable
from vis_cli.files.reading import real_path, require_regular
from vis_cli.records.image_file import read_image
from vis_cli.records.image_pages import num_pages
from vis_cli.records.media_folder import MediaFolder, disguised_media, listed, read_folder, require_readable_suffix
from vis_cli.records.timestamps import ClockSegment

FOLDER_FPS = 24.0  # frame rate of DAVIS
NARROW_BITS, WIDE_BITS = 8, 16  # bits per channel of an image file
MIN_HOT_PIXELS, HOT_FRACTION = 4, 1e-4  # maximum of the pixels of an image that exceed its bit depth
PAGED_SUFFIXES = frozenset({".png", ".tif", ".tiff", ".webp"})  # formats that can hold more than one image


class FrameFolder:
    """A folder of images, or a single image, as a video.

    Images of any bit depth and colour type are converted to 8-bit RGB. 16-bit images are scaled by one factor, so that
    the largest bit depth in use becomes 8 bits. An image that cannot be read is an error. Skipping it would shift the
    index of every later frame.
    """

    has_audio = has_doubtful_times = False
    is_complete = True
    part = span = None  # the complete video
    pixel_aspect = Fraction(1)
    clock_segments: tuple[ClockSegment, ...] = ()

    def __init__(self, path: Path, *, fps: float = FOLDER_FPS) -> None:
        """List the images and read the first one, which determines the size.

        Args:
            path: The folder, or an image.
            fps: Frames per second.

        Raises:
            VisError: There are no images, two names differ only in the file extension, or an image has an unsupported
                format, or the first image cannot be read.
        """
        self.path = path
        self.warnings: list[str] = []
        self.fps = fps
        self.time_base = 1 / Fraction(fps).limit_denominator(1001)
        self.name = real_path(path).name if path.is_dir() else path.stem
        self._images = self._list_images(path)
        self._bits: int | None = None  # bits in use in the 16-bit images; None before the first 16-bit image
        self.height, self.width = self._read(self._images[0]).shape[:2]
        self._report_pages()

    @property
    def frame_names(self) -> tuple[str, ...] | None:
        """Return the file names of the images in a folder; None for a single image."""
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
            VisError: An image cannot be read, or its size differs from the first image.
        """
        for image in self._images:
            yield self._read_fitting(image)

    def iter_until(
        self, is_end: Callable[[int], bool], end: int | None
    ) -> Iterator[tuple[int, Callable[[], NDArray[np.uint8]]]]:
        """Yield the number of each frame, and a function that reads its image. See `video_part.PartSource`."""
        for number, image in enumerate(self._images[:end]):
            if is_end(number):
                return
            yield number, partial(self._read_fitting, image)

    def settle_times(self) -> None:
        """Do nothing, because the timestamps of images are known."""

    def frame_pts(self, number: int) -> int:
        """Return the timestamp of frame `number` in units of `time_base`, which is one frame."""
        return number

    def _list_images(self, path: Path) -> list[Path]:
        if not path.is_dir():
            require_readable_suffix(path)
            require_regular(path)
            return [path]
        content = read_folder(path)
        for image in content.unreadable_images:
            require_readable_suffix(image)
        images = list(content.images)
        if not images:
            hint = "Pass a folder with JPEG, PNG, BMP, WebP, TIFF, PPM, JPEG 2000 or AVIF files."
            raise VisError(f"cannot read {path}: no images in this folder", hint=hint)
        if len(images) > MAX_FRAMES:
            problem = f"cannot read {path}: {len(images):,} images, the limit is {MAX_FRAMES:,}"
            raise VisError(problem, hint="Split the folder.")
        for image in images:
            require_regular(image)
        _require_one_image_per_frame(path, images)
        self._report_content(content)
        return images

    def _report_content(self, content: MediaFolder) -> None:
        if content.order is not None:
            self.warnings.append(content.order)
        others = [*content.videos, *content.unreadable_videos, *content.folders, *disguised_media(content.unknown)]
        if others:
            self.warnings.append(f"only the images are used, as frames of one video; not used: {listed(others)}")

    def _report_pages(self) -> None:
        """Add a warning for files with several pages, because only the first page becomes a frame."""
        pages = {image: num_pages(image) for image in self._images if image.suffix.lower() in PAGED_SUFFIXES}
        several = [image for image, count in pages.items() if count > 1]
        if several and not self.path.is_dir():
            self.warnings.append(f"only the first of {pages[self.path]} images in this file is used")
        elif several:
            self.warnings.append(
                f"{len(several)} of {len(self._images)} images have several pages, and only the first page is used: "
                f"{listed(several)}; to use all pages as frames, save each page as an image"
            )

    def _read_fitting(self, path: Path) -> NDArray[np.uint8]:
        """Read an image of the size of the first image."""
        frame = self._read(path)
        height, width = frame.shape[:2]
        if (width, height) != (self.width, self.height):
            first = f"the first image {self._images[0].name} is {self.width}x{self.height}"
            problem = f"the size is {width}x{height}, {first}"
            raise VisError(problem, where=path, hint="Use one size for all frames of a video.")
        return frame

    def _read(self, path: Path) -> NDArray[np.uint8]:
        image = read_image(path)
        if image.dtype == np.uint8:
            return image.astype(np.uint8, copy=False)
        if self._bits is None:
            self._bits, is_clipped = self._bits_in_use()
            if self._bits < WIDE_BITS:
                clipped = "; single larger values (hot pixels) become 255" if is_clipped else ""
                self.warnings.append(
                    f"the 16-bit images use {self._bits} bits: 0 to {2**self._bits - 1} become 0 to 255{clipped}"
                )
        levels = (np.arange(2**WIDE_BITS) * 255 / (2**self._bits - 1)).round().clip(0, 255).astype(np.uint8)
        return np.take(levels, image)

    def _bits_in_use(self) -> tuple[int, bool]:
        """Return the smallest bit depth, from 8 to 16, that holds the values of the 16-bit images without hot pixels.

        The second value tells whether there are hot pixels.
        """
        bits, largest = NARROW_BITS, 0
        for path in self._images:
            image = read_image(path)
            if image.dtype == np.uint16:
                peaks = image.max(axis=2)
                bits = max(bits, _robust_bits(peaks))
                largest = max(largest, int(peaks.max()))
            if bits == WIDE_BITS:
                break
        return bits, largest >= 2**bits


def _robust_bits(peaks: NDArray[np.uint16]) -> int:
    """Return the bit depth that holds the pixels (H, W) of an image except for its hot pixels."""
    most = max(MIN_HOT_PIXELS, int(peaks.size * HOT_FRACTION))
    kth_largest = np.partition(peaks, -1 - most, axis=None)[-1 - most] if most < peaks.size else peaks.max()
    return int(kth_largest).bit_length()


def _require_one_image_per_frame(folder: Path, images: list[Path]) -> None:
    """Reject a folder with two images of the same name, for example an image and its mask, because both are frames."""
    seen: dict[str, Path] = {}
    for image in images:
        if (other := seen.setdefault(image.stem, image)) is not image:
            problem = f"{printable(other.name)} and {printable(image.name)} are the same frame"
            raise VisError(problem, where=folder, hint="Keep one file per frame in the folder.")

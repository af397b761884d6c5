"""Readers of image files: `read_image` for the pixels and `read_image_size` for the width and height.

Used by `frame_folder`, `davis_layout` and `training.annotations`.
"""

from __future__ import annotations

import io
import re
import struct
import warnings
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from vis_cli.errors import VisError
from vis_cli.files.library_output import silenced_libraries
from vis_cli.files.limits import MAX_IMAGE_BYTES, MAX_IMAGE_PIXELS, MAX_IMAGE_SIDE
from vis_cli.files.names import printable
from vis_cli.files.reading import open_regular, read_bytes

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
PNG_CRITICAL = (b"IHDR", b"PLTE", b"IDAT", b"IEND")
DTYPES = (np.uint8, np.uint16)
# Header of PGM and PPM: magic number, width, height and the value of white, with spaces and comments between them.
PNM_HEADER = re.compile(rb"P[2356](?:(?:\s|#[^\n]*\n)+([0-9]{1,9})){3}\s")
PNM_HEADER_BYTES = 4096  # a header with longer comments is not scaled
SIZE_ERROR = "CV_IO_MAX_IMAGE"  # in OpenCV's messages
EXIF_ORIENTATION = 0x0112
TRANSPOSED = frozenset({5, 6, 7, 8})  # EXIF orientations that swap width and height
SIZED_FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "TIFF", "PPM", "JPEG2000", "AVIF")  # Pillow's names
# Formats whose headers Pillow reads before it allocates memory for pixels. `_require_complete_png` checks PNGs.
CHECKED_FORMATS = ("JPEG", "BMP", "TIFF", "PPM", "JPEG2000")
# Exceptions of Pillow for damaged headers: SyntaxError for a damaged PNG chunk, the others for values without a check.
PILLOW_ERRORS = (
    *(OSError, SyntaxError, ValueError, struct.error, IndexError, KeyError, TypeError, OverflowError),
    *(EOFError, ZeroDivisionError),
)


def read_image(path: Path, *, upright: bool = True) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """Read an image file as (H, W, 3) RGB of 8 or 16 bits. The alpha channel is dropped.

    Args:
        path: The file.
        upright: Whether to apply the EXIF rotation, like image viewers.

    Raises:
        VisError: The file is missing, damaged or too large, or has a format that OpenCV does not read.
    """
    data = read_bytes(path, limit=MAX_IMAGE_BYTES)
    image = _decoded(path, data, 0 if upright else cv2.IMREAD_IGNORE_ORIENTATION)
    if image.dtype not in DTYPES:
        problem = f"cannot read {path}: the pixels are {image.dtype}"
        raise VisError(problem, hint="Convert the image to 8 or 16 bits.")
    height, width = image.shape[:2]
    if max(height, width) > MAX_IMAGE_SIDE or height * width > MAX_IMAGE_PIXELS:  # OpenCV has other limits
        raise _too_large(path)
    rgb = _scaled_by_maxval(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), data)
    return rgb.astype(np.uint8, copy=False) if rgb.dtype == np.uint8 else rgb.astype(np.uint16, copy=False)


def read_image_size(path: Path, *, upright: bool = True) -> tuple[int, int]:
    """Return the width and the height of the image that `read_image` returns.

    The pixels are decoded only if an EXIF rotation can swap width and height.

    Args:
        path: The file.
        upright: Whether to apply the EXIF rotation.

    Raises:
        VisError: The file is missing, damaged or too large, or has another format.
    """
    try:
        with open_regular(path) as file, _header(file, SIZED_FORMATS) as image:
            (width, height), orientation = image.size, image.getexif().get(EXIF_ORIENTATION)
    except Image.DecompressionBombError as error:
        raise _too_large(path) from error
    except UnidentifiedImageError as error:
        raise VisError(f"cannot read {path}: not an image", hint="Restore the file.") from error
    except PILLOW_ERRORS as error:
        cause = error.strerror if isinstance(error, OSError) and error.strerror else printable(str(error))
        raise VisError(f"cannot read {path}: not a complete image ({cause})", hint="Restore the file.") from error
    if max(width, height) > MAX_IMAGE_SIDE or width * height > MAX_IMAGE_PIXELS:
        raise _too_large(path)
    if upright and orientation in TRANSPOSED:  # OpenCV applies the rotation only in some formats
        height, width = read_image(path).shape[:2]
    return width, height


@contextmanager
def _header(file: BinaryIO, formats: Sequence[str]) -> Iterator[Image.Image]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns about damaged tags, and about sizes that are checked here
        with Image.open(file, formats=list(formats)) as image:
            yield image


def _require_moderate_size(path: Path, data: bytes) -> None:
    """Reject an image above the limits before it is decoded.

    OpenCV has the same limits only if this package is imported before OpenCV. Otherwise its limit is 2^30 pixels.
    """
    try:
        with _header(io.BytesIO(data), CHECKED_FORMATS) as image:
            width, height = image.size
    except Image.DecompressionBombError as error:
        raise _too_large(path) from error
    except PILLOW_ERRORS:
        return  # another format, or a damaged file, which the decoder reports
    if max(width, height) > MAX_IMAGE_SIDE or width * height > MAX_IMAGE_PIXELS:
        raise _too_large(path)


def _decoded(path: Path, data: bytes, flags: int) -> NDArray[np.integer[Any] | np.floating[Any]]:
    if not data:
        raise VisError(f"cannot read {path}: the file is empty", hint="Restore the file.")
    _require_complete_png(path, data)
    _require_moderate_size(path, data)
    encoded = np.frombuffer(data, np.uint8)
    try:
        with silenced_libraries():
            image = cv2.imdecode(encoded, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH | flags)
            if image is None:
                image = cv2.imdecode(encoded, cv2.IMREAD_UNCHANGED)  # float or 32 bits, which `read_image` rejects
    except cv2.error as error:
        if SIZE_ERROR in error.err:
            raise _too_large(path) from error
        if error.code == cv2.Error.StsNoMem:
            problem = f"cannot read {path}: not enough memory for its pixels"
            raise VisError(problem, hint="Use a smaller image.") from error
        problem = f"cannot read {path}: not an image that OpenCV decodes ({error.err})"
        raise VisError(problem, hint="Convert the image to JPEG or PNG.") from error
    if image is None or (image.ndim != 3 and image.dtype in DTYPES):
        raise VisError(f"cannot read {path}: not a complete image", hint="Restore the file.")
    return image


def _scaled_by_maxval(image: NDArray[Any], data: bytes) -> NDArray[Any]:
    """Scale an image whose PGM or PPM header has another value of white than the largest one of the data type.

    OpenCV scales P2 and P3 (text) of 8 bits itself.
    """
    header = PNM_HEADER.match(data[:PNM_HEADER_BYTES])
    white = np.iinfo(image.dtype).max
    is_scaled = image.dtype == np.uint8 and data[:2] in (b"P2", b"P3")
    if header is None or is_scaled or not 0 < (maxval := int(header[1])) < white:
        return image
    levels = (np.arange(white + 1) * white / maxval).round().clip(0, white).astype(image.dtype)
    return np.take(levels, image)


def _require_complete_png(path: Path, data: bytes) -> None:
    """Reject a damaged PNG before OpenCV decodes it.

    libpng prints messages for a damaged file, and allocates up to 4 GB for a chunk before it reads the chunk.

    Raises:
        VisError: The data are a PNG, and a chunk is missing, damaged or longer than the file.
    """
    if not data.startswith(PNG_SIGNATURE):
        return
    kinds: list[bytes] = []
    for kind, body, crc in _png_chunks(data):
        if kind in PNG_CRITICAL and zlib.crc32(body, zlib.crc32(kind)) != crc:
            problem = f"cannot read {path}: not a complete image ({kind.decode()} is damaged)"
            raise VisError(problem, hint="Restore the file.")
        if not kinds and kind == b"IHDR" and len(body) == 13:
            width, height = struct.unpack(">II", body[:8])
            if max(width, height) > MAX_IMAGE_SIDE or width * height > MAX_IMAGE_PIXELS:
                raise _too_large(path)
        kinds.append(kind)
    if kinds[:1] != [b"IHDR"] or b"IDAT" not in kinds or kinds[-1] != b"IEND":
        raise VisError(f"cannot read {path}: not a complete image", hint="Restore the file.")


def _too_large(path: Path) -> VisError:
    limit = f"{MAX_IMAGE_SIDE:,} pixels per side or {MAX_IMAGE_PIXELS:,} pixels"
    return VisError(f"cannot read {path}: the image is larger than {limit}", hint="Use a smaller image.")


def _png_chunks(data: bytes) -> list[tuple[bytes, bytes, int]]:
    """Return the type, content and checksum of each complete chunk of a PNG, up to IEND."""
    chunks: list[tuple[bytes, bytes, int]] = []
    position = len(PNG_SIGNATURE)
    while position + 12 <= len(data):
        length = int.from_bytes(data[position : position + 4], "big")
        kind, end = data[position + 4 : position + 8], position + 8 + length
        if end + 4 > len(data):
            break
        chunks.append((kind, data[position + 8 : end], int.from_bytes(data[end : end + 4], "big")))
        position = end + 4
        if kind == b"IEND":
            break
    return chunks

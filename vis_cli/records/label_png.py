"""Decoder of label maps in PNG files. It checks the header first, and passes only chunks with pixels to Pillow.

Used by `davis`, `davis_layout` and `given_masks`. Text, colour profiles and other ancillary chunks do not change a
label, but damaged or hostile chunks can crash a decoder or exhaust the memory. Therefore they are removed.
"""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vis_cli.errors import VisError
from vis_cli.files.limits import MAX_IMAGE_BYTES
from vis_cli.files.names import printable
from vis_cli.files.reading import open_limited
from vis_cli.records.json_fields import require_size

SIGNATURE = b"\x89PNG\r\n\x1a\n"
HEADER_BYTES = len(SIGNATURE) + 8 + 13 + 4  # signature and IHDR chunk with its length, name and checksum
PIXEL_CHUNKS = (b"IHDR", b"PLTE", b"IDAT")
COLOUR_TYPES = {0: "grey", 2: "RGB", 3: "palette", 4: "grey with alpha", 6: "RGB with alpha"}
GREY, PALETTE = 0, 3
MAX_LABEL = 255
EXPORT_AGAIN = "Copy or export the file again."  # hint for damaged files


@dataclass(frozen=True, slots=True)
class PngHeader:
    """Header of a PNG."""

    width: int
    height: int
    bit_depth: int  # of each channel
    colour_type: int  # a key of COLOUR_TYPES

    @property
    def is_palette(self) -> bool:
        """Return whether the pixel values are palette indices, which labelling tools write."""
        return self.colour_type == PALETTE


def read_label_header(path: Path) -> PngHeader:
    """Read the header of a PNG of labels.

    Raises:
        VisError: The file is not a regular file or not a PNG, or it has colours instead of labels.
    """
    with open_limited(path, limit=MAX_IMAGE_BYTES) as file:
        return _parse_header(file.read(HEADER_BYTES), str(path))


def decode_labels(data: bytes, where: str) -> tuple[NDArray[np.uint8], PngHeader]:
    """Decode a PNG of labels.

    Args:
        data: Content of the file.
        where: File, for the error message.

    Returns:
        The (H, W) labels, and the header. The labels of a 1-bit image are 0 and 1.

    Raises:
        VisError: The PNG is damaged or too large, has colours instead of labels, or has a label above 255.
    """
    header = _parse_header(data[:HEADER_BYTES], where)
    kept = SIGNATURE + b"".join(_iter_pixel_chunks(data, where)) + _chunk(b"IEND", b"")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns about large sizes, which `_parse_header` has checked
            with Image.open(io.BytesIO(kept), formats=["PNG"]) as image:
                values = np.array(image)
    except (OSError, SyntaxError, ValueError) as error:  # Pillow raises SyntaxError for a broken chunk
        problem = f"cannot read {where}: the PNG is damaged ({printable(str(error))})"
        raise VisError(problem, hint=EXPORT_AGAIN) from error
    if header.bit_depth > 8 and values.max() > MAX_LABEL:
        problem = f"cannot read {where}: the highest label is {values.max()} (16 bits), the limit is {MAX_LABEL}"
        raise VisError(problem, hint="Use fewer labels per file.")
    return values.astype(np.uint8), header


def _parse_header(data: bytes, where: str) -> PngHeader:
    if not data.startswith(SIGNATURE):
        raise VisError(f"cannot read {where}: the file is not a PNG", hint="Export the mask as PNG.")
    if len(data) < HEADER_BYTES or data[12:16] != b"IHDR":
        raise VisError(f"cannot read {where}: the PNG ends early", hint=EXPORT_AGAIN)
    width, height, bit_depth, colour_type = struct.unpack(">IIBB", data[16:26])
    if width == 0 or height == 0 or colour_type not in COLOUR_TYPES:
        raise VisError(f"cannot read {where}: the header of the PNG is damaged", hint=EXPORT_AGAIN)
    require_size(width, height, where)
    if colour_type not in (GREY, PALETTE):
        problem = f"cannot read {where}: the PNG has colours ({COLOUR_TYPES[colour_type]}) instead of labels"
        raise VisError(problem, hint="Save it as a palette or single-channel PNG.")
    return PngHeader(width, height, bit_depth, colour_type)


def _iter_pixel_chunks(data: bytes, where: str) -> Iterator[bytes]:
    """Yield the chunks that contain pixels, with their lengths and checksums."""
    start, name = len(SIGNATURE), b""
    while name != b"IEND":
        length, name = struct.unpack(">I4s", data[start : start + 8].ljust(8, b"\0"))
        end = start + 12 + length
        if end > len(data):
            raise VisError(f"cannot read {where}: the PNG ends early", hint=EXPORT_AGAIN)
        if name in PIXEL_CHUNKS:
            if zlib.crc32(data[start + 4 : end - 4]) != int.from_bytes(data[end - 4 : end], "big"):
                problem = f"cannot read {where}: the chunk {name.decode()} of the PNG is damaged"
                raise VisError(problem, hint=EXPORT_AGAIN)
            yield data[start:end]
        start = end


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

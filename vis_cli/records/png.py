"""PNG files of labels: the header is checked before anything is decoded, and only the chunks that hold pixels are read.

Used by `davis` and `davis_layout`. Text, colour profiles and other ancillary chunks never change a label, but damaged
or hostile ones can end a decoder or fill the memory, so they are left out.
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
HEADER_BYTES = len(SIGNATURE) + 8 + 13 + 4  # the signature, and the chunk IHDR with its length, name and checksum
PIXEL_CHUNKS = (b"IHDR", b"PLTE", b"IDAT")
COLOUR_TYPES = {0: "grey", 2: "RGB", 3: "palette", 4: "grey with alpha", 6: "RGB with alpha"}
GREY, PALETTE = 0, 3
MAX_LABEL = 255


@dataclass(frozen=True, slots=True)
class PngHeader:
    """Hold what a PNG states of itself."""

    width: int
    height: int
    bit_depth: int  # of each channel
    colour_type: int  # a key of COLOUR_TYPES

    @property
    def is_palette(self) -> bool:
        """Return whether the values are indices of colours, as label tools write them."""
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
        data: The content of the file.
        where: The file, for the error.

    Returns:
        The (H, W) labels, and the header. A pixel of a 1-bit image is label 0 or 1.

    Raises:
        VisError: It is damaged, too large, has colours instead of labels, or has a label above 255.
    """
    header = _parse_header(data[:HEADER_BYTES], where)
    kept = SIGNATURE + b"".join(_iter_pixel_chunks(data, where)) + _chunk(b"IEND", b"")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Pillow, as for a large size, which was checked
            with Image.open(io.BytesIO(kept), formats=["PNG"]) as image:
                values = np.array(image)
    except (OSError, SyntaxError, ValueError) as error:  # Pillow raises SyntaxError for a broken chunk
        raise VisError(f"cannot read {where}: the PNG is damaged ({printable(str(error))}).") from error
    if header.bit_depth > 8 and values.max() > MAX_LABEL:
        raise VisError(f"cannot read {where}: the largest label is {values.max()} (16 bits), the limit is {MAX_LABEL}.")
    return values.astype(np.uint8), header


def _parse_header(data: bytes, where: str) -> PngHeader:
    if not data.startswith(SIGNATURE):
        raise VisError(f"cannot read {where}: the file is not a PNG. Export the mask as PNG.")
    if len(data) < HEADER_BYTES or data[12:16] != b"IHDR":
        raise VisError(f"cannot read {where}: the PNG ends early. Copy or export it again.")
    width, height, bit_depth, colour_type = struct.unpack(">IIBB", data[16:26])
    if width == 0 or height == 0 or colour_type not in COLOUR_TYPES:
        raise VisError(f"cannot read {where}: the header of the PNG is damaged.")
    require_size(width, height, where)
    if colour_type not in (GREY, PALETTE):
        cause = f"the PNG has colours ({COLOUR_TYPES[colour_type]}) instead of labels"
        raise VisError(f"cannot read {where}: {cause}. Save it as a palette or single-channel PNG.")
    return PngHeader(width, height, bit_depth, colour_type)


def _iter_pixel_chunks(data: bytes, where: str) -> Iterator[bytes]:
    """Yield the chunks that hold pixels, with their lengths and checksums."""
    start, name = len(SIGNATURE), b""
    while name != b"IEND":
        length, name = struct.unpack(">I4s", data[start : start + 8].ljust(8, b"\0"))
        end = start + 12 + length
        if end > len(data):
            raise VisError(f"cannot read {where}: the PNG ends early. Copy or export it again.")
        if name in PIXEL_CHUNKS:
            if zlib.crc32(data[start + 4 : end - 4]) != int.from_bytes(data[end - 4 : end], "big"):
                raise VisError(f"cannot read {where}: the chunk {name.decode()} of the PNG is damaged.")
            yield data[start:end]
        start = end


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

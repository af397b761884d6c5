"""Number of images in one image file, from its headers.

Used by `frame_folder`.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

from vis_cli.files.reading import open_regular, read_error
from vis_cli.records.image_file import PNG_SIGNATURE

TIFF_SUBFILE_TYPE, TIFF_REDUCED = 254, 1  # tag and flag of a page that is a thumbnail of another page
TIFF_SHORT = 3
MAX_STEPS = 10_000  # maximum number of chunks or directories to read in one file


def num_pages(path: Path) -> int:
    """Return the number of images in a TIFF, an animated WebP or an animated PNG, without thumbnails.

    The result is 1 for other formats and for damaged files.

    Raises:
        VisError: The file cannot be read.
    """
    try:
        with open_regular(path) as file:
            start = file.read(12)
            if start[:4] in (b"II*\0", b"MM\0*"):
                return max(1, _tiff_pages(file, "<" if start[:2] == b"II" else ">"))
            if start[:4] == b"RIFF" and start[8:] == b"WEBP":
                return max(1, _webp_frames(file))
            if start.startswith(PNG_SIGNATURE):
                return max(1, _png_frames(file))
    except OSError as error:
        raise read_error(path, error) from error
    return 1


def _tiff_pages(file: BinaryIO, order: str) -> int:
    count, seen = 0, set[int]()
    file.seek(4)
    while len(link := file.read(4)) == 4 and len(seen) < MAX_STEPS:
        (position,) = struct.unpack(f"{order}I", link)
        if position == 0 or position in seen:
            break
        seen.add(position)
        file.seek(position)
        (num_entries,) = struct.unpack(f"{order}H", file.read(2).ljust(2, b"\0"))
        entries = file.read(12 * num_entries)
        if len(entries) < 12 * num_entries:
            break
        count += not _is_thumbnail(entries, order)
    return count


def _is_thumbnail(entries: bytes, order: str) -> bool:
    for tag, kind, _, value in struct.iter_unpack(f"{order}HHI4s", entries):
        if tag == TIFF_SUBFILE_TYPE:
            (flags,) = (
                struct.unpack(f"{order}H", value[:2]) if kind == TIFF_SHORT else struct.unpack(f"{order}I", value)
            )
            return bool(flags & TIFF_REDUCED)
    return False


def _webp_frames(file: BinaryIO) -> int:
    count, position = 0, 12
    for _ in range(MAX_STEPS):
        file.seek(position)
        if len(header := file.read(8)) < 8:
            break
        kind, length = struct.unpack("<4sI", header)
        count += kind == b"ANMF"
        position += 8 + length + length % 2
    return count


def _png_frames(file: BinaryIO) -> int:
    """Return the number of frames in the acTL chunk, which precedes the pixels."""
    position = len(PNG_SIGNATURE)
    for _ in range(MAX_STEPS):
        file.seek(position)
        if len(header := file.read(12)) < 12:
            break
        length, kind, count = struct.unpack(">I4sI", header)
        if kind == b"acTL":
            return int(count)
        if kind == b"IDAT":
            break
        position += 12 + length
    return 1

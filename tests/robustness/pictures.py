"""Mutators that know image formats: the chunks of PNG and the size fields of JPEG, BMP, TIFF, WebP and GIF."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from random import Random

from tests.robustness.containers import mutate_gif
from tests.robustness.octets import EXTREMES, mutate_bytes

PNG_START = b"\x89PNG\r\n\x1a\n"
MIB = 2**20
SIDES = (0, 1, 2, 47, 49, 255, 4096, 16_385, 30_000, 65_535, 65_536, 2**20, 2**31 - 1, 2**31, 2**32 - 1)
Chunk = tuple[bytes, bytes]  # type, data


def mutate_image(rng: Random, name: str, data: bytes) -> bytes:
    """Change an image file as its format allows, or at random."""
    own = BY_SUFFIX.get(name.rpartition(".")[2].lower())
    if own is None or rng.random() < 0.4:
        return mutate_bytes(rng, data)
    return own(rng, data)


def split_png(data: bytes) -> list[Chunk]:
    """Return the chunks of a PNG."""
    chunks, place = [], len(PNG_START)
    while place + 8 <= len(data):
        length = int.from_bytes(data[place : place + 4], "big")
        chunks.append((data[place + 4 : place + 8], data[place + 8 : place + 8 + length]))
        place += length + 12
    return chunks


def join_png(chunks: list[Chunk]) -> bytes:
    """Write chunks as a PNG with right lengths and sums."""
    return PNG_START + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )


def zeros_deflated(size: int, fill: bytes = b"\0", *, raw: bool = False) -> bytes:
    """Return the zlib stream of `size` equal bytes, made in no time, since blocks of a mebibyte repeat."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    first = packer.compress(fill * MIB) + packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress(fill * MIB) + packer.flush(zlib.Z_FULL_FLUSH)
    body = first + block * (size // MIB - 1) + packer.flush(zlib.Z_FINISH)
    return body if raw else b"\x78\x9c" + body + b"\0\0\0\0"


def mutate_png(rng: Random, data: bytes) -> bytes:
    """Change the chunks of a PNG; their sums are right again, so that the decoder goes on."""
    chunks = split_png(data)
    if not chunks:
        return mutate_bytes(rng, data)
    i = rng.randrange(len(chunks))
    kind, body = chunks[i]
    choice = rng.randrange(9)
    if choice <= 2:
        chunks[0] = (b"IHDR", _header(rng, chunks[0][1]))
    elif choice == 3:
        del chunks[i]
    elif choice == 4:
        chunks.insert(rng.randrange(len(chunks)), chunks[i])
    elif choice == 5:
        chunks[i] = (kind, mutate_bytes(rng, body))
    elif choice == 6:
        chunks.insert(1, _extra(rng))
    elif choice == 7:
        chunks[i] = (rng.choice((b"tRNS", b"PLTE", b"acTL", b"IDAT", b"\0\0\0\0", b"zzzz")), body)
    else:
        place = len(PNG_START) + sum(len(body) + 12 for _, body in chunks[:i])
        return data[:place] + struct.pack(">I", rng.choice(EXTREMES) % 2**32) + data[place + 4 :]
    return join_png(chunks)


def _header(rng: Random, body: bytes) -> bytes:
    width, height, depth, colour, *rest = struct.unpack(">IIBBBBB", body.ljust(13, b"\0")[:13])
    field = rng.randrange(5)
    if field == 0:
        width = rng.choice(SIDES)
    elif field == 1:
        height = rng.choice(SIDES)
    elif field == 2:
        depth = rng.choice((0, 1, 2, 4, 8, 16, 32))
    elif field == 3:
        colour = rng.choice((0, 2, 3, 4, 6, 7))
    else:
        rest[rng.randrange(3)] = rng.choice((0, 1, 2, 255))
    return struct.pack(">IIBBBBB", width, height, depth, colour, *rest)


def _extra(rng: Random) -> Chunk:
    bomb = zeros_deflated(512 * MIB)
    return rng.choice(
        (
            (b"zTXt", b"Comment\0\0" + bomb),
            (b"iTXt", b"Comment\0\1\0\0\0" + bomb),
            (b"iCCP", b"icc\0\0" + bomb),
            (b"tEXt", b"Comment\0" + b"\x1b[31m" * 50),
            (b"tEXt", b"x" * (3 * MIB)),
            (b"eXIf", b"II*\0\xff\xff\xff\xff"),
            (b"PLTE", bytes(range(7))),
            (b"tRNS", bytes(600)),
            (b"acTL", b"\0\0\0\2\0\0\0\0"),
            (b"gAMA", b"\0\0\0\0"),
        )
    )


def mutate_jpeg(rng: Random, data: bytes) -> bytes:
    """Change the size of a JPEG, its components, the length of a segment, or add one."""
    frame = next((p for p in (data.find(b"\xff\xc0"), data.find(b"\xff\xc2")) if p >= 0), 0)
    choice = rng.randrange(5)
    if choice == 0:
        return _patch(data, frame + rng.choice((5, 7)), rng.choice(SIDES) % 2**16, 2, "big")
    if choice == 1:
        return _patch(data, frame + rng.choice((4, 9, 10, 11)), rng.choice((0, 1, 2, 3, 4, 12, 255)), 1, "big")
    if choice == 2:
        marks = [i for i in range(len(data) - 4) if data[i] == 0xFF and data[i + 1] >= 0xC0]
        return _patch(data, rng.choice(marks or [0]) + 2, rng.choice(EXTREMES) % 2**16, 2, "big")
    if choice == 3:
        exif = b"Exif\0\0II*\0" + struct.pack("<IHHHIHHI", 8, 1, 0x0112, 3, 1, rng.choice((0, 6, 9, 65_535)), 0, 0)
        return data[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + data[2:]
    end = rng.choice((2, len(data) // 2, len(data) - 2))
    return data[:end]


def mutate_bmp(rng: Random, data: bytes) -> bytes:
    """Change a field of a BMP's header: offset, sides (which may be negative), bits, compression."""
    place, width = rng.choice(((10, 4), (14, 4), (18, 4), (22, 4), (26, 2), (28, 2), (30, 4), (46, 4)))
    return _patch(data, place, rng.choice((*SIDES, *EXTREMES)) % 256**width, width, "little")


def mutate_tiff(rng: Random, data: bytes) -> bytes:
    """Change a tag of a TIFF: its number, type, count or value; or the offset of the tags."""
    tags = int.from_bytes(data[4:8], "little") + 2
    if rng.random() < 0.2 or tags + 12 > len(data):
        return _patch(data, 4, rng.choice(EXTREMES) % 2**32, 4, "little")
    count = int.from_bytes(data[tags - 2 : tags], "little")
    place = tags + 12 * rng.randrange(max(1, count))
    offset, width = rng.choice(((0, 2), (2, 2), (4, 4), (8, 4), (8, 4)))
    return _patch(data, place + offset, rng.choice((*SIDES, *EXTREMES)) % 256**width, width, "little")


def mutate_webp(rng: Random, data: bytes) -> bytes:
    """Change the size, a chunk's length or its name in a WebP."""
    place = rng.choice((4, 8, 12, 16, 20, 24, 26, 28))
    return _patch(data, place, rng.choice(EXTREMES) % 2**32, 4, "little")


def _patch(data: bytes, place: int, number: int, width: int, order: str) -> bytes:
    return data[:place] + number.to_bytes(width, "little" if order == "little" else "big") + data[place + width :]


BY_SUFFIX: dict[str, Callable[[Random, bytes], bytes]] = {
    "png": mutate_png,
    "jpg": mutate_jpeg,
    "jpeg": mutate_jpeg,
    "bmp": mutate_bmp,
    "tif": mutate_tiff,
    "tiff": mutate_tiff,
    "webp": mutate_webp,
    "gif": mutate_gif,
}

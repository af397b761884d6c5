"""Mutators that know nothing of a format: bytes are flipped, cut, repeated, and numbers replaced by huge ones."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

EXTREMES = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 2**31 - 1, 2**31, 2**32 - 2, 2**32 - 1, 2**63 - 1, 2**64 - 1)
BLOCK = 4096


def mutate_bytes(rng: Random, data: bytes) -> bytes:
    """Return the data with one to three changes of its bytes."""
    for _ in range(rng.choice((1, 1, 2, 3))):
        data = rng.choice(MUTATORS)(rng, data)
    return data


def mutate_head(rng: Random, data: bytes, size: int = 256) -> bytes:
    """Change only the first bytes of a file, where its header is."""
    return rng.choice((flip, overwrite_number))(rng, data[:size]) + data[size:]


def flip(rng: Random, data: bytes) -> bytes:
    """Change up to 16 bits."""
    changed = bytearray(data)
    for _ in range(rng.randint(1, 16) if data else 0):
        changed[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def overwrite_number(rng: Random, data: bytes) -> bytes:
    """Write an extreme number over 1, 2, 4 or 8 bytes."""
    width = rng.choice((1, 2, 4, 4, 8))
    place = rng.randrange(max(1, len(data) - width + 1))
    number = rng.choice(EXTREMES) % 256**width
    return data[:place] + number.to_bytes(width, rng.choice(("little", "big"))) + data[place + width :]


def truncate(rng: Random, data: bytes) -> bytes:
    """Keep the first part, often most of it or next to nothing."""
    return data[: rng.choice((rng.randrange(len(data) + 1), max(0, len(data) - rng.randint(1, 16)), rng.randrange(32)))]


def insert(rng: Random, data: bytes) -> bytes:
    """Put random bytes somewhere."""
    place = rng.randrange(len(data) + 1)
    return data[:place] + rng.randbytes(rng.choice((1, 4, 100))) + data[place:]


def remove(rng: Random, data: bytes) -> bytes:
    """Leave a part out."""
    start, length = _part(rng, data)
    return data[:start] + data[start + length :]


def duplicate(rng: Random, data: bytes) -> bytes:
    """Repeat a part."""
    start, length = _part(rng, data)
    part = data[start : start + length]
    return data[:start] + part * rng.choice((2, 2, 5)) + data[start + length :]


def fill(rng: Random, data: bytes) -> bytes:
    """Overwrite a part with one value, as a bad sector does."""
    start, length = _part(rng, data)
    return data[:start] + bytes([rng.choice((0, 0xFF, 0x20))]) * length + data[start + length :]


def scramble(rng: Random, data: bytes) -> bytes:
    """Overwrite a part with noise."""
    start, length = _part(rng, data)
    return data[:start] + rng.randbytes(length) + data[start + length :]


def append(rng: Random, data: bytes) -> bytes:
    """Add to the end: noise, zeros or the file itself."""
    return data + rng.choice((rng.randbytes(50), bytes(BLOCK), data[:BLOCK]))


def prepend(rng: Random, data: bytes) -> bytes:
    """Put a mark, zeros or noise before the start."""
    return rng.choice((b"\xef\xbb\xbf", b"\n", bytes(16), rng.randbytes(7))) + data


def nothing(rng: Random, data: bytes) -> bytes:
    """Leave an empty file, or one of zeros."""
    return rng.choice((b"", bytes(len(data))))


def _part(rng: Random, data: bytes) -> tuple[int, int]:
    start = rng.randrange(len(data) + 1)
    return start, min(rng.choice((1, 8, 64, 512, BLOCK)), len(data) - start)


MUTATORS: tuple[Callable[[Random, bytes], bytes], ...] = (
    *(flip, flip, overwrite_number, overwrite_number, truncate, truncate),
    *(insert, remove, duplicate, fill, scramble, append, prepend, nothing),
)

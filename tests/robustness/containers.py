"""Mutators that know how video containers are built: MP4 boxes, EBML ids, RIFF chunks, TS packets, Y4M and GIF."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from random import Random

from tests.robustness.octets import EXTREMES, mutate_bytes

PARENT_BOXES = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts", b"dinf", b"udta", b"mvex", b"moof", b"traf")
EBML_IDS = (
    *(b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67", b"\x16\x54\xae\x6b", b"\x1f\x43\xb6\x75", b"\x15\x49\xa9\x66"),
    *(b"\xae", b"\xb0", b"\xba", b"\x86", b"\xa3", b"\xe7", b"\x2a\xd7\xb1", b"\x44\x89", b"\x54\xb0", b"\x23\xe3\x83"),
)
TS_PACKET = 188


def mutate_video(rng: Random, name: str, data: bytes) -> bytes:
    """Change a video file as its container allows, or at random."""
    own = BY_SUFFIX.get(name.rpartition(".")[2])
    if own is None or rng.random() < 0.4:
        return mutate_bytes(rng, data)
    for _ in range(rng.choice((1, 1, 2))):
        data = own(rng, data)
    return data


def mutate_boxes(rng: Random, data: bytes) -> bytes:
    """Change one box of an MP4 or MOV file: its size, type, content, presence or place."""
    boxes = list(_boxes(data, 0, len(data)))
    if not boxes:
        return mutate_bytes(rng, data)
    start, end = rng.choice(boxes)
    kind, box = rng.randrange(8), data[start:end]
    if kind == 0:
        return data[:start] + (rng.choice(EXTREMES) % 2**32).to_bytes(4, "big") + data[start + 4 :]
    if kind == 1:
        return data[: start + 4] + rng.choice((b"free", b"moov", b"mdat", b"\0\0\0\0", b"trak")) + data[start + 8 :]
    if kind == 2:
        return data[:start] + data[end:]
    if kind == 3:
        return data[:end] + box + data[end:]
    if kind == 4:
        other_start, other_end = rng.choice(boxes)
        return data[:start] + data[other_start:other_end] + data[end:]
    content = bytearray(box[8:])
    for _ in range(rng.randint(1, 3) if len(content) >= 4 else 0):
        place = rng.randrange(len(content) - 3) // 4 * 4
        content[place : place + 4] = (rng.choice(EXTREMES) % 2**32).to_bytes(4, "big")
    return data[: start + 8] + bytes(content) + data[end:]


def _boxes(data: bytes, start: int, stop: int) -> Iterator[tuple[int, int]]:
    while start + 8 <= stop:
        size = int.from_bytes(data[start : start + 4], "big")
        if size < 8 or start + size > stop:
            return
        yield start, start + size
        if data[start + 4 : start + 8] in PARENT_BOXES:
            yield from _boxes(data, start + 8, start + size)
        start += size


def mutate_ebml(rng: Random, data: bytes) -> bytes:
    """Change what follows an id of a Matroska or WebM file, its size above all."""
    found = [m.end() for i in EBML_IDS for m in re.finditer(re.escape(i), data[:4096])]
    if not found:
        return mutate_bytes(rng, data)
    place = rng.choice(found)
    new = rng.choice((b"\x80", b"\x81\0", b"\xff", b"\x01" + b"\xff" * 7, b"\x08" + b"\xff" * 4, rng.randbytes(2)))
    return data[:place] + new + data[place + rng.choice((1, len(new))) :]


def mutate_riff(rng: Random, data: bytes) -> bytes:
    """Change one chunk of an AVI file: its size, four characters, content or presence."""
    chunks = list(_chunks(data))
    if not chunks:
        return mutate_bytes(rng, data)
    start, end = rng.choice(chunks)
    kind = rng.randrange(5)
    if kind == 0:
        return data[: start + 4] + (rng.choice(EXTREMES) % 2**32).to_bytes(4, "little") + data[start + 8 :]
    if kind == 1:
        return data[:start] + rng.choice((b"JUNK", b"LIST", b"00dc", b"idx1", b"\0\0\0\0")) + data[start + 4 :]
    if kind == 2:
        return data[:start] + data[end:]
    if kind == 3:
        return data[:end] + data[start:end] + data[end:]
    place = start + 8 + 4 * rng.randrange(max(1, (end - start - 8) // 4))
    return data[:place] + (rng.choice(EXTREMES) % 2**32).to_bytes(4, "little") + data[place + 4 :]


def _chunks(data: bytes) -> Iterator[tuple[int, int]]:
    start = 12
    while start + 8 <= len(data):
        size = int.from_bytes(data[start + 4 : start + 8], "little")
        end = start + 8 + size + size % 2
        yield start, min(end, len(data))
        start = start + 12 if data[start : start + 4] == b"LIST" else end


def mutate_packets(rng: Random, data: bytes) -> bytes:
    """Drop, repeat, swap or change packets of a transport stream, as broadcasts do; or join two streams."""
    packets = [data[i : i + TS_PACKET] for i in range(0, len(data), TS_PACKET)]
    for _ in range(rng.randint(1, 5)):
        i, kind = rng.randrange(len(packets)), rng.randrange(6)
        if kind == 0 and len(packets) > 1:
            del packets[i]
        elif kind == 1:
            packets.insert(i, packets[i])
        elif kind == 2:
            j = rng.randrange(len(packets))
            packets[i], packets[j] = packets[j], packets[i]
        elif kind == 3:
            packets[i] = b"\x47" + rng.randbytes(3) + packets[i][4:]
        elif kind == 4:
            packets[i] = packets[i][:4] + rng.randbytes(len(packets[i][4:]))
        else:
            packets = packets[i:] + packets[:i]
    return b"".join(packets)


def mutate_y4m(rng: Random, data: bytes) -> bytes:
    """Change a word of the header of a YUV4MPEG file, or of a frame."""
    head, _, rest = data.partition(b"\n")
    words = head.split(b" ")
    i = rng.randrange(len(words))
    values = (b"", b"0", b"-1", b"1", b"17", b"65536", b"2147483647", b"99999999999", b"0:0", b"1:0", b"x" * 300)
    odd = (b"444p16", b"mono", b"\0", b"420p99")
    words[i] = words[i][:1] + rng.choice((*values, *odd))
    return b" ".join(words) + b"\n" + rest


def mutate_gif(rng: Random, data: bytes) -> bytes:
    """Change the size, the palette flag or a frame's place of a GIF."""
    frames = [m.start() for m in re.finditer(b"\x2c", data)]
    place = rng.choice((6, 8, 10, rng.choice(frames or [6]) + rng.choice((1, 3, 5, 7, 9))))
    return data[:place] + (rng.choice(EXTREMES) % 2**16).to_bytes(2, "little") + data[place + 2 :]


BY_SUFFIX: dict[str, Callable[[Random, bytes], bytes]] = {
    **dict.fromkeys(("mp4", "mov", "m4v"), mutate_boxes),
    **dict.fromkeys(("mkv", "webm"), mutate_ebml),
    "avi": mutate_riff,
    "ts": mutate_packets,
    "y4m": mutate_y4m,
    "gif": mutate_gif,
}

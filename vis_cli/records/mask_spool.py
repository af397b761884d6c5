"""Masks of a video in a file while it is segmented, so that a long video needs no memory for them.

The file grows window by window. Each part has a line with the id of the object, the first frame, the number of frames
and the number of bytes, followed by the counts of one RLE per line. An empty line is a frame without a mask. Used by
`commands.partial_result`.
"""

from __future__ import annotations

import os
import zlib
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, repeat
from typing import BinaryIO

from vis_cli.records.rle import Rle
from vis_cli.records.segmentations import Segmentations

PART_FRAMES = 128  # maximum number of frames of one part
CACHED_PARTS = 256  # parts in memory when frames are read: more than objects in one frame
MAX_HEADER = 100  # bytes of the line before a part


@dataclass(frozen=True, slots=True)
class _Part:
    """Masks of one object in consecutive frames. The first and the last one are not None."""

    first: int  # frame index
    num_frames: int
    offset: int  # in the file
    size: int  # bytes


class MaskSpool:
    """Masks by object in an open file. They are appended in the order of the frames."""

    def __init__(self, file: BinaryIO, mask_size: tuple[int, int]) -> None:
        """Use an empty file.

        Args:
            file: Opened for reading and writing, without a buffer: closing it writes nothing, so it cannot fail because
                the disk is full. The caller closes it.
            mask_size: (H, W) of the masks.
        """
        self._file = file
        self._mask_size = mask_size
        self._parts: dict[int, list[_Part]] = {}
        self._cache: OrderedDict[int, list[Rle | None]] = OrderedDict()
        self.num_bytes = 0
        self.checksum = 0  # CRC-32 of all bytes

    def append(self, id_: int, masks: Mapping[int, Rle]) -> None:
        """Append masks of an object by frame index. All frames are later than its earlier frames.

        Raises:
            OSError: The file cannot be written.
        """
        frames, start = sorted(masks), 0
        for end in range(1, len(frames) + 1):
            if end == len(frames) or frames[end] - frames[start] >= PART_FRAMES:
                span = range(frames[start], frames[end - 1] + 1)
                self._write(id_, span, [masks[frame]["counts"] if frame in masks else "" for frame in span])
                start = end

    def restore(self, num_bytes: int, checksum: int) -> bool:
        """Continue with the first bytes of the file, which an earlier process wrote. The other bytes are removed.

        Returns:
            False if the file does not contain these bytes.
        """
        self._file.seek(0)
        while self.num_bytes < num_bytes:
            header = self._file.readline(MAX_HEADER)
            numbers = [int(word) for word in header.split() if word.isdigit()]
            if len(numbers) != 4 or numbers[-1] > num_bytes:
                return False
            id_, first, num_frames, size = numbers
            body = self._file.read(size)
            self._parts.setdefault(id_, []).append(_Part(first, num_frames, self.num_bytes + len(header), size))
            self._count(header + body)
        self._file.truncate(self.num_bytes)
        return (self.num_bytes, self.checksum) == (num_bytes, checksum)

    def segmentations(self, num_frames: int) -> dict[int, Segmentations]:
        """Return the masks of each object in a video of T frames. They are read from the file when they are used."""
        return {
            id_: Segmentations(num_frames, parts[0].first, _SpooledSpan(self, parts))
            for id_, parts in self._parts.items()
        }

    def read(self, part: _Part) -> list[Rle | None]:
        """Return the masks of a part. The parts that were read last stay in memory."""
        if part.offset in self._cache:
            self._cache.move_to_end(part.offset)
            return self._cache[part.offset]
        self._file.seek(part.offset)
        lines = self._file.read(part.size).decode("ascii").split("\n")
        masks = [Rle(size=list(self._mask_size), counts=counts) if counts else None for counts in lines]
        self._cache[part.offset] = masks
        if len(self._cache) > CACHED_PARTS:
            self._cache.popitem(last=False)
        return masks

    def _write(self, id_: int, frames: range, counts: Sequence[str]) -> None:
        body = "\n".join(counts).encode("ascii")
        header = f"{id_} {frames.start} {len(frames)} {len(body)}\n".encode()
        self._file.seek(0, os.SEEK_END)
        rest = memoryview(header + body)
        while rest:  # a full disk takes a part of the bytes
            rest = rest[self._file.write(rest) :]
        offset = self.num_bytes + len(header)
        self._parts.setdefault(id_, []).append(_Part(frames.start, len(frames), offset, len(body)))
        self._count(header + body)

    def _count(self, data: bytes) -> None:
        self.num_bytes += len(data)
        self.checksum = zlib.crc32(data, self.checksum)


class _SpooledSpan:
    """Masks of one object from the first to the last mask, read from a spool."""

    def __init__(self, spool: MaskSpool, parts: Sequence[_Part]) -> None:
        self._spool = spool
        self._parts = parts
        self._first = parts[0].first

    def __len__(self) -> int:
        return self._parts[-1].first + self._parts[-1].num_frames - self._first

    def __getitem__(self, position: int, /) -> Rle | None:
        frame = position + self._first
        low, high = 0, len(self._parts)  # the part starts at or before the frame
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self._parts[middle].first <= frame else (low, middle)
        part = self._parts[low]
        return self._spool.read(part)[frame - part.first] if frame < part.first + part.num_frames else None

    def __iter__(self) -> Iterator[Rle | None]:
        ends = (part.first + part.num_frames for part in self._parts)
        for part, end_before in zip(self._parts, chain([self._first], ends), strict=False):
            yield from repeat(None, part.first - end_before)
            yield from self._spool.read(part)

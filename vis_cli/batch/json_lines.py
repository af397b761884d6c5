"""Large files of JSON lines, read in blocks that several processes can share. Used by `manifest`, `plan` and `status`.

Python parses one array of many lines in half of the time of the single lines.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vis_cli.files.limits import MIB
from vis_cli.files.reading import read_error

BLOCK_BYTES = 4 * MIB
GROUP = 256  # lines that are parsed at once: their values fit into the cache of a core


@dataclass(frozen=True, slots=True)
class Block:
    """The lines of a file that start at a byte from `start` to before `stop`."""

    path: Path
    start: int
    stop: int


def blocks_of(path: Path) -> list[Block]:
    """Return the blocks of a file.

    Raises:
        VisError: The file cannot be read.
    """
    try:
        size = path.stat().st_size
    except OSError as error:
        raise read_error(path, error) from error
    return [Block(path, start, min(size, start + BLOCK_BYTES)) for start in range(0, size, BLOCK_BYTES)]


def read_values(block: Block) -> Iterator[Any]:
    """Yield the value of each line of a block, None for a line that is not JSON.

    A last line of the file without an end is omitted.

    Raises:
        VisError: The file cannot be read.
    """
    lines = _read_lines(block)
    for start in range(0, len(lines), GROUP):
        yield from _parse_group(lines[start : start + GROUP])


def first_line_number(block: Block) -> int:
    """Return the number of the first line of a block, counted from 1.

    Raises:
        VisError: The file cannot be read.
    """
    number, rest = 1, block.start
    try:
        with block.path.open("rb") as file:
            while rest and (data := file.read(min(rest, BLOCK_BYTES))):
                number += data.count(b"\n")
                rest -= len(data)
            starts_inside = block.start > 0 and os.pread(file.fileno(), 1, block.start - 1) != b"\n"
    except OSError as error:
        raise read_error(block.path, error) from error
    return number + starts_inside


def _read_lines(block: Block) -> list[bytes]:
    """Return the lines of a block without their ends."""
    try:
        with block.path.open("rb") as file:
            if block.start:
                file.seek(block.start - 1)
                file.readline()  # a line that starts before the block, or the end of the line before it
            data = file.read(max(0, block.stop - file.tell()))
            if data and not data.endswith(b"\n"):
                data += file.readline()
    except OSError as error:
        raise read_error(block.path, error) from error
    return data.split(b"\n")[:-1]


def _parse_group(lines: list[bytes]) -> list[Any]:
    try:
        values: list[Any] = json.loads(b"[" + b",".join(lines) + b"]")
        if len(values) == len(lines):  # a damaged line can be several values with commas
            return values
    except (ValueError, RecursionError):
        pass
    return [_parse(line) for line in lines]


def _parse(line: bytes) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None

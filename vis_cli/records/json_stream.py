"""A JSON list read item by item, so that a file of any size is never whole in memory.

Used by `youtube_vis_results`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TextIO

from vis_cli.errors import VisError

CHUNK = 2**23  # characters read at once, at least
BLANKS = " \t\n\r"


def iter_json_list(stream: TextIO, where: str) -> Iterator[tuple[object, str]]:
    """Yield the items of a list and the text that each was read from; an item that is a bare number may be cut.

    Raises:
        VisError: the stream is no JSON, holds no list, or ends too early.
    """
    text = _Text(stream, where)
    if text.take("[]{") != "[":
        raise VisError(f"{where}: must hold a list of entries, as results.json does")
    if text.peek() == "]":
        text.take("]")
    else:
        yield text.take_value()
        while text.take(",]") == ",":
            yield text.take_value()
    if text.peek():
        raise text.damage("something follows the end of the list")


class _Text:
    """Hold the part of a stream that is being read."""

    def __init__(self, stream: TextIO, where: str) -> None:
        self._stream = stream
        self._where = where
        self._decoder = json.JSONDecoder()
        self._buffer = ""
        self._position = 0

    def peek(self) -> str:
        """Return the next character that is no blank, nothing at the end."""
        while True:
            while self._position < len(self._buffer):
                character = self._buffer[self._position]
                if character not in BLANKS:
                    return character
                self._position += 1
            if not self._read_on():
                return ""

    def take(self, allowed: str) -> str:
        """Step over the next character, which must be one of `allowed`."""
        character = self.peek()
        if not character or character not in allowed:
            raise self.damage(f"one of {' '.join(allowed)} is missing" if character else "it ends too early")
        self._position += 1
        return character

    def take_value(self) -> tuple[object, str]:
        """Step over the next value and return it with its text."""
        self.peek()
        while True:
            try:
                value, end = self._decoder.raw_decode(self._buffer, self._position)
            except json.JSONDecodeError as error:
                if not self._read_on():  # it was not cut off by the end of the buffer
                    raise self.damage(error.msg) from error
            else:
                source = self._buffer[self._position : end]
                self._position = end
                return value, source

    def damage(self, reason: str) -> VisError:
        """Return the error that says what is wrong."""
        return VisError(f"{self._where}: not a JSON file, or a damaged one ({reason})")

    def _read_on(self) -> bool:
        """Forget what was read and append what follows; say whether there was anything."""
        rest = self._buffer[self._position :]
        try:
            more = self._stream.read(max(CHUNK, len(rest)))
        except UnicodeDecodeError as error:
            raise self.damage(str(error)) from error
        self._buffer, self._position = rest + more, 0
        return bool(more)

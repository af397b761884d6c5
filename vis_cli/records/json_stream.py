"""A JSON list read item by item, so that a file of any size is never whole in memory.

Used by `youtube_vis_results` and `submission_check`.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from typing import Any, BinaryIO, TextIO

from vis_cli.errors import VisError
from vis_cli.files.limits import MAX_ENTRY_CHARACTERS, MAX_ENTRY_VALUES
from vis_cli.files.names import printable
from vis_cli.records.json_fields import require_bounded

CHUNK = 2**23  # characters read at once, at least
LONGEST_WORD = 16  # characters of what can be cut off inside of it, as -Infinity, except a string
_BLANKS = re.compile(r"[ \t\n\r]*")


def open_json_text(stream: BinaryIO) -> tuple[TextIO, str | None]:
    """Decode a JSON file, and return what of its encoding no server reads, None where it is plain UTF-8."""
    head = stream.read(4)
    encoding = json.detect_encoding(head)
    text = io.TextIOWrapper(io.BufferedReader(_Joined(head, stream)), encoding=encoding)
    if encoding == "utf-8":
        return text, None
    return text, "begins with a byte order mark" if encoding == "utf-8-sig" else f"is encoded in {encoding.upper()}"


class _Joined(io.RawIOBase):
    """Bytes that were read already, and the stream that they were read from."""

    def __init__(self, head: bytes, stream: BinaryIO) -> None:
        self._head = head
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._head or self._stream.read(len(buffer))
        self._head = b""
        buffer[: len(data)] = data
        return len(data)


def iter_json_list(stream: TextIO, where: str) -> Iterator[tuple[object, str]]:
    """Yield the items of a list and the text that each was read from; an item that is a bare number may be cut.

    Raises:
        VisError: the stream is no JSON, holds no list, or ends too early.
    """
    text = _Text(stream, where)
    if text.take("[]{") != "[":
        raise VisError("must hold a list of entries, as results.json does", where=where)
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
        """Return the next character that is not a blank, nothing at the end."""
        while True:
            match = _BLANKS.match(self._buffer, self._position)
            self._position = match.end() if match else self._position
            if self._position < len(self._buffer):
                return self._buffer[self._position]
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
                if not self._is_cut_off(error) or not self._read_on():
                    raise self.damage(error.msg) from error
            except ValueError as error:  # Python limits the digits of a number
                raise self.damage("a number has thousands of digits") from error
            except RecursionError as error:
                raise self.damage("lists and objects nest too deeply") from error
            else:
                source = self._buffer[self._position : end]
                self._position = end
                return value, source

    def damage(self, reason: str) -> VisError:
        """Return the error that says what is wrong."""
        return VisError(f"not a JSON file, or damaged ({printable(reason)})", where=self._where)

    def _is_cut_off(self, error: json.JSONDecodeError) -> bool:
        """Tell whether the end of the buffer may be the cause of an error."""
        return error.pos + LONGEST_WORD >= len(self._buffer) or error.msg.startswith("Unterminated string")

    def _read_on(self) -> bool:
        """Forget what was read and append what follows; say whether there was anything."""
        rest = self._buffer[self._position :]
        if len(rest) > CHUNK:
            require_bounded(rest, self._where, MAX_ENTRY_VALUES)
        if len(rest) > MAX_ENTRY_CHARACTERS:
            raise self.damage(f"an entry has more than {MAX_ENTRY_CHARACTERS:,} characters")
        try:
            more = self._stream.read(max(CHUNK, len(rest)))
        except UnicodeError as error:
            raise self.damage(str(error)) from error
        self._buffer, self._position = rest + more, 0
        return bool(more)

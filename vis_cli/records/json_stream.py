"""Streaming reader of a JSON list. It keeps one item in memory, so that the file may be larger than the memory.

Used by `youtube_vis_results` and `submission_check`. docs/explanation/architecture.md#reading-large-files compares it
with ijson and json-stream.
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
from vis_cli.records.json_fields import RESTORE, require_bounded

CHUNK = 2**23  # minimum number of characters per read
LONGEST_WORD = 16  # characters of the longest token except strings, such as -Infinity
_SPACES = re.compile(r"[ \t\n\r]*")


def open_json_text(stream: BinaryIO) -> tuple[TextIO, str | None]:
    """Open a JSON file as text.

    Returns:
        The text, and the property of the encoding that evaluation servers reject; None for UTF-8 without a byte order
        mark.
    """
    head = stream.read(4)
    encoding = json.detect_encoding(head)
    text = io.TextIOWrapper(io.BufferedReader(_Joined(head, stream)), encoding=encoding)
    if encoding == "utf-8":
        return text, None
    return text, "begins with a byte order mark" if encoding == "utf-8-sig" else f"is encoded in {encoding.upper()}"


class _Joined(io.RawIOBase):
    """A stream whose first bytes were already read, with these bytes."""

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
    """Yield each item of a JSON list with its JSON text.

    An item that is a number, instead of an object, can be cut at the end of a read. All callers reject such items.

    Args:
        stream: The JSON text.
        where: File, for the error message.

    Raises:
        VisError: The stream is not JSON, does not contain a list, or ends early.
    """
    text = _Text(stream, where)
    if text.take("[]{") != "[":
        raise VisError("the file contains an object", where=where, hint="Use a list of entries, as in results.json.")
    if text.peek() == "]":
        text.take("]")
    else:
        yield text.take_value()
        while text.take(",]") == ",":
            yield text.take_value()
    if text.peek():
        raise text.damage("text after the end of the list")


class _Text:
    """Buffer for the part of a stream that is being parsed."""

    def __init__(self, stream: TextIO, where: str) -> None:
        self._stream = stream
        self._where = where
        self._decoder = json.JSONDecoder()
        self._buffer = ""
        self._position = 0

    def peek(self) -> str:
        """Return the next character that is not white space, or an empty string at the end."""
        while True:
            match = _SPACES.match(self._buffer, self._position)
            self._position = match.end() if match else self._position
            if self._position < len(self._buffer):
                return self._buffer[self._position]
            if not self._read_on():
                return ""

    def take(self, allowed: str) -> str:
        """Consume the next character and return it.

        Raises:
            VisError: The character is not in `allowed`, or the stream ends.
        """
        character = self.peek()
        if not character or character not in allowed:
            raise self.damage(f"one of {' '.join(allowed)} is missing" if character else "the file ends early")
        self._position += 1
        return character

    def take_value(self) -> tuple[object, str]:
        """Consume the next value and return it with its text.

        Raises:
            VisError: The value is damaged or exceeds a limit.
        """
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
                raise self.damage("the lists and objects are nested too deeply") from error
            else:
                source = self._buffer[self._position : end]
                self._position = end
                return value, source

    def damage(self, reason: str) -> VisError:
        """Return the error for a damaged file."""
        return VisError(f"not a JSON file, or damaged ({printable(reason)})", where=self._where, hint=RESTORE)

    def _is_cut_off(self, error: json.JSONDecodeError) -> bool:
        """Return whether the end of the buffer can be the cause of an error."""
        return error.pos + LONGEST_WORD >= len(self._buffer) or error.msg.startswith("Unterminated string")

    def _read_on(self) -> bool:
        """Drop the consumed part of the buffer and append the next part of the stream. Return False at its end."""
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

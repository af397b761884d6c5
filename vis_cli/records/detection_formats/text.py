"""Lines of numbers in text files of detections, read one at a time. Used by `mot` and `yolo`."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from vis_cli.errors import VisError
from vis_cli.files.limits import MAX_DETECTION_BYTES, MAX_LINE_CHARACTERS, MIB
from vis_cli.files.names import printable
from vis_cli.files.reading import open_limited, read_errors
from vis_cli.records.detection_formats.rows import require_capacity

_PLAIN = re.compile(r"[0-9eE+\-., \t]*")  # characters of numbers and separators: no words such as nan or 1_000
_HINT = "Use numbers with a decimal point, separated by commas or spaces."


def require_few_lines(paths: Sequence[Path], where: Path) -> None:
    """Reject binary files, and files with too many lines, before the lines are converted.

    Args:
        paths: The files.
        where: The file or the folder, for the error message.

    Raises:
        VisError: A file cannot be read or is binary, or the files have more than MAX_DETECTIONS lines.
    """
    num_lines = 0
    for path in paths:
        with open_limited(path, limit=MAX_DETECTION_BYTES) as file, read_errors(path):
            while part := file.read(MIB):
                if b"\0" in part:
                    hint = "Use a file in UTF-8, such as det.txt."
                    raise VisError(f"cannot read {path}: the file is binary or UTF-16", hint=hint)
                num_lines += part.count(b"\n")
                require_capacity(num_lines, str(where))


def iter_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the number and the text of each line, without blank lines and comments that start with #.

    Raises:
        VisError: The file cannot be read, is not UTF-8, or has too long lines.
    """
    file = open_limited(path, limit=MAX_DETECTION_BYTES)
    with io.TextIOWrapper(file, encoding="utf-8-sig", newline=None) as stream, read_errors(path):
        try:
            yield from _lines(stream, path)
        except UnicodeDecodeError as error:
            raise VisError(f"cannot read {path}: the file is not UTF-8", hint="Save the file as UTF-8.") from error


def split_line(line: str) -> list[str]:
    """Return the values of a line. A comma at its end is ignored."""
    return [text.strip() for text in _split(line)]


def parse_numbers(line: str, path: Path, number: int) -> list[float]:
    """Convert a line to finite numbers.

    Args:
        line: The text.
        path: The file, for the error message.
        number: Number of the line, for the error message.

    Raises:
        VisError: A value is not a finite decimal number.
    """
    if _PLAIN.fullmatch(line):
        try:
            numbers = list(map(float, _split(line)))
        except ValueError:
            pass
        else:
            if all(map(math.isfinite, numbers)):
                return numbers
    texts, where = split_line(line), f"{path}: line {number}"
    wrong = ((column, text) for column, text in enumerate(texts, start=1) if not _is_number(text))
    column, text = next(wrong, (0, ""))
    if not column:  # the values are numbers, but a space between them is, for example, U+00A0
        raise VisError(f"a separator is not valid: {printable(line)!r}", where=where, hint=_HINT)
    value = f"value {column} is {printable(text)!r}" if text else f"value {column} is empty"
    raise VisError(value, where=where, hint="Use finite numbers." if _is_not_finite(text) else _HINT)


def is_number_text(text: str) -> bool:
    """Return whether a value is a number, or NaN or infinity."""
    return _is_number(text) or _is_not_finite(text)


def ends_with_integer(line: str) -> bool:
    """Return whether the last value of a valid line is an integer without sign, decimal point or exponent."""
    return _split(line)[-1].strip().isdecimal()


def _split(line: str) -> list[str]:
    return line.removesuffix(",").split(",") if "," in line else line.split()


def _lines(stream: io.TextIOWrapper, path: Path) -> Iterator[tuple[int, str]]:
    number = 0
    while line := stream.readline(MAX_LINE_CHARACTERS):
        number += 1
        if len(line) == MAX_LINE_CHARACTERS:
            problem = f"the line has more than {MAX_LINE_CHARACTERS:,} characters"
            raise VisError(problem, where=f"{path}: line {number}", hint="Use one detection per line.")
        text = line.strip()
        if text and not text.startswith("#"):
            yield number, text


def _is_number(text: str) -> bool:
    if not _PLAIN.fullmatch(text):
        return False
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _is_not_finite(text: str) -> bool:
    try:
        return text.isascii() and not math.isfinite(float(text))
    except ValueError:
        return False

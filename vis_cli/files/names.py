"""Names that come from files: conversion to safe paths and printable text, and natural sort order.

Used by every reader and writer that takes a name from a file, and by `records.inputs`.
"""

from __future__ import annotations

import re
import unicodedata
from pathlib import PurePosixPath
from typing import TypeAlias

from vis_cli.errors import VisError
from vis_cli.files.limits import MAX_NAME_BYTES, MAX_PATH_CHARACTERS, SHOWN_CHARACTERS

NaturalKey: TypeAlias = tuple[tuple[str | tuple[int, str], ...], str]

_DIGITS = re.compile("([0-9]+)")
_DRIVE = re.compile("[A-Za-z]:")
_PLAIN_NAME = re.compile("[A-Za-z0-9_-][A-Za-z0-9_. -]*")
_UNPRINTABLE = frozenset({"Cc", "Cs", "Zl", "Zp"})  # control characters, lone surrogates, line separators
_INVISIBLE = _UNPRINTABLE | {"Cf", "Zs"}  # in addition: format characters such as U+200B, and spaces other than " "
# Characters of other categories that show nothing: fillers, the blank of Braille, and variation selectors.
_BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0")
_JOINERS = frozenset("\u200c\u200d")
_KEYCAP = "\u20e3"
# Marks that change the direction of text. The joiners U+200C and U+200D stay: Persian names and emoji need them.
_DIRECTION = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")


def safe_relative_path(name: str, where: str) -> PurePosixPath:
    """Convert a name from a file to a relative path that stays inside its folder.

    A name from Windows, with backslashes and no slashes, is read as a path with slashes.

    Args:
        name: The name as stored in the file.
        where: File and entry, for the error message.

    Raises:
        VisError: The name is empty, absolute or too long, or it contains `..`, control or direction characters.
    """
    path = name.replace("\\", "/") if "/" not in name else name
    parts = path.split("/")
    cause = _unsafe(path, [part for part in parts if part not in ("", ".")])
    if cause is not None:
        problem = f"unsafe name {printable(name)!r}: {cause}"
        raise VisError(problem, where=where, hint="Use a relative path without '..'.")
    return PurePosixPath(*(part for part in parts if part not in ("", ".")))


def folded_name(name: str) -> str:
    """Return a name without differences of case and Unicode form, which some file systems ignore."""
    if name.isascii():
        return name.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def safe_file_name(name: str, *, max_bytes: int, fallback: str, tail: str = "") -> str:
    """Convert a name to one visible file name that every file system and archive accepts.

    Each control, surrogate or direction character and each slash becomes `_`. Leading dots are removed.

    Args:
        name: Any string, such as the name of a video.
        max_bytes: Maximum length in bytes. A longer name is cut at its end.
        fallback: Result if no character of the name remains.
        tail: Text to append. It is never shortened.
    """
    if name.isascii() and _PLAIN_NAME.fullmatch(name) and len(name) <= max_bytes - len(tail.encode()):
        return name + tail  # fast, because a batch can have millions of videos
    plain = "".join("_" if character in "/\\" or is_unprintable(character) else character for character in name)
    plain = plain.lstrip(".")
    if _DRIVE.match(plain):
        plain = f"{plain[0]}_{plain[2:]}"
    kept = (plain or fallback).encode()[: max_bytes - len(tail.encode())].decode(errors="ignore")
    return kept + tail


def natural_key(name: str) -> NaturalKey:
    """Return a sort key that puts "frame10" after "frame2". The name itself breaks ties."""
    parts = _DIGITS.split(name.lower())
    # Compare digits by length, then as strings: conversion of thousands of digits to integers is slow, or rejected.
    keys = tuple((len(p.lstrip("0")), p.lstrip("0")) if i % 2 else p for i, p in enumerate(parts))
    return keys, name


def printable(text: str, *, limit: int = SHOWN_CHARACTERS) -> str:
    """Convert text from a file to one printable line without escape sequences, of at most `limit` characters.

    Each control, surrogate, direction or invisible character becomes its escape, such as ``\\x1b`` or ``\\u200b``.
    """
    triples = zip(f" {text}", text[:limit], f"{text[1:]} ", strict=False)
    shown = "".join(_escape(triple[1]) if _is_hidden(*triple) else triple[1] for triple in triples)
    return shown if len(text) <= limit else f"{shown}… ({len(text)} characters)"


def is_unprintable(character: str) -> bool:
    """Return whether a character is a control, surrogate or direction character."""
    return character in _DIRECTION or unicodedata.category(character) in _UNPRINTABLE


def _unsafe(path: str, parts: list[str]) -> str | None:
    if not parts:
        return "the name is empty"
    if path.startswith("/") or _DRIVE.match(path):
        return "the path is absolute"
    if ".." in parts:
        return "the path leaves its folder"
    if any(map(is_unprintable, path)):
        return "the name contains control or direction characters"
    if len(path) > MAX_PATH_CHARACTERS or any(len(part.encode()) > MAX_NAME_BYTES for part in parts):
        return f"the name is longer than {MAX_NAME_BYTES} bytes"
    return None


def _is_hidden(before: str, character: str, after: str) -> bool:
    """Return whether a character shows nothing between two others. Joiners and variation selectors form emoji."""
    if character == " ":
        return False
    if character in _JOINERS:
        return before.isascii() or after.isascii()
    if "\ufe00" <= character <= "\ufe0f":
        return before.isascii() and after != _KEYCAP
    is_selector = "\U000e0100" <= character <= "\U000e01ef"
    return is_selector or character in _BLANK or unicodedata.category(character) in _INVISIBLE


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")

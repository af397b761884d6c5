"""Messages of a module that must not print: the caller decides where they go."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class Messages(Protocol):
    """Messages to the user. `console.Reporter` prints them on stderr."""

    def note(self, message: str) -> None:
        """Take information, such as an assumption."""

    def warn(self, message: str) -> None:
        """Take a warning about a possible mistake."""


class NoMessages:
    """Messages that nobody reads."""

    def note(self, message: str) -> None:
        """Drop the message."""

    def warn(self, message: str) -> None:
        """Drop the message."""


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, such as '1 frame' or '2 frames'."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def listed(words: Sequence[str]) -> str:
    """Return words as a list in a sentence, such as 'a, b and c'."""
    return " and ".join(filter(None, (", ".join(words[:-1]), *words[-1:])))


def hint_at_left_out(number: int) -> str:
    """Return a message about instances that are not shown, and how to show them."""
    are, them = ("is", "it") if number == 1 else ("are", "them")
    return f"{counted(number, 'less likely instance')} {are} left out. To see {them}, use --min-score 0."

"""Tests of `vis_cli.files.names`: safe paths, natural order, printable text."""

from __future__ import annotations

import pytest

from vis_cli.errors import VisError
from vis_cli.files.names import natural_key, printable, safe_relative_path


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("a/00000.jpg", "a/00000.jpg"),
        ("./a//b.png", "a/b.png"),
        ("images\\0.jpg", "images/0.jpg"),
        ("é ü.png", "é ü.png"),
    ],
)
def test_harmless_names_become_relative_paths(name: str, path: str) -> None:
    assert str(safe_relative_path(name, "split.json")) == path


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "/",
        "..",
        "x/../y",
        "..\\y",
        "/etc/passwd",
        "C:\\x",
        "c:x",
        "a\0b",
        "a\x1b[2J",
        "a\nb",
        "a\u202eb",
        "a\x9bb",
        "\ud800",
        "x" * 256,
        "a/" * 3000 + "b",
    ],
)
def test_names_that_leave_the_folder_or_cannot_be_shown_are_rejected(name: str) -> None:
    with pytest.raises(VisError, match=r"split\.json: unsafe name") as caught:
        safe_relative_path(name, "split.json")
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 500


def test_digits_sort_by_value_however_many_there_are() -> None:
    names = ["10", "9", "1" + "0" * 5000, "010", "09", "9" * 4999]
    assert sorted(names, key=natural_key) == ["09", "9", "010", "10", "9" * 4999, "1" + "0" * 5000]


@pytest.mark.parametrize(
    "character",
    [
        *("\u200b", "\u00ad", "\u2060", "\U000e0041", "\u2028", "\u2029", "\u00a0", "\u202f", "\u3000", "\u180e"),
        *("\u200c", "\u200d", "\ufe0f", "\u3164", "\u2800", "\u034f", "\U000e0101", "\ufeff", "\u2066", "\ufff9"),
    ],
    ids=ascii,
)
def test_invisible_characters_are_escaped(character: str) -> None:
    escape = character.encode("unicode_escape").decode()
    for before, after in (("be", "ar"), ("bear", ""), ("", "bear")):
        assert printable(before + character + after) == before + escape + after


@pytest.mark.parametrize(
    "text",
    [
        "a b",
        "naïve 東京",
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
        "👩\u200d🚀",
        "❤\ufe0f",
        "1\ufe0f\u20e3",
        "e\u0301",
    ],
    ids=ascii,
)
def test_visible_text_is_printed_as_it_is(text: str) -> None:
    assert printable(text) == text


def test_names_with_invisible_characters_stay_usable() -> None:
    assert str(safe_relative_path("clip\u00a01/a\u00ad.jpg", "split.json")) == "clip\u00a01/a\u00ad.jpg"


def test_printable_escapes_what_a_terminal_would_obey_and_shortens() -> None:
    assert printable("a\x1b[31m\u202e\x9b\ud800b") == "a\\x1b[31m\\u202e\\x9b\\ud800b"
    assert printable("x" * 5000, limit=10) == "xxxxxxxxxx… (5000 characters)"

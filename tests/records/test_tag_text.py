"""Texts of tags, and their images at every size of frame."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from tests.records.result_factory import make_instance
from vis_cli.records.palette import PALETTE
from vis_cli.records.tag_text import TextStyle, choose_text_styles, draw_tag, tag_texts


def style(short_side: int = 360) -> TextStyle:
    styles = choose_text_styles(short_side)
    assert styles is not None
    return styles[0]


def texts(name: str = "cat", *, show_score: bool = True, category_id: int | None = 7) -> tuple[str, str, str]:
    instance = make_instance(12, [None], category_id=category_id, score=0.834)
    return tag_texts(instance, {7: name}, style(), show_score=show_score)


def test_category_id_and_score() -> None:
    assert texts() == ("cat 12  0.83", "cat 12", "12")
    assert texts("giant_panda")[1] == "giant_panda 12"


def test_given_objects_have_no_score() -> None:
    assert texts(show_score=False) == ("cat 12", "cat 12", "12")
    assert texts(category_id=None) == ("12", "12", "12")


@pytest.mark.parametrize("name", ["Hündchen", "Hu\u0308ndchen", "собака", "σκύλος", "كلب", "crème brûlée", "løv–å"])
def test_names_that_the_font_contains(name: str) -> None:
    drawn = texts(name)[1].removesuffix(" 12")
    assert drawn == ("Hündchen" if name.endswith("ndchen") else name)  # composed, also if it was not
    assert not missing_glyph_is_drawn(drawn)


@pytest.mark.parametrize("name", ["狗", "Hund 狗", "犬", "개", "🐶", "two\nlines", "tab\there", "\u200b", "", " "])
def test_other_names_are_omitted(name: str) -> None:
    assert texts(name) == ("12", "12", "12")


def test_names_without_a_place_in_a_frame_are_omitted() -> None:
    assert texts("x" * 100)[1] == "x" * 100 + " 12"
    assert texts("x" * 101) == ("12", "12", "12")
    assert texts("x" * 1_000_001) == ("12", "12", "12")  # Pillow refuses such a text


def missing_glyph_is_drawn(text: str) -> bool:
    missing = bytes(style().font.getmask("\uffff"))
    return any(bytes(style().font.getmask(character)) == missing for character in text)


def test_characters_differ_in_the_image() -> None:
    """OpenCV 4 draws all of these names as question marks."""
    images = [draw_tag(text, PALETTE[0], style(), is_weak=False) for text in ("ä", "ö", "ü", "?")]
    for first, second in itertools.combinations(images, 2):
        assert first.shape != second.shape or (first != second).any()


@pytest.mark.parametrize("color", PALETTE)
def test_text_is_legible(color: tuple[int, int, int]) -> None:
    """The contrast ratio of text and background is at least 3:1, the minimum of WCAG 2 for large text and symbols."""
    for is_weak in (False, True):
        image = draw_tag("cat 1", color, style(), is_weak=is_weak).reshape(-1, 3)
        background = image[0]
        ink = image[np.abs(image.astype(int) - background).sum(axis=1).argmax()]
        light, dark = sorted((luminance(ink), luminance(background)), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 3
        assert (tuple(background) == color) is not is_weak


def luminance(color: np.ndarray) -> float:
    linear = np.where(color / 255 <= 0.04045, color / 255 / 12.92, ((color / 255 + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))


def test_nothing_of_the_text_is_cut_off() -> None:
    for text in ("Ägypter 1", "jj 9", "dog 1", "(Å)"):
        image = draw_tag(text, PALETTE[0], style(), is_weak=False)
        border = np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]])
        assert (border == PALETTE[0]).all()


@pytest.mark.parametrize(
    ("short_side", "height"), [(96, 7), (180, 7), (240, 8), (360, 11), (576, 15), (1080, 23), (2160, 36)]
)
def test_letters_grow_with_the_frame(short_side: int, height: int) -> None:
    capital = draw_tag("H", (0, 0, 0), style(short_side), is_weak=False)
    rows = np.flatnonzero((capital > 128).any(axis=(1, 2)))
    assert np.ptp(rows) + 1 == pytest.approx(height, abs=1)


def test_crowds_have_smaller_letters() -> None:
    styles = choose_text_styles(720)
    assert styles is not None
    assert styles[0] == styles[1]
    assert styles[2].capital_height == pytest.approx(0.8 * styles[0].capital_height, abs=1)


def test_small_frames_have_no_text() -> None:
    assert choose_text_styles(95) is None

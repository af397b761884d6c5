"""Tags of instances: their words, and the images of these words.

Used by `overlay`. OpenCV 4 draws "?" for each character outside of ASCII, so Pillow draws the text, in DejaVu Sans of
matplotlib. This font contains the Latin, Greek, Cyrillic, Arabic and Hebrew scripts. A category with a character that
it lacks, such as a Chinese one, or with more than MAX_NAME characters is omitted: the tag is the id.
"""

from __future__ import annotations

import importlib.util
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from vis_cli.records.palette import Color
from vis_cli.records.types import InstanceSequence

CAPITAL_HEIGHT = 11  # height of capital letters in pixels in a frame with the short side REFERENCE_SIDE
REFERENCE_SIDE = 360
GROWTH = 2 / 3  # power of the short side: large videos are shown on large screens, so letters grow less than frames
CROWDED_SIZE = 0.8  # of letters in crowds
MIN_CAPITAL_HEIGHT = 7  # pixels; smaller letters are not legible
MIN_TAGGED_SIDE = 96  # pixels; in smaller frames a tag hides too much
CAPITALS_PER_EM = 0.729  # of DejaVu Sans
DARK_LIGHTNESS = 140  # of 255 in the Lab of OpenCV; text is black on lighter colours and white on darker colours
WEAK_BACKGROUND = (36, 36, 36)
MAX_NAME = 100  # characters; a longer name does not fit into a frame
NONCHARACTER = "\uffff"  # no font contains it, so it is drawn as the font's sign for missing characters


@dataclass(frozen=True, slots=True)
class TextStyle:
    """Sizes of text in pixels, which follow from the size of the frames."""

    font: ImageFont.FreeTypeFont
    capital_height: int

    @property
    def margin(self) -> int:
        """Space between the text and the border of a tag."""
        return max(2, round(self.capital_height * 0.35))


@cache
def choose_text_styles(short_side: int) -> tuple[TextStyle, TextStyle, TextStyle] | None:
    """Return the styles of the three tags of `tag_texts`, or None if the frames are too small for text."""
    if short_side < MIN_TAGGED_SIDE:
        return None
    height = CAPITAL_HEIGHT * (short_side / REFERENCE_SIDE) ** GROWTH
    style, crowded = (_text_style(max(MIN_CAPITAL_HEIGHT, round(size))) for size in (height, height * CROWDED_SIZE))
    return style, style, crowded


def tag_texts(
    instance: InstanceSequence, names: Mapping[int, str], style: TextStyle, *, show_score: bool
) -> tuple[str, str, str]:
    """Return three tags of an instance: category, id and score; category and id; the id, for crowds."""
    name = None if instance.category_id is None else _drawable(names[instance.category_id], style.font)
    short = str(instance.id)
    if name is None:
        return short, short, short
    longer = f"{name} {short}"  # 2 spaces before the score, so that 1  0.83 is not 10.83
    return (f"{longer}  {instance.score:.2f}" if show_score else longer), longer, short


def draw_tag(text: str, color: Color, style: TextStyle, *, is_weak: bool) -> NDArray[np.uint8]:
    """Draw a tag: black or white text on the colour of the instance, or for a weak instance its colour on dark grey.

    Returns:
        RGB image, uint8 (height, width, 3).
    """
    left, top, right, bottom = style.font.getbbox(text, anchor="ls")  # from the baseline: top is negative
    ascent = max(style.capital_height, -top)
    below = max(style.margin, bottom + 1)  # most descenders fit into the margin, so most tags have one height
    size = round(right - left) + 2 * style.margin, round(style.margin + ascent + below)
    background, ink = (WEAK_BACKGROUND, _lighten(color)) if is_weak else (color, _ink(color))
    image = Image.new("RGB", size, background)
    start = style.margin - left, style.margin + ascent
    ImageDraw.Draw(image).text(start, text, font=style.font, fill=ink, anchor="ls")
    return np.asarray(image, dtype=np.uint8)


def _text_style(capital_height: int) -> TextStyle:
    spec = importlib.util.find_spec("matplotlib")  # matplotlib itself takes long to import
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("matplotlib")
    path = Path(spec.origin).parent / "mpl-data" / "fonts" / "ttf" / "DejaVuSans.ttf"
    return TextStyle(ImageFont.truetype(path, round(capital_height / CAPITALS_PER_EM)), capital_height)


def _drawable(name: str, font: ImageFont.FreeTypeFont) -> str | None:
    """Return a name in composed characters, or None if it is too long, or the font lacks a character or its shape."""
    composed = unicodedata.normalize("NFC", name).strip()
    if len(composed) > MAX_NAME:
        return None
    missing = bytes(font.getmask(NONCHARACTER))
    has_all = composed.isprintable() and all(bytes(font.getmask(character)) != missing for character in set(composed))
    return composed if composed and has_all else None


def _ink(color: Color) -> Color:
    """Return the text colour, black or white, that is legible on `color`."""
    lightness = cv2.cvtColor(np.array([[color]], dtype=np.uint8), cv2.COLOR_RGB2Lab)[0, 0, 0]
    return (0, 0, 0) if lightness > DARK_LIGHTNESS else (255, 255, 255)


def _lighten(color: Color) -> Color:
    """Mix a colour with white, so that it is legible on dark grey."""
    red, green, blue = ((channel + 2 * 255) // 3 for channel in color)
    return red, green, blue

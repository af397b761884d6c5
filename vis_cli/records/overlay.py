"""The picture that shows a result: each instance's mask, outline and label drawn over a frame in its own colour.

Used by `segment` and `render` for the overlay video.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from vis_cli.records.palette import Color, instance_color
from vis_cli.records.rle import Rle, decode_rle, rle_area, rle_box
from vis_cli.records.types import Category, InstanceSequence

FILL_OPACITY = 0.4
OUTLINE_SHARE = 1 / 360  # outline's width as a share of the frame's short side: 2 px at 720p
TEXT_SHARE = 1 / 32  # capitals' height, likewise
MIN_TEXT_HEIGHT = 7  # pixels; smaller cannot be read, so a frame too small for it gets no labels
FONT = cv2.FONT_HERSHEY_SIMPLEX
FONT_HEIGHT = 21  # of its capitals at scale 1, in pixels
FONT_STROKE = 0.11  # stroke width as a share of the capitals' height
DARK_LIGHTNESS = 140  # of 255 in OpenCV's Lab; text is black on lighter tags, white on darker ones

Frame: TypeAlias = NDArray[np.uint8]  # (H, W, 3) RGB


@dataclass(frozen=True, slots=True)
class _Drawing:
    """Hold what is drawn for one instance in one frame; the mask is decoded only while it is drawn."""

    text: str
    color: Color
    box: tuple[int, int, int, int]  # x, y, width, height
    segmentation: Rle


def draw_overlay(
    frame: Frame, instances: Sequence[InstanceSequence], index: int, categories: Sequence[Category]
) -> Frame:
    """Draw the instances at frame `index` of their video over a copy of `frame`, higher scores on top.

    Args:
        frame: the picture, of the masks' size.
        instances: of the whole video; those absent from this frame are not drawn.
        index: of the frame in the video.
        categories: the instances' ones.

    Raises:
        ValueError: the frame and a mask differ in size.
    """
    names = {category.id: category.name for category in categories}
    ranked = sorted(instances, key=lambda instance: -instance.score)
    drawings = [drawing for instance in reversed(ranked) if (drawing := _prepare(instance, index, names)) is not None]
    picture = np.array(frame, dtype=np.uint8)
    for drawing in drawings:
        _draw_mask(picture, drawing)
    for drawing in drawings:
        _draw_tag(picture, drawing)
    return picture


def _prepare(instance: InstanceSequence, index: int, names: Mapping[int, str]) -> _Drawing | None:
    """Gather what is drawn for an instance; None where it is absent or has no pixel."""
    segmentation = instance.segmentations[index]
    if segmentation is None or rle_area(segmentation) == 0:
        return None
    text = f"{names[instance.category_id]} {instance.id}  {instance.score:.2f}"  # two spaces, or 1 0.83 reads as 10.83
    return _Drawing(text, instance_color(instance.id), rle_box(segmentation), segmentation)


def _draw_mask(picture: Frame, drawing: _Drawing) -> None:
    """Blend the colour into the mask and draw its outline, inside the mask, in the full colour."""
    if list(picture.shape[:2]) != drawing.segmentation["size"]:
        raise ValueError(f"frame {picture.shape[:2]} and mask {drawing.segmentation['size']} differ in size")
    x, y, width, height = drawing.box
    inside = decode_rle(drawing.segmentation)[y : y + height, x : x + width]
    region = picture[y : y + height, x : x + width]
    blended = (1 - FILL_OPACITY) * region[inside] + FILL_OPACITY * np.array(drawing.color)
    region[inside] = blended.round().astype(np.uint8)
    thickness = max(1, round(min(picture.shape[:2]) * OUTLINE_SHARE))
    disk = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * thickness + 1, 2 * thickness + 1))
    padded = np.pad(inside.astype(np.uint8), thickness)
    core = cv2.erode(padded, disk)[thickness:-thickness, thickness:-thickness]
    region[inside & (core == 0)] = drawing.color


def _draw_tag(picture: Frame, drawing: _Drawing) -> None:
    """Write the label on a filled tag over the mask's top left corner, moved so that it stays inside the frame."""
    rows, columns = picture.shape[:2]
    height = max(MIN_TEXT_HEIGHT, min(rows, columns) * TEXT_SHARE)
    scale, stroke, margin = height / FONT_HEIGHT, max(1, round(height * FONT_STROKE)), max(2, round(height * 0.35))
    (text_width, text_height), below = cv2.getTextSize(drawing.text, FONT, scale, stroke)
    width, tag_height = text_width + 2 * margin, text_height + below + margin
    if width > columns or tag_height > rows:
        return
    x = min(drawing.box[0], columns - width)
    y = min(max(drawing.box[1] - tag_height, 0), rows - tag_height)
    tag = np.full((tag_height, width, 3), drawing.color, dtype=np.uint8)
    start, ink = (margin, margin // 2 + text_height), _ink(drawing.color)
    cv2.putText(tag, drawing.text, start, FONT, scale, ink, stroke, cv2.LINE_AA)
    picture[y : y + tag_height, x : x + width] = tag


def _ink(color: Color) -> Color:
    """Return black or white, whichever can be read on `color`."""
    lightness = cv2.cvtColor(np.array([[color]], dtype=np.uint8), cv2.COLOR_RGB2Lab)[0, 0, 0]
    return (0, 0, 0) if lightness > DARK_LIGHTNESS else (255, 255, 255)

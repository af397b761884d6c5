"""Overlay of a result: the mask, the outline and the tag of each instance, drawn over a frame in one colour.

Used by `vis segment` and `vis render` for the overlay video.
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
OUTLINE_FRACTION = 1 / 360  # width of the outline as a fraction of the frame's short side: 2 pixels at 720p
TEXT_FRACTION = 1 / 32  # height of capital letters as a fraction of the frame's short side
MIN_TEXT_HEIGHT = 7  # pixels; smaller text is not legible, so frames that are too small have no tags
FONT = cv2.FONT_HERSHEY_SIMPLEX
FONT_HEIGHT = 21  # height of capital letters at scale 1, in pixels
FONT_STROKE = 0.11  # stroke width as a fraction of the height of capital letters
DARK_LIGHTNESS = 140  # of 255 in the Lab of OpenCV; text is black on lighter tags and white on darker tags

Frame: TypeAlias = NDArray[np.uint8]  # (H, W, 3) RGB


@dataclass(frozen=True, slots=True)
class _Drawing:
    """Drawing of one instance in one frame. The mask is decoded only while it is drawn."""

    text: str
    color: Color
    box: tuple[int, int, int, int]  # x, y, width, height
    segmentation: Rle


def draw_overlay(
    frame: Frame, instances: Sequence[InstanceSequence], index: int, categories: Sequence[Category]
) -> Frame:
    """Draw the instances over a copy of a frame. Instances of higher score are on top.

    Args:
        frame: The frame, in the size of the masks.
        instances: The instances of the video.
        index: The frame index.
        categories: The categories of the instances.

    Raises:
        ValueError: The frame and a mask differ in size.
    """
    names = {category.id: category.name for category in categories}
    ranked = sorted(instances, key=lambda instance: -instance.score)
    drawings = [drawing for instance in reversed(ranked) if (drawing := _prepare(instance, index, names)) is not None]
    image = np.array(frame, dtype=np.uint8)
    for drawing in drawings:
        _draw_mask(image, drawing)
    for drawing in drawings:
        _draw_tag(image, drawing)
    return image


def _prepare(instance: InstanceSequence, index: int, names: Mapping[int, str]) -> _Drawing | None:
    """Return the drawing of an instance, or None if the instance is absent or its mask is empty."""
    segmentation = instance.segmentations[index]
    if segmentation is None or rle_area(segmentation) == 0:
        return None
    return _Drawing(_label(instance, names), instance_color(instance.id), rle_box(segmentation), segmentation)


def _label(instance: InstanceSequence, names: Mapping[int, str]) -> str:
    """Return category, id and score. An instance without a category has only its id."""
    if instance.category_id is None:
        return str(instance.id)
    return f"{names[instance.category_id]} {instance.id}  {instance.score:.2f}"  # 2 spaces, so 1  0.83 is not 10.83


def _draw_mask(image: Frame, drawing: _Drawing) -> None:
    """Blend the colour into the mask, and draw the outline inside the mask in the full colour."""
    if list(image.shape[:2]) != drawing.segmentation["size"]:
        raise ValueError(f"frame {image.shape[:2]} and mask {drawing.segmentation['size']} differ in size")
    x, y, width, height = drawing.box
    inside = decode_rle(drawing.segmentation)[y : y + height, x : x + width]
    region = image[y : y + height, x : x + width]
    blended = (1 - FILL_OPACITY) * region[inside] + FILL_OPACITY * np.array(drawing.color)
    region[inside] = blended.round().astype(np.uint8)
    thickness = max(1, round(min(image.shape[:2]) * OUTLINE_FRACTION))
    disk = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * thickness + 1, 2 * thickness + 1))
    padded = np.pad(inside.astype(np.uint8), thickness)
    core = cv2.erode(padded, disk)[thickness:-thickness, thickness:-thickness]
    region[inside & (core == 0)] = drawing.color


def _draw_tag(image: Frame, drawing: _Drawing) -> None:
    """Draw a filled tag with category, id and score at the top left corner of the mask, inside the frame."""
    rows, columns = image.shape[:2]
    height = max(MIN_TEXT_HEIGHT, min(rows, columns) * TEXT_FRACTION)
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
    image[y : y + tag_height, x : x + width] = tag


def _ink(color: Color) -> Color:
    """Return the text colour, black or white, that is legible on `color`."""
    lightness = cv2.cvtColor(np.array([[color]], dtype=np.uint8), cv2.COLOR_RGB2Lab)[0, 0, 0]
    return (0, 0, 0) if lightness > DARK_LIGHTNESS else (255, 255, 255)

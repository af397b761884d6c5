"""Overlay of a result: the fill, the outline and the tag of each instance, drawn over a frame in one colour.

Used by `vis segment` and `vis render` for the overlay video.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from vis_cli.records.blob import Blob, largest_blob
from vis_cli.records.crowding import tag_levels
from vis_cli.records.instance_colors import assign_colors
from vis_cli.records.occupancy import Occupancy
from vis_cli.records.outline import outline_of
from vis_cli.records.palette import Color
from vis_cli.records.rle import decode_in_box
from vis_cli.records.tag_layout import Line, Placement, TagLayout
from vis_cli.records.tag_text import choose_text_styles, draw_tag, tag_texts
from vis_cli.records.types import InstanceSequence, VideoResult, gives_all_objects

FILL_OPACITY = 0.45
WEAK_FILL_OPACITY = 0.18
WEAK_TAG_OPACITY = 0.7
MAX_KNOWN_COLORS = 1000  # instances of a live video whose colours are kept
OUTLINE_FRACTION = 1 / 240  # width of an outline as a fraction of the frame's short side: 2 pixels at 360p

Frame: TypeAlias = NDArray[np.uint8]  # (H, W, 3) RGB


@dataclass(frozen=True, slots=True)
class _Style:
    """Properties of an instance that all frames share."""

    instance: InstanceSequence
    color: Color
    fill: NDArray[np.uint8]  # (1, 256, 3) filled value of each value of a channel
    tags: Sequence[NDArray[np.uint8]]  # images from the longest to the shortest; none in small frames


@dataclass(frozen=True, slots=True)
class _Layer:
    """Mask of an instance in one frame, inside its bounding box."""

    style: _Style
    x: int
    y: int
    mask: NDArray[np.uint8]  # (height, width) of 0 and 1

    def region(self, image: Frame) -> Frame:
        """Return the view of an image inside the bounding box."""
        height, width = self.mask.shape
        return image[self.y : self.y + height, self.x : self.x + width]


class OverlayPainter:
    """Painter of the overlay of one video. It knows the tags of the previous frame, so that tags are steady.

    Args:
        result: Result of the video. All its instances count for the choice of the colours.
        instances: Instances of the result to draw. Confident instances are above weak ones, then by score.
        previous: Painter of the frames before the result, if it is a part of a live video. Its instances keep their
            colours and the places of their tags.
    """

    def __init__(
        self, result: VideoResult, instances: Sequence[InstanceSequence], *, previous: OverlayPainter | None = None
    ) -> None:
        self._size = result.video.width, result.video.height
        self._colors: dict[int, Color] = {} if previous is None else previous._colors
        short_side = min(self._size)
        self._thickness = max(1, round(short_side * OUTLINE_FRACTION))
        colors = assign_colors(result.instances, short_side, known=self._colors)
        absent = {id_: color for id_, color in self._colors.items() if id_ not in colors}
        self._colors = dict([*absent.items(), *colors.items()][-MAX_KNOWN_COLORS:])
        ranked = sorted(instances, key=lambda instance: (not instance.confident, -instance.score))
        self._styles = []
        for instance in ranked:
            color = colors[instance.id]
            self._styles.append(_Style(instance, color, _fill_table(instance, color), _tags(instance, color, result)))
        self._levels = tag_levels(
            [(style.instance, [tag.shape[0] * tag.shape[1] for tag in style.tags]) for style in self._styles],
            frame_area=self._size[0] * self._size[1],
            num_frames=result.video.num_frames,
            fps=result.video.fps / result.video.frame_numbers.step,
        )
        self._layout: TagLayout = TagLayout(self._size) if previous is None else previous._layout
        self._blobs: dict[int, Blob] = {} if previous is None else previous._blobs

    def draw(self, frame: Frame, index: int) -> Frame:
        """Draw the instances over a copy of a frame.

        Args:
            frame: The frame, in the size of the masks.
            index: The frame index. Tags are steady if the frames are drawn in order.

        Raises:
            ValueError: The frame and a mask differ in size.
        """
        layers = [layer for style in self._styles if (layer := _prepare(style, frame, index)) is not None]
        image = np.array(frame, dtype=np.uint8)
        for layer in reversed(layers):  # from the lowest to the uppermost
            filled = cv2.LUT(layer.region(frame), layer.style.fill)  # of the frame, so that fills are not mixed
            cv2.copyTo(filled, layer.mask, layer.region(image))
        for layer in reversed(layers):
            outline = outline_of(layer.mask, self._thickness, is_dashed=not layer.style.instance.confident)
            cv2.copyTo(_plain(outline.shape, layer.style.color), outline, layer.region(image))
        self._draw_tags(image, layers, index)
        return image

    def _draw_tags(self, image: Frame, layers: Sequence[_Layer], index: int) -> None:
        """Place the tags, and draw the leader lines below them."""
        tagged = [layer for layer in layers if layer.style.tags]
        occupancy = Occupancy(*self._size)
        blobs = {}
        for value, layer in reversed(list(enumerate(tagged, start=1))):
            occupancy.add(value, layer.x, layer.y, layer.mask)
            key = layer.style.instance.id
            blobs[key] = largest_blob(layer.x, layer.y, layer.mask, self._blobs.get(key))
        self._blobs = blobs
        placements = self._layout.place(
            [(layer.style.instance.id, blobs[layer.style.instance.id]) for layer in tagged],
            [[(tag.shape[1], tag.shape[0]) for tag in layer.style.tags] for layer in tagged],
            occupancy,
            int(self._levels[index]),
        )
        placed = [(layer.style, place) for layer, place in zip(tagged, placements, strict=True) if place is not None]
        leaders = [(place.leader, style.color) for style, place in placed if place.leader is not None]
        _draw_leaders(image, leaders, max(1, self._thickness // 2))
        for style, place in placed:
            _draw_tag(image, place, style)


def _plain(shape: tuple[int, ...], color: Color) -> Frame:
    """Return an image (height, width, 3) of one colour. OpenCV fills it 20 times as fast as NumPy."""
    height, width = shape
    image: Frame = np.empty((height, width, 3), np.uint8)
    cv2.rectangle(image, (0, 0), (width, height), color, cv2.FILLED)
    return image


def _fill_table(instance: InstanceSequence, color: Color) -> NDArray[np.uint8]:
    """Return the value of each channel after the fill, by its value before."""
    opacity = FILL_OPACITY if instance.confident else WEAK_FILL_OPACITY
    mixed = (1 - opacity) * np.arange(256)[None, :, None] + opacity * np.array(color)
    return mixed.round().astype(np.uint8)


def _tags(instance: InstanceSequence, color: Color, result: VideoResult) -> list[NDArray[np.uint8]]:
    """Draw the tags of an instance, from the longest to the shortest; none if the frames are too small for text."""
    styles = choose_text_styles(min(result.video.width, result.video.height))
    if styles is None:
        return []
    names = {category.id: category.name for category in result.categories}
    is_given = gives_all_objects(result.given_masks, result.given_prompts) or not instance.category_scores
    texts = tag_texts(instance, names, styles[0], show_score=not is_given)
    is_weak = not instance.confident
    return [draw_tag(text, color, style, is_weak=is_weak) for text, style in zip(texts, styles, strict=True)]


def _prepare(style: _Style, frame: Frame, index: int) -> _Layer | None:
    """Decode the mask of an instance once, or return None if the instance is absent or its mask is empty."""
    segmentation = style.instance.segmentations[index]
    if segmentation is None:
        return None
    if list(frame.shape[:2]) != segmentation["size"]:
        raise ValueError(f"frame {frame.shape[:2]} and mask {segmentation['size']} differ in size")
    x, y, mask = decode_in_box(segmentation)
    return _Layer(style, x, y, mask) if mask.size else None


def _draw_leaders(image: Frame, leaders: Sequence[tuple[Line, Color]], thickness: int) -> None:
    """Draw lines from tags to their objects, and above them a dot at each object."""
    for (start, end), color in leaders:
        cv2.line(image, start, end, color, thickness, cv2.LINE_AA)
    for (_, end), color in leaders:
        cv2.circle(image, end, 2 * thickness, color, cv2.FILLED, cv2.LINE_AA)


def _draw_tag(image: Frame, place: Placement, style: _Style) -> None:
    x0, y0, x1, y1 = place.box
    tag, region = style.tags[place.level], image[y0:y1, x0:x1]
    if not style.instance.confident:
        region[:] = cv2.addWeighted(tag, WEAK_TAG_OPACITY, region, 1 - WEAK_TAG_OPACITY, 0)
    else:
        region[:] = tag

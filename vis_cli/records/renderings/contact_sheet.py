"""Contact sheet of a result: one thumbnail per instance with its category, id and score.

Used by `commands.render`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from vis_cli.records.instance_colors import assign_colors
from vis_cli.records.outline import outline_of
from vis_cli.records.overlay import Frame
from vis_cli.records.palette import Color
from vis_cli.records.rle import decode_rle, rle_areas, rle_box
from vis_cli.records.tag_text import TextStyle, choose_text_styles, draw_tag, tag_texts
from vis_cli.records.types import InstanceSequence, VideoResult

THUMBNAIL = (240, 180)  # width and height in pixels
TEXT_SIDE = 360  # the text has the size of a tag in a video with this short side
GAP = 8
BACKGROUND = 40
SURROUNDINGS = 0.15  # space around the object, as a fraction of its longer side
DIMMED = 0.35  # brightness of the surroundings
COLUMNS_PER_ROW = 1.3  # so that a sheet of thumbnails is about as wide as it is high
NO_INSTANCES = "no instances"


class ContactSheet:
    """Contact sheet. A thumbnail shows the frame in which the mask of its instance is largest."""

    def __init__(self, result: VideoResult, instances: Sequence[InstanceSequence]) -> None:
        """Choose the frame of each thumbnail.

        Args:
            result: Result of the video.
            instances: Instances to show, in the order of the thumbnails.
        """
        self._result, self._instances = result, instances
        self._colors = assign_colors(result.instances, min(result.video.width, result.video.height))
        styles = choose_text_styles(TEXT_SIDE)
        assert styles is not None
        self._style: TextStyle = styles[0]
        self._frames: dict[int, list[int]] = {}  # positions in `instances` by frame
        for position, instance in enumerate(instances):
            areas = rle_areas(instance.segmentations)
            if areas.any():
                self._frames.setdefault(int(areas.argmax()), []).append(position)

    @property
    def last_frame(self) -> int:
        """Return the last frame that is needed, -1 if no frame is needed."""
        return max(self._frames, default=-1)

    def draw(self, frames: Iterable[Frame]) -> NDArray[np.uint8]:
        """Draw the sheet, (H, W, 3) RGB, from the frames of the video in order."""
        thumbnails: dict[int, NDArray[np.uint8]] = {}
        for index, frame in enumerate(frames):
            for position in self._frames.get(index, []):
                thumbnails[position] = self._thumbnail(frame, index, self._instances[position])
        cells = [self._cell(instance, thumbnails.get(i)) for i, instance in enumerate(self._instances)]
        if not cells:
            cells = [self._with_tag(None, draw_tag(NO_INSTANCES, (BACKGROUND,) * 3, self._style, is_weak=False))]
        return _grid(cells)

    def _thumbnail(self, frame: Frame, index: int, instance: InstanceSequence) -> NDArray[np.uint8]:
        """Return the part of a frame around an object, with its outline, in front of dimmed surroundings."""
        segmentation = instance.segmentations[index]
        assert segmentation is not None
        mask = decode_rle(segmentation).astype(np.uint8)
        x0, y0, x1, y1 = _view(rle_box(segmentation), (frame.shape[1], frame.shape[0]))
        part, mask = frame[y0:y1, x0:x1], np.ascontiguousarray(mask[y0:y1, x0:x1])
        image = np.where(mask[..., None] > 0, part, (part * DIMMED).astype(np.uint8))
        scale = min(THUMBNAIL[0] / image.shape[1], THUMBNAIL[1] / image.shape[0])
        thickness = max(1, round(1.5 / scale))
        outline = outline_of(np.pad(mask, 1), thickness, is_dashed=not instance.confident)[1:-1, 1:-1]
        image[outline > 0] = self._colors[instance.id]
        size = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        return np.asarray(cv2.resize(image, size, interpolation=how), dtype=np.uint8)

    def _cell(self, instance: InstanceSequence, thumbnail: NDArray[np.uint8] | None) -> NDArray[np.uint8]:
        names = {category.id: category.name for category in self._result.categories}
        texts = tag_texts(instance, names, self._style, show_score=self._result.given_masks is None)
        color: Color = self._colors[instance.id]
        tags = (draw_tag(text, color, self._style, is_weak=not instance.confident) for text in texts)
        fitting = (tag for tag in tags if tag.shape[1] <= THUMBNAIL[0])
        return self._with_tag(thumbnail, next(fitting, None))

    def _with_tag(self, thumbnail: NDArray[np.uint8] | None, tag: NDArray[np.uint8] | None) -> NDArray[np.uint8]:
        """Place a thumbnail in the middle of a cell, and a tag at its lower left corner."""
        width, height = THUMBNAIL
        tag_height = self._style.capital_height + 4 * self._style.margin
        cell = np.full((height + tag_height, width, 3), BACKGROUND, dtype=np.uint8)
        if thumbnail is not None:
            y, x = (height - thumbnail.shape[0]) // 2, (width - thumbnail.shape[1]) // 2
            cell[y : y + thumbnail.shape[0], x : x + thumbnail.shape[1]] = thumbnail
        if tag is not None:
            tag = tag[:tag_height]
            cell[height : height + tag.shape[0], : tag.shape[1]] = tag
        return cell


def _view(box: tuple[int, int, int, int], frame: tuple[int, int]) -> tuple[int, int, int, int]:
    """Return the part of the frame for a thumbnail, xyxy: the box with surroundings, in the shape of a thumbnail."""
    x, y, width, height = box
    space = SURROUNDINGS * max(width, height)
    scale = max((width + 2 * space) / THUMBNAIL[0], (height + 2 * space) / THUMBNAIL[1])
    sides = []
    for start, length, shown, limit in zip((x, y), (width, height), THUMBNAIL, frame, strict=True):
        side = min(limit, max(1, round(shown * scale)))
        first = min(max(0, round(start + length / 2 - side / 2)), limit - side)
        sides.append((first, first + side))
    (x0, x1), (y0, y1) = sides
    return x0, y0, x1, y1


def _grid(cells: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    height, width = cells[0].shape[:2]
    columns = max(1, min(len(cells), round(math.sqrt(len(cells) / COLUMNS_PER_ROW) * COLUMNS_PER_ROW)))
    rows = -(-len(cells) // columns)
    sheet = np.full((GAP + rows * (height + GAP), GAP + columns * (width + GAP), 3), BACKGROUND, dtype=np.uint8)
    for index, cell in enumerate(cells):
        y, x = GAP + index // columns * (height + GAP), GAP + index % columns * (width + GAP)
        sheet[y : y + height, x : x + width] = cell
    return sheet

"""Small images of a report page: each instance in one frame, and one frame of the video with its masks.

Used by `preview`.
"""

from __future__ import annotations

import base64
from collections import defaultdict

import cv2
import numpy as np
from numpy.typing import NDArray

from vis_cli.files.library_output import silenced_libraries
from vis_cli.records.overlay import FILL_OPACITY
from vis_cli.records.palette import Color
from vis_cli.records.report.facts import InstanceFacts, ReportFacts
from vis_cli.records.rle import Rle, decode_rle, rle_box

WIDTH, HEIGHT = 144, 96  # of a thumbnail in pixels; the page shows it at half of this size
POSTER_WIDTH = 320
MARGIN = 0.15  # around the object, as a fraction of the longer side of its box
DIMMED = 0.35  # brightness of the pixels around the object
JPEG_QUALITY = 82
GREY = 128


class Thumbnails:
    """Thumbnails of the instances and the poster of the video, collected while its frames are read once."""

    def __init__(self, facts: ReportFacts) -> None:
        self.images: dict[int, str] = {}  # data URL by id of the instance
        self.poster: str | None = None
        self._facts = facts
        self._due: dict[int, list[InstanceFacts]] = defaultdict(list)
        for item in facts.instances:
            if item.pictured_frame is not None:
                self._due[item.pictured_frame].append(item)
        self._poster_frame = _poster_frame(facts)

    def needs(self, index: int) -> bool:
        """Return whether `add` cuts an image from a frame."""
        return index in self._due or index == self._poster_frame

    def add(self, frame: NDArray[np.uint8], index: int) -> None:
        """Cut the thumbnails from a frame, (H, W, 3) RGB in the size of the masks."""
        for item in self._due.get(index, ()):
            rle = item.instance.segmentations[index]
            if rle is not None:
                self.images[item.instance.id] = _data_url(_cut(frame, rle))
        if index == self._poster_frame:
            self.poster = _data_url(_draw_poster(frame, index, self._facts))


def silhouettes(facts: ReportFacts) -> dict[int, str]:
    """Return a thumbnail of each mask alone, by id: a replacement where the video is missing."""
    images = {}
    for item in facts.instances:
        rle = None if item.pictured_frame is None else item.instance.segmentations[item.pictured_frame]
        if rle is not None:
            images[item.instance.id] = _data_url(_cut(_flat_frame(rle, item.color), rle))
    return images


def _poster_frame(facts: ReportFacts) -> int:
    """Return the frame that represents the video: the one of the best instance, or the middle one."""
    best = max(facts.instances, key=lambda item: (item.instance.confident, item.instance.score), default=None)
    frame = None if best is None else best.pictured_frame
    return facts.result.video.num_frames // 2 if frame is None else frame


def _draw_poster(frame: NDArray[np.uint8], index: int, facts: ReportFacts) -> NDArray[np.uint8]:
    """Fill the masks of the confident instances, the highest score last. Names would be too small to read."""
    image = frame.copy()
    for item in sorted(facts.instances, key=lambda item: item.instance.score):
        mask = item.instance.mask(index) if item.instance.confident else None
        if mask is not None:
            image[mask] = ((1 - FILL_OPACITY) * frame[mask] + FILL_OPACITY * np.array(item.color)).astype(np.uint8)
    return _resized(image, min(1.0, POSTER_WIDTH / image.shape[1]))


def _cut(frame: NDArray[np.uint8], rle: Rle) -> NDArray[np.uint8]:
    """Return the part of a frame around an object, with a darker background."""
    x, y, width, height = rle_box(rle)
    margin = max(2, round(max(width, height) * MARGIN))
    rows = slice(max(0, y - margin), y + height + margin)
    columns = slice(max(0, x - margin), x + width + margin)
    mask = decode_rle(rle)[rows, columns]
    image = frame[rows, columns].copy()
    image[~mask] = (image[~mask] * DIMMED).astype(np.uint8)
    return _resized(image, min(WIDTH / image.shape[1], HEIGHT / image.shape[0], 2.0))


def _flat_frame(rle: Rle, color: Color) -> NDArray[np.uint8]:
    frame = np.full((*rle["size"], 3), GREY, np.uint8)
    frame[decode_rle(rle)] = color
    return frame


def _resized(image: NDArray[np.uint8], scale: float) -> NDArray[np.uint8]:
    size = [max(1, round(side * scale)) for side in (image.shape[1], image.shape[0])]
    return np.asarray(
        cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR), np.uint8
    )


def _data_url(image: NDArray[np.uint8]) -> str:
    with silenced_libraries():
        _, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return f"data:image/jpeg;base64,{base64.b64encode(data.tobytes()).decode('ascii')}"

"""The video's frames at the network's input size, in bounded memory; filled by `segmenter`, read by `features`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from vis_cli.errors import VisError

if TYPE_CHECKING:
    from vis_cli.records.video import Video

Size: TypeAlias = tuple[int, int]  # (height, width)
Progress: TypeAlias = Callable[[str, int, int], None]  # stage, frames done, frames in all (0: not known)

CHUNK_SHARE = 4  # one part in so many of the budget holds frames that are decoded again


def network_size(video: Size, *, short_side: int, long_side: int) -> Size:
    """Return the network's input (h, w) for a video (H, W), keeping its aspect ratio.

    The long side is at most `long_side`, the short one at most `short_side`, and one of them is reached.
    See docs/explanation/authors-implementation.md#fact-2.
    """
    height, width = video
    scale = min(long_side / max(video), short_side / min(video))
    return max(1, int(height * scale + 0.5)), max(1, int(width * scale + 0.5))


def resize_frame(frame: NDArray[np.uint8], size: Size) -> NDArray[np.uint8]:
    """Resize (H, W, 3) uint8 to (h, w, 3): bilinear without antialiasing, to enlarge and to shrink.

    See docs/explanation/authors-implementation.md#fact-2.
    """
    if frame.shape[:2] == size:
        return np.array(frame, order="C")  # a copy: the buffer may be a flipped view, or be used again
    resized: NDArray[np.uint8] = np.asarray(cv2.resize(frame, size[::-1], interpolation=cv2.INTER_LINEAR))
    return resized


class FrameStore:
    """Give any frame of a video at network size: kept while it fits a byte budget, else decoded again in chunks."""

    def __init__(self, video: Video, size: Size, *, budget_bytes: int, progress: Progress) -> None:
        """Decode the video once, which settles how many frames it has.

        Raises:
            VisError: no frame decodes.
        """
        self.size = size
        self._video = video
        capacity = max(1, budget_bytes // (size[0] * size[1] * 3))
        self._chunk_length = max(1, capacity // CHUNK_SHARE)
        self._chunk_start = 0
        self._chunk: list[NDArray[np.uint8]] = []
        self._kept: list[NDArray[np.uint8]] = []
        self.num_frames = self._read(capacity, progress)
        if self.num_frames > capacity:
            del self._kept[capacity - self._chunk_length :]

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        """Return frame `index` as (h, w, 3) uint8 RGB."""
        if index < len(self._kept):
            return self._kept[index]
        if not 0 <= index - self._chunk_start < len(self._chunk):
            self._decode_chunk(index)
        return self._chunk[index - self._chunk_start]

    def _read(self, capacity: int, progress: Progress) -> int:
        count = 0
        for count, frame in enumerate(self._video.iter_frames(), start=1):
            if count <= capacity:
                self._kept.append(resize_frame(frame, self.size))
            progress("read", count, self._video.num_frames or 0)
        if count == 0:
            raise VisError(f"{self._video.path}: no frame of it decodes; check that it is a complete video")
        return count

    def _decode_chunk(self, index: int) -> None:
        """Decode the chunk around `index`; chunks lie on a fixed grid, so both sweeps decode each of them once."""
        self._chunk = []  # freed before the next one is filled
        first = len(self._kept)
        self._chunk_start = index - (index - first) % self._chunk_length
        stop = min(self._chunk_start + self._chunk_length, self.num_frames)
        frames = self._video.iter_frames(self._chunk_start, stop)
        self._chunk = [resize_frame(frame, self.size) for frame in frames]

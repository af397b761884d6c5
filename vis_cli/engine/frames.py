"""The frames of a video at the size of the network input, in bounded memory; used by `segmenter` and `features`."""

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
Progress: TypeAlias = Callable[[str, int, int], None]  # stage, number of finished frames, total (0: unknown)

CHUNKS_PER_BUDGET = 4  # a chunk of frames that are decoded again takes at most this part of the budget


def network_size(video: Size, *, short_side: int, long_side: int) -> Size:
    """Return the size of the network input, with the aspect ratio of the video.

    Args:
        video: (H, W) of the video, in pixels.
        short_side: Maximum length of the short side.
        long_side: Maximum length of the long side. The result reaches one of the two limits.

    Returns:
        (h, w) in pixels.

    Reference: docs/explanation/authors-implementation.md#fact-2.
    """
    height, width = video
    scale = min(long_side / max(video), short_side / min(video))
    return max(1, int(height * scale + 0.5)), max(1, int(width * scale + 0.5))


def resize_frame(frame: NDArray[np.uint8], size: Size) -> NDArray[np.uint8]:
    """Resize a frame (H, W, 3) uint8 to (h, w, 3), bilinear without antialiasing in both directions.

    Reference: docs/explanation/authors-implementation.md#fact-2.
    """
    if frame.shape[:2] == size:
        return np.array(frame, order="C")  # a copy: the frame can be a flipped view, or its buffer is used again
    resized: NDArray[np.uint8] = np.asarray(cv2.resize(frame, size[::-1], interpolation=cv2.INTER_LINEAR))
    return resized


class FrameStore:
    """Frames of a video by index, at the size of the network input.

    The first frames stay in memory, up to a limit in bytes. All others are decoded again in chunks.
    """

    def __init__(self, video: Video, size: Size, *, budget_bytes: int, progress: Progress) -> None:
        """Decode the video once, to count its frames and to keep the first ones.

        Args:
            video: An opened video.
            size: (h, w) of the network input.
            budget_bytes: Maximum size of all frames in memory.
            progress: Called for each frame.

        Raises:
            VisError: No frame decodes.
        """
        self.size = size
        self._video = video
        capacity = max(1, budget_bytes // (size[0] * size[1] * 3))
        self._chunk_length = max(1, capacity // CHUNKS_PER_BUDGET)
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
            hint = "Check that the video is complete."
            raise VisError("no frame decodes", where=f"cannot read {self._video.path}", hint=hint)
        return count

    def _decode_chunk(self, index: int) -> None:
        """Decode the chunk that contains a frame. Propagation decodes each chunk once per direction."""
        self._chunk = []  # free the memory before the next chunk is decoded
        first = len(self._kept)
        self._chunk_start = index - (index - first) % self._chunk_length
        stop = min(self._chunk_start + self._chunk_length, self.num_frames)
        frames = self._video.iter_frames(self._chunk_start, stop)
        self._chunk = [resize_frame(frame, self.size) for frame in frames]

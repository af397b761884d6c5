"""The frames of a video at the size of the network input, in bounded memory; used by `segmenter` and `features`."""

from __future__ import annotations

import errno
import os
import tempfile
from types import TracebackType
from typing import BinaryIO, TypeAlias, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from vis_cli.errors import VisError

Size: TypeAlias = tuple[int, int]  # (height, width)


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
    """Frames of a video by index, at the size of the network input. Use it as a context manager.

    The first frames stay in memory, up to a limit in bytes. All others are in a temporary file without a name. The
    operating system removes it at the end of the process. Decoding the frames again would take about 50 times as long.
    """

    def __init__(self, size: Size, *, first: int = 0, budget_bytes: int) -> None:
        """Start empty.

        Args:
            size: (h, w) of the network input.
            first: Index of the first frame in the video.
            budget_bytes: Maximum size of the frames in memory. The first frame is always kept.
        """
        self.size = size
        self.first = first
        self.num_frames = 0
        self._shape = (*size, 3)
        self._frame_bytes = size[0] * size[1] * 3
        self._capacity = max(1, budget_bytes // self._frame_bytes)
        self._kept: list[NDArray[np.uint8]] = []
        self._file: BinaryIO | None = None

    def __enter__(self) -> FrameStore:
        """Return the store."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove the temporary file."""
        self.close()

    def close(self) -> None:
        """Remove the temporary file. No frame can be read afterwards."""
        if self._file is not None:
            self._file.close()

    @property
    def indices(self) -> range:
        """Return the indices of the stored frames."""
        return range(self.first, self.first + self.num_frames)

    def append(self, frame: NDArray[np.uint8]) -> None:
        """Store the next frame (h, w, 3) uint8 RGB.

        Raises:
            VisError: The disk is full.
        """
        if len(self._kept) < self._capacity:
            self._kept.append(frame)
        else:
            self._write(frame)
        self.num_frames += 1

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        """Return frame `index` of the video as (h, w, 3) uint8 RGB."""
        position = index - self.first
        if position < len(self._kept) or self._file is None:
            return self._kept[position]
        self._file.seek((position - len(self._kept)) * self._frame_bytes)
        frame = np.frombuffer(self._file.read(self._frame_bytes), dtype=np.uint8)
        return frame.reshape(self._shape).copy()  # torch takes writable arrays only

    def _write(self, frame: NDArray[np.uint8]) -> None:
        try:
            if self._file is None:
                unbuffered = tempfile.TemporaryFile(prefix="vis-frames-", buffering=0)  # noqa: SIM115 - `close` does
                self._file = cast("BinaryIO", unbuffered)
            self._file.seek(0, os.SEEK_END)  # a frame can have been read since the last frame was stored
            if self._file.write(frame.data) < self._frame_bytes:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            raise VisError(
                f"cannot store frames in {tempfile.gettempdir()}: {error.strerror}",
                hint="Set TMPDIR to a folder with more space, or use a smaller --short-side.",
            ) from error

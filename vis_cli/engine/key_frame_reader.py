"""Key frames at the size of the video, for detectors that read key frames; used by `detected_masks`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from vis_cli.errors import VisError
from vis_cli.records.types import KeyFrame

if TYPE_CHECKING:
    from vis_cli.records.video import Video


class KeyFrames(Protocol):
    """Key frames by index, in ascending order."""

    def read(self, index: int) -> KeyFrame:
        """Return a frame. Each call must have a higher index than the previous call."""


class KeyFrameReader:
    """Frames of a video in ascending order.

    The network input is smaller than the video. These frames are therefore decoded again. One frame is in memory at a
    time.
    """

    def __init__(self, video: Video) -> None:
        """Prepare a second pass over the video. Nothing is decoded before the first frame is read."""
        self._frames: Iterator[tuple[int, NDArray[np.uint8]]] = enumerate(video.iter_frames())

    def read(self, index: int) -> KeyFrame:
        """Return a frame. Each call must have a higher index than the previous call.

        Raises:
            VisError: The video has fewer frames than before.
        """
        for number, pixels in self._frames:
            if number == index:
                return KeyFrame(index, np.array(pixels, order="C"))  # a copy: the frame can be a flipped view
        raise VisError(f"frame {index} cannot be read again", hint="Do not change the video while it is segmented.")


class KeyFrameSizes:
    """Frames without content, for detections that are known: only index and size matter. Nothing is decoded."""

    def __init__(self, video: Video) -> None:
        """Store the size of the video."""
        self._blank: NDArray[np.uint8] = np.broadcast_to(np.zeros(1, np.uint8), (video.height, video.width, 3))

    def read(self, index: int) -> KeyFrame:
        """Return a black frame, which needs no memory."""
        return KeyFrame(index, self._blank)

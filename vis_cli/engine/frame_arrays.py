"""Videos from arrays and from iterables of frames, with the interface of `records.video.Video`; used by `segmenter`."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from vis_cli.engine.frames import FrameStore
from vis_cli.errors import VisError
from vis_cli.records.frame_folder import FOLDER_FPS
from vis_cli.records.json_fields import require_size
from vis_cli.records.timestamps import ClockSegment
from vis_cli.records.video import open_video

if TYPE_CHECKING:
    from vis_cli.records.video import Video

Frames: TypeAlias = Iterable[NDArray[np.uint8]]  # or an array (T, H, W, 3)

NAME = "frames"
PATH = Path("<frames>")  # of frames that have no file
MIN_FPS, MAX_FPS = 0.001, 1_000_000.0
_END = object()  # None can be an item: a failed read of a camera
HINT = "Use RGB frames of type uint8 and shape (H, W, 3), or one array (T, H, W, 3)."


def as_video(video: str | Path | Video | Frames, *, fps: float | None = None) -> Video:
    """Return a video from a path, from a video, or from frames.

    Args:
        video: A path, an opened video, an array (T, H, W, 3), or an iterable of frames (H, W, 3), uint8 RGB.
        fps: Frames per second of an array or an iterable. None: 24, as for a folder of images.

    Raises:
        VisError: The path cannot be read, there is no frame, the first frame has another type or shape, or `fps` is
            invalid or is given for a path or a video.
    """
    if isinstance(video, (str, Path)):
        _require_no_fps(fps)
        return open_video(video)
    if not isinstance(video, Iterable):
        _require_no_fps(fps)
        return video
    rate = FOLDER_FPS if fps is None else fps
    if not (math.isfinite(rate) and MIN_FPS <= rate <= MAX_FPS):
        raise VisError(f"is {rate}", field="fps", hint=f"Use a value from {MIN_FPS} to {MAX_FPS:,.0f}.")
    if isinstance(video, (np.ndarray, Sequence)):
        return FrameSequence(video, fps=rate)
    return FrameStream(video, fps=rate)


class _FrameVideo:
    """Properties that all videos without a file have."""

    name = NAME
    path = PATH
    has_audio = False
    frame_names = part = span = None
    pixel_aspect = Fraction(1)
    clock_segments: tuple[ClockSegment, ...] = ()

    def __init__(self, first: NDArray[np.uint8], *, fps: float) -> None:
        self.warnings: list[str] = []
        self.fps = fps
        self.time_base = 1 / Fraction(fps).limit_denominator(1001)
        self.height, self.width = first.shape[:2]

    def settle_times(self) -> None:
        """Do nothing, because the timestamps are known."""

    def frame_pts(self, number: int) -> int:
        """Return the timestamp of frame `number` in units of `time_base`, which is one frame."""
        return number

    def _checked(self, frame: object, index: int) -> NDArray[np.uint8]:
        """Return a frame of the size of the first frame."""
        checked = _require_frame(frame, index)
        height, width = checked.shape[:2]
        if (height, width) != (self.height, self.width):
            problem = f"its size is {width}x{height}, the first frame is {self.width}x{self.height}"
            hint = "Use one size for all frames of a video."
            raise VisError(problem, where=f"cannot read frame {index}", hint=hint)
        return checked


class FrameSequence(_FrameVideo):
    """A video from an array (T, H, W, 3) or a list of frames, which can be read several times."""

    def __init__(self, frames: NDArray[Any] | Sequence[object], *, fps: float) -> None:
        """Check the first frame. For arguments and errors see `as_video`."""
        if isinstance(frames, np.ndarray) and frames.ndim == 0:
            raise VisError("cannot read the frames: the array has no dimensions", hint=HINT)
        if len(frames) == 0:
            raise _no_frames()
        super().__init__(_require_frame(frames[0], 0), fps=fps)
        self._frames = frames
        self.num_frames = len(frames)

    def count_frames(self) -> int:
        """Return the number of frames."""
        return self.num_frames

    def iter_frames(self) -> Iterator[NDArray[np.uint8]]:
        """Yield the frames as (H, W, 3) uint8 RGB.

        Raises:
            VisError: A frame has another type, shape or size.
        """
        for index, frame in enumerate(self._frames):
            yield self._checked(frame, index)


class FrameStream(_FrameVideo):
    """A video from an iterable of frames, which is read once.

    By default, no frame is stored, and the frames can be iterated over once. After `keep`, frames are stored while they
    are read, in memory up to a limit and then in a temporary file, for further iterations.
    """

    def __init__(self, frames: Frames, *, fps: float) -> None:
        """Read and check the first frame. For arguments and errors see `as_video`."""
        self._iterator = iter(frames)
        first: object = next(self._iterator, _END)
        if first is _END:
            raise _no_frames()
        self._first: NDArray[np.uint8] | None = _require_frame(first, 0)
        super().__init__(self._first, fps=fps)
        self.num_frames: int | None = None  # known at the end of the iterable
        self._num_read = 0
        self._has_started = False
        self._store: FrameStore | None = None

    def keep(self, budget_bytes: int) -> None:
        """Store all frames at the size of the video, so that they can be read several times.

        Args:
            budget_bytes: Maximum size of the frames in memory.
        """
        if self._store is None and not self._has_started:
            self._store = FrameStore((self.height, self.width), budget_bytes=budget_bytes)

    def close(self) -> None:
        """Remove the temporary file. No frame can be read afterwards."""
        if self._store is not None:
            self._store.close()

    def count_frames(self) -> int:
        """Return the number of frames. This reads all frames.

        Raises:
            VisError: See `iter_frames`.
        """
        if self.num_frames is None:
            return sum(1 for _ in self.iter_frames())
        return self.num_frames

    def iter_frames(self) -> Iterator[NDArray[np.uint8]]:
        """Yield the frames as (H, W, 3) uint8 RGB.

        Raises:
            VisError: The frames were read before and are not stored, or a frame has another type, shape or size.
        """
        if self._store is None and self._has_started:
            hint = "Pass an array or a list of frames, or a new iterator."
            raise VisError("the frames of an iterator can be read only once", hint=hint)
        self._has_started = True
        index = 0
        while (frame := self._frame(index)) is not None:
            yield frame
            index += 1

    def _frame(self, index: int) -> NDArray[np.uint8] | None:
        """Return a stored frame or the next frame. None: the frames have ended."""
        if self._store is not None and index < self._store.num_frames:
            return self._store[index]
        frame = self._read_next()
        if frame is None or self._store is None:
            return frame
        self._store.append(np.array(frame, order="C"))  # a copy: the iterable can use its buffer again
        return self._store[index]

    def _read_next(self) -> NDArray[np.uint8] | None:
        item: object = self._first if self._num_read == 0 else next(self._iterator, _END)
        self._first = None
        if item is _END:
            self.num_frames = self._num_read
            return None
        self._num_read += 1
        return self._checked(item, self._num_read - 1)


def _require_no_fps(fps: float | None) -> None:
    if fps is not None:
        hint = "Omit fps. For a folder of images, use open_video(path, folder_fps=...)."
        raise VisError("is given, but the video has a frame rate", field="fps", hint=hint)


def _no_frames() -> VisError:
    return VisError("cannot read the frames: there are no frames", hint="Pass at least one frame.")


def _require_frame(frame: object, index: int) -> NDArray[np.uint8]:
    """Return a frame (H, W, 3) uint8 RGB.

    Raises:
        VisError: It has another type or shape, or is empty or too large.
    """
    where = f"cannot read frame {index}"
    if not isinstance(frame, np.ndarray):
        raise VisError(f"its type is {type(frame).__name__} instead of a NumPy array", where=where, hint=HINT)
    if frame.dtype != np.uint8:
        raise VisError(f"its type is {frame.dtype} instead of uint8", where=where, hint=HINT)
    if frame.ndim != 3 or frame.shape[2] != 3 or 0 in frame.shape:
        raise VisError(f"its shape is {frame.shape}", where=where, hint=HINT)
    require_size(frame.shape[1], frame.shape[0], where)
    return frame

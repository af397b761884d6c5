"""Windows: consecutive frames of a video that Alg. 1 processes together; used by `segmenter`."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vis_cli.engine.frames import FrameStore, Size, resize_frame
from vis_cli.errors import VisError
from vis_cli.progress import Progress
from vis_cli.records.cuts import CutDetector

if TYPE_CHECKING:
    from vis_cli.records.video import Video


@dataclass(frozen=True, slots=True)
class Window:
    """Consecutive frames of one shot."""

    frames: FrameStore
    starts_shot: bool  # its first frame is the first frame of a shot
    is_last: bool  # the video ends with this window

    @property
    def indices(self) -> range:
        """Return the indices of the frames in the video."""
        return self.frames.indices


def iter_windows(
    video: Video, size: Size, *, length: int | None, cuts: bool, budget_bytes: int, progress: Progress
) -> Generator[Window]:
    """Decode a video once, and yield its windows in order. A window ends at a cut.

    The caller closes the frames of a window.

    Args:
        video: An opened video.
        size: (h, w) of the network input.
        length: Maximum number of frames of a window. None: no limit.
        cuts: Detect cuts.
        budget_bytes: Maximum size of the frames of a window in memory.
        progress: Called for each frame.

    Raises:
        VisError: No frame decodes, or the disk is full.
    """
    store, starts_shot = FrameStore(size, budget_bytes=budget_bytes), True
    try:
        for index, (frame, is_cut) in enumerate(_iter_frames(video, size, cuts=cuts, progress=progress)):
            if index and (is_cut or store.num_frames == length):
                complete, store = store, FrameStore(size, first=index, budget_bytes=budget_bytes)
                yield Window(complete, starts_shot, is_last=False)
                starts_shot = is_cut
            store.append(frame)
    except BaseException:
        store.close()
        raise
    if store.num_frames == 0:
        hint = "Check that the video is complete."
        raise VisError("no frame decodes", where=f"cannot read {video.path}", hint=hint)
    yield Window(store, starts_shot, is_last=True)


def _iter_frames(
    video: Video, size: Size, *, cuts: bool, progress: Progress
) -> Iterator[tuple[NDArray[np.uint8], bool]]:
    """Yield each frame at the size of the network input, and whether a shot starts with it."""
    detector = CutDetector() if cuts else None
    delay = 0 if detector is None else detector.delay
    waiting: deque[tuple[int, NDArray[np.uint8]]] = deque()
    known: set[int] = set()
    for index, frame in enumerate(video.iter_frames()):
        resized = resize_frame(frame, size)
        if detector is not None:
            known.update(detector.update(index, resized))
        waiting.append((index, resized))
        progress("read", index + 1, video.num_frames or 0)
        if len(waiting) > delay:
            number, ready = waiting.popleft()
            yield ready, number in known
    for number, ready in waiting:
        yield ready, number in known

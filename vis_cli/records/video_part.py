"""Parts of videos: some frames of a video, with the same interface as the complete video.

Used by `video.open_video`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from vis_cli.errors import VisError
from vis_cli.messages import counted
from vis_cli.records.part import MICROSECONDS, PartRequest, Position, VideoPart
from vis_cli.records.timestamps import ClockSegment
from vis_cli.records.video_writer import TimedSource

ReadFrame = Callable[[], NDArray[np.uint8]]


class PartSource(TimedSource, Protocol):
    """A complete video that can be read in parts."""

    @property
    def name(self) -> str:
        """Return the name of the result."""

    @property
    def frame_names(self) -> tuple[str, ...] | None:
        """Return the file name of each frame of a folder, and None for a file."""

    @property
    def num_frames(self) -> int | None:
        """Return the number of frames. It is an estimate or None until `is_complete`."""

    @property
    def is_complete(self) -> bool:
        """Return whether the number of frames and the timestamps are final."""

    @property
    def has_doubtful_times(self) -> bool:
        """Return whether the timestamps of known frames can still change."""

    def count_frames(self) -> int:
        """Return the exact number of frames."""

    def iter_until(self, is_end: Callable[[int], bool], end: int | None) -> Iterator[tuple[int, ReadFrame]]:
        """Yield the number of each frame, and a function that returns its pixels before the next step.

        Args:
            is_end: Called with the number of each frame, after its timestamp is known. True ends the iteration.
            end: Number of frames to read, if it is known.
        """


class PartVideo:
    """Every n-th frame of a part of a video. Frame i of this video is frame `part.frames[i]` of the source.

    A file is decoded from its start, and the frames before the part are dropped: only then the frame numbers are
    certain in every container, with and without damage. Decoding ends with the part. Frames that are dropped are not
    converted to RGB, and images of a folder are not read. The first iteration determines `part`.

    The timestamps are the ones of the source.
    """

    def __init__(self, source: PartSource, request: PartRequest, part: VideoPart | None = None) -> None:
        """Store the part.

        Args:
            source: The complete video.
            request: The part as the user gives it.
            part: The frames of this part, if they are known from a result.

        Raises:
            VisError: The source is a folder, and the part has no frame.
        """
        self.source = source
        self._request = request
        self._part = part
        self._has_warned = False
        if part is None and source.is_complete:
            self._find_in_known()

    @property
    def path(self) -> Path:
        """Return the file or folder of the complete video."""
        return self.source.path

    @property
    def name(self) -> str:
        """Return the name of the complete video."""
        return self.source.name

    @property
    def width(self) -> int:
        """Return the displayed width in pixels."""
        return self.source.width

    @property
    def height(self) -> int:
        """Return the displayed height in pixels."""
        return self.source.height

    @property
    def fps(self) -> float:
        """Return the mean number of frames per second of the complete video."""
        return self.source.fps

    @property
    def has_audio(self) -> bool:
        """Return whether the video has an audio stream."""
        return self.source.has_audio

    @property
    def time_base(self) -> Fraction:
        """Return the unit of timestamps in seconds."""
        return self.source.time_base

    @property
    def pixel_aspect(self) -> Fraction:
        """Return the displayed width of a pixel divided by its height."""
        return self.source.pixel_aspect

    @property
    def clock_segments(self) -> Sequence[ClockSegment]:
        """Return the parts of the source between jumps of its clock."""
        return self.source.clock_segments

    @property
    def warnings(self) -> list[str]:
        """Return the warnings about the source, up to the end of the part."""
        return self.source.warnings

    @property
    def part(self) -> VideoPart:
        """Return the frames of the part. Before the first iteration, this decodes a file up to the end of the part.

        Raises:
            VisError: The part has no frame.
        """
        if self._part is None:
            for _ in self.iter_readers():
                pass
        if self._part is None:
            raise ValueError("a complete iteration determines the part")
        return self._part

    @property
    def frame_names(self) -> tuple[str, ...] | None:
        """Return the file name of each frame of the part for a folder, and None for a file."""
        names = self.source.frame_names
        return None if names is None else tuple(names[number] for number in self.part.frames)

    @property
    def num_frames(self) -> int | None:
        """Return the number of frames of the part; an estimate or None before one full iteration."""
        return self._estimate() if self._part is None else len(self._part.frames)

    @property
    def span(self) -> tuple[Fraction, Fraction]:
        """Return the timestamps of the start and the end of the part, in seconds."""
        frames = self.part.frames
        return self.frame_pts(0) * self.time_base, self.frame_pts(len(frames)) * self.time_base

    def count_frames(self) -> int:
        """Return the exact number of frames of the part. This decodes a file up to its end, if it is not known."""
        return len(self.part.frames)

    def settle_times(self) -> None:
        """Make the timestamps final. This can decode the source once."""
        self.source.settle_times()

    def frame_pts(self, number: int) -> int:
        """Return the timestamp of frame `number` of the part in the source. For `num_frames`, return the part's end."""
        frames = self.part.frames
        self.source.settle_times()
        end = self.part.end
        return self.source.frame_pts(frames[number] if number < len(frames) else min(frames[-1] + frames.step, end))

    def iter_frames(self) -> Iterator[NDArray[np.uint8]]:
        """Yield the frames as (H, W, 3) uint8 RGB.

        Raises:
            VisError: The part has no frame, or a frame cannot be read.
        """
        for read in self.iter_readers():
            yield read()

    def iter_readers(self) -> Iterator[ReadFrame]:
        """Yield a function per frame that returns its pixels before the next step."""
        if self._part is None and self._request.uses_times:
            self.source.settle_times()
        if self._part is None and self.source.is_complete:
            self._find_in_known()
        yield from self._iter_unknown() if self._part is None else self._iter_known(self._part)

    def _iter_known(self, part: VideoPart) -> Iterator[ReadFrame]:
        frames = part.frames
        for number, read in self.source.iter_until(lambda number: number >= part.end, part.end):
            if number in frames:
                yield read

    def _iter_unknown(self) -> Iterator[ReadFrame]:
        """Find the part while the source is decoded for the first time."""
        request, first, num_seen, ends_early = self._request, None, 0, False

        def is_end(number: int) -> bool:
            nonlocal ends_early
            ends_early = request.end is not None and self._reaches(number, request.end)
            return ends_early

        for number, read in self.source.iter_until(is_end, None):
            num_seen = number + 1
            if first is None and (request.start is None or self._reaches(number, request.start)):
                if request.uses_times and self.source.has_doubtful_times:
                    self.source.count_frames()
                    self._find_in_known()
                    yield from self.iter_readers()
                    return
                first = number
            if first is not None and (number - first) % request.every == 0:
                yield read
        self._part = self._checked(first, num_seen, is_whole=not ends_early)

    def _find_in_known(self) -> None:
        """Find the part in a source whose frames and timestamps are known."""
        request, total = self._request, self.source.count_frames()
        first = next((n for n in range(total) if request.start is None or self._reaches(n, request.start)), None)
        end = next((n for n in range(total) if request.end is not None and self._reaches(n, request.end)), total)
        self._part = self._checked(first if first is not None and first < end else None, end, is_whole=end == total)

    def _reaches(self, number: int, position: Position) -> bool:
        """Return whether a frame of the source is at or after a position."""
        if not position.is_time:
            return number >= position.value
        return round(self.source.frame_pts(number) * self.source.time_base * MICROSECONDS) >= position.value

    def _checked(self, first: int | None, end: int, *, is_whole: bool) -> VideoPart:
        """Return the part. Warn if the video ends before it.

        Args:
            first: First frame of the part. None: no frame is in the part.
            end: Number of frames up to the end of the part.
            is_whole: Whether the video ends there.

        Raises:
            VisError: The part has no frame.
        """
        request, path = self._request, self.source.path
        length = counted(end, "frame")
        if is_whole and end:
            length += f", {float(self.source.frame_pts(end) * self.source.time_base):.2f} s"
        if first is None and is_whole:
            problem = f"cannot read {path}: --start {request.start} is after the end of the video ({length})"
            raise VisError(problem, hint="Use an earlier --start.")
        if first is None:
            problem = f"cannot read {path}: no frame is in the part {request}"
            raise VisError(problem, hint="Use a later --end.")
        if is_whole and request.end is not None and not self._has_warned and not self._reaches(end, request.end):
            self.warnings.append(f"the part ends with the video ({length}), before --end {request.end}")
            self._has_warned = True
        return VideoPart(first, end, request, is_whole)

    def _estimate(self) -> int | None:
        """Return the number of frames according to the header of the file. None: it is not known."""
        request, total = self._request, self.source.num_frames
        if total is None:
            return None
        start, end = (
            default if position is None else self._estimated_frame(position)
            for position, default in ((request.start, 0), (request.end, total))
        )
        return len(range(start, min(end, total), request.every)) or None

    def _estimated_frame(self, position: Position) -> int:
        return round(position.value * self.fps / MICROSECONDS) if position.is_time else position.value

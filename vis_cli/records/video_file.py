"""A video file as numbered RGB frames: decoded lazily, sought where that gives the same pictures.

Used by `video.open_video`.
"""

from __future__ import annotations

import zlib
from array import array
from bisect import bisect_right
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from vis_cli.errors import VisError
from vis_cli.records.decoder import (
    ALL_CORES,
    SHORTFALL_SECONDS,
    Damage,
    as_fraction,
    decoded_frames,
    opened_video,
    orientation_of,
    promised_seconds,
    sound_of,
    start_seconds,
)

FALLBACK_FPS = Fraction(25)  # where a file tells no frame rate
FALLBACK_TIME_BASE = Fraction(1, 90_000)  # MPEG's clock


class FrameIndex:
    """Hold when each frame is shown and a checksum of its picture, as the first full iteration finds them."""

    def __init__(self, frame_ticks: int) -> None:
        """Start empty; `frame_ticks` is the usual duration of a frame."""
        self.pts = array("q")  # strictly increasing
        self.checksums = array("L")
        self.key_frames = array("q")  # numbers of the frames that decode by themselves
        self.end_pts = 0  # where the last frame known ends
        self.complete = False
        self.seekable = True
        self._frame_ticks = frame_ticks

    def __len__(self) -> int:
        """Count the frames known so far."""
        return len(self.pts)

    def append(self, frame: VideoFrame, picture: NDArray[np.uint8]) -> None:
        """Enter the next frame; one without a time of its own follows the frame before it."""
        pts = frame.pts
        if pts is None or (self.pts and pts <= self.pts[-1]):
            self.seekable = False
            pts = self.end_pts
        self.pts.append(pts)
        self.end_pts = pts + max(1, frame.duration or self._frame_ticks)
        self.checksums.append(zlib.crc32(picture.data))
        if frame.key_frame:
            self.key_frames.append(len(self.pts) - 1)

    def entry_points(self, number: int) -> tuple[int | None, ...]:
        """Return the times to seek to for frame `number`, None being the start of the file, in the order to be tried.

        Many formats seek by decoding time and so land behind what was asked for; some key frames need the ones
        before them. The last but one key frame mends both.
        """
        if not self.seekable:
            return ()
        before = bisect_right(self.key_frames, number) - 2
        earlier = self.pts[self.key_frames[before]] if before >= 0 else None
        return (self.pts[number] if number else None, earlier)


class VideoFile:
    """A file that PyAV decodes, as the frames a person sees: rotation applied, RGB, all of the first frame's size.

    Pixels are taken as square: a sample aspect ratio is ignored, so that masks fit the stored frames.

    A frame's picture is what one thread finds decoding from the start: several threads conceal damage differently in
    each run. Once a frame is known, it is decoded by all cores and by seeking, and its picture compared with what is
    known; at the first difference the slow way takes over, so that an index always means the same picture.
    """

    frame_names: tuple[str, ...] | None = None  # frames of a file have no names

    def __init__(self, path: Path) -> None:
        """Open the file and decode its first frame, which settles size and orientation.

        Raises:
            VisError: the file is missing, empty, no video, or no frame of it decodes.
        """
        self.path = path
        self.name = path.stem
        self.losses: list[str] = []
        with opened_video(path, threads=1) as (container, stream):
            first = next(decoded_frames(container, stream, Damage()), None)
            if first is None:
                raise VisError(f"{path}: no frame of it decodes; check that it is a whole video")
            rate = _frame_rate(stream)
            self.time_base = as_fraction(stream.time_base) or FALLBACK_TIME_BASE
            self.fps = float(rate)
            self.has_audio = sound_of(container) is not None
            self._header_frames = stream.frames or None
            self._promised = promised_seconds(container, stream)
            self._origin = round(start_seconds(container) / self.time_base)
        self._orientation = orientation_of(first)
        self._coded_size = (first.width, first.height)
        self.width, self.height = self._coded_size[::-1] if self._orientation.transposed else self._coded_size
        self._index = FrameIndex(round(1 / (rate * self.time_base)))

    @property
    def num_frames(self) -> int | None:
        """Return the number of frames: exact after one full iteration, until then the header's word or None."""
        return len(self._index) if self._index.complete else self._header_frames

    def count_frames(self) -> int:
        """Return the exact number of frames, decoding the file for it unless that has been done."""
        if not self._index.complete:
            for _ in self._defining_pictures(0):
                pass
        return len(self._index)

    def iter_frames(self, start: int = 0, stop: int | None = None) -> Iterator[NDArray[np.uint8]]:
        """Yield the frames [start, stop) as (H, W, 3) uint8 RGB; fewer where the video ends before.

        Frames that no iteration has reached before are decoded from the start of the file, so iterate from first to
        last (or `count_frames`) before asking for parts.
        """
        if start < 0:
            raise ValueError(f"start is {start}")
        number = start
        known = len(self._index) if stop is None else min(stop, len(self._index))
        for entry_pts in self._index.entry_points(start) if start < known else ():
            for picture in self._known_pictures(entry_pts, number, known):
                yield picture
                number += 1
        end = known if self._index.complete else stop
        if end is None or number < end:
            yield from self._defining_pictures(number, end)

    def frame_pts(self, number: int) -> int:
        """Return when frame `number` is shown, in ticks of `time_base`; of `num_frames`, when the video ends."""
        if number >= len(self._index):
            self.count_frames()
        pts = self._index.end_pts if number == len(self._index) else self._index.pts[number]
        return pts - self._origin

    def _defining_pictures(self, start: int, stop: int | None = None) -> Iterator[NDArray[np.uint8]]:
        """Decode from the first frame in one thread, enter each new frame in the index, yield those from `start` on."""
        damage = Damage()
        with opened_video(self.path, threads=1) as (container, stream):
            for number, frame in enumerate(decoded_frames(container, stream, damage)):
                damage.resized_frames += (frame.width, frame.height) != self._coded_size
                new = number == len(self._index)
                if new or number >= start:
                    picture = self._picture(frame)
                    if new:
                        self._index.append(frame, picture)
                    if number >= start:
                        yield picture
                if number + 1 == stop:
                    return
        if not self._index.complete:
            self._index.complete = True
            self.losses += damage.words(len(self._index), (self.width, self.height)) + self._shortfall()

    def _known_pictures(self, entry_pts: int | None, start: int, stop: int) -> Iterator[NDArray[np.uint8]]:
        """Decode frames of the index with all cores, sought; end early where a picture is not as known."""
        if start >= stop:
            return
        with opened_video(self.path, threads=ALL_CORES) as (container, stream):
            if entry_pts is not None:
                try:
                    container.seek(entry_pts, stream=stream)
                except av.FFmpegError:
                    return
            number = start
            for frame in decoded_frames(container, stream, Damage()):
                if frame.pts is not None and frame.pts < self._index.pts[start]:
                    continue
                picture = self._picture(frame)
                if zlib.crc32(picture.data) != self._index.checksums[number]:
                    return
                yield picture
                number += 1
                if number == stop:
                    return

    def _picture(self, frame: VideoFrame) -> NDArray[np.uint8]:
        width, height = self._coded_size
        picture = frame.to_ndarray(format="rgb24", width=width, height=height)
        return self._orientation.apply(np.ascontiguousarray(picture, np.uint8))

    def _shortfall(self) -> list[str]:
        """Say so where the frames end well before the header promises: a file cut between two packets."""
        end = float(self.frame_pts(len(self._index)) * self.time_base)
        if self._promised is None or end >= float(self._promised) - SHORTFALL_SECONDS:
            return []
        return [
            f"the file ends early: its header promises {float(self._promised):.1f} s, its frames end at {end:.1f} s"
        ]


def _frame_rate(stream: VideoStream) -> Fraction:
    """Return frames a second by the header, averaged where they vary."""
    rates = map(as_fraction, (stream.average_rate, stream.guessed_rate, stream.base_rate))
    return next((rate for rate in rates if rate is not None), FALLBACK_FPS)

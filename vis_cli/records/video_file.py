"""A video file as RGB frames with their times; used by `video.open_video`."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from vis_cli.errors import VisError
from vis_cli.files.limits import MAX_FRAMES
from vis_cli.records.container import (
    as_fraction,
    best_audio_stream,
    clock_may_jump,
    opened_video,
    promised_seconds,
    start_seconds,
    video_streams,
)
from vis_cli.records.decoder import (
    ALL_CORES,
    SHORTFALL_SECONDS,
    Damage,
    decoded_frames,
    orientation_of,
    rgb_picture,
)
from vis_cli.records.timestamps import ClockSegment, FrameTimes

FALLBACK_FPS = Fraction(25)  # where a file tells no frame rate
FALLBACK_TIME_BASE = Fraction(1, 90_000)  # MPEG's clock


class VideoFile:
    """A file that PyAV decodes, as the frames a person sees: rotation applied, RGB, all of the first frame's size.

    Pixels are taken as square, so that masks fit the stored frames. `pixel_aspect` says how wide they are shown.

    Each iteration decodes the file from its start, so a frame index always means the same image. The first one uses one
    decoder thread, because several threads conceal damage in another way in each run. Later iterations use all cores if
    the file is not damaged.
    """

    frame_names: tuple[str, ...] | None = None  # frames of a file have no names

    def __init__(self, path: Path, *, stream: int | None = None) -> None:
        """Open the file and decode its first frame, which settles size and orientation.

        Args:
            path: The file.
            stream: Index among the video streams; None is the one that FFmpeg ranks best.

        Raises:
            VisError: the file is missing, empty, no video, or no frame of it decodes.
        """
        self.path = path
        self.name = path.stem
        self.stream = stream
        self.warnings: list[str] = []
        with opened_video(path, threads=1, number=stream) as (container, chosen):
            self._report_streams(video_streams(container), chosen)
            first = next(decoded_frames(container, chosen, Damage()), None)
            if first is None:
                raise VisError(f"{path}: no frame of it decodes; check that it is a whole video")
            rate = _frame_rate(chosen)
            self.time_base = as_fraction(chosen.time_base) or FALLBACK_TIME_BASE
            self.fps = float(rate)
            self.has_audio = best_audio_stream(container) is not None
            if container.streams.audio and not self.has_audio:
                self.warnings.append("the audio cannot be decoded, so the overlay has no audio")
            self._header_frames = chosen.frames or None
            self._promised = promised_seconds(container, chosen)
            self._origin = round(start_seconds(container) / self.time_base)
            pixel_aspect = as_fraction(chosen.sample_aspect_ratio) or Fraction(1)
            times = FrameTimes(round(1 / (rate * self.time_base)), self.time_base, may_jump=clock_may_jump(container))
            self._times_are_guessed = container.format.name == "avi"
            self._may_have_gaps = clock_may_jump(container)
            self._times_depend_on_all = clock_may_jump(container) or self._times_are_guessed
        self._orientation = orientation_of(first)
        self._coded_size = (first.width, first.height)
        self.width, self.height = self._coded_size[::-1] if self._orientation.transposed else self._coded_size
        self.pixel_aspect = 1 / pixel_aspect if self._orientation.transposed else pixel_aspect
        self._times = times
        self._is_complete = False  # one full iteration has ended
        self._is_intact = False  # and it has found no damage

    @property
    def clock_segments(self) -> list[ClockSegment]:
        """Return the parts of the file between jumps of its clock; complete after one full iteration."""
        return self._times.clock_segments

    @property
    def num_frames(self) -> int | None:
        """Return the number of frames: exact after one full iteration, until then the header's word or None."""
        return len(self._times.pts) if self._is_complete else self._header_frames

    def count_frames(self) -> int:
        """Return the exact number of frames. The file is decoded for it, unless that has been done."""
        if not self._is_complete:
            for _ in self._iter_decoded():
                pass
        return len(self._times.pts)

    def iter_frames(self) -> Iterator[NDArray[np.uint8]]:
        """Yield the frames as (H, W, 3) uint8 RGB.

        Raises:
            VisError: The file has too many frames.
        """
        for frame in self._iter_decoded():
            yield self._orientation.apply(rgb_picture(frame, self._coded_size))

    def settle_times(self) -> None:
        """Make the times final: decode a file once whose times may be repaired as a whole (AVI, joined recordings)."""
        if self._times_depend_on_all:
            self.count_frames()

    def frame_pts(self, number: int) -> int:
        """Return when frame `number` is shown, in ticks of `time_base`; of `num_frames`, when the video ends."""
        times = self._times
        if number >= len(times.pts):
            self.count_frames()
        return (times.end_pts if number == len(times.shown) else times.shown[number]) - self._origin

    def _report_streams(self, streams: list[VideoStream], chosen: VideoStream) -> None:
        if self.stream is None and len(streams) > 1:
            number = [stream.index for stream in streams].index(chosen.index)
            self.warnings.append(
                f"{len(streams)} video streams, of which stream {number} ({chosen.width}x{chosen.height}) is used; "
                "--stream N selects another one, counted from 0"
            )

    def _iter_decoded(self) -> Iterator[VideoFrame]:
        """Decode the file from its start. The first full iteration completes the times and the list of losses."""
        damage, first_pts = Damage(), None
        threads = ALL_CORES if self._is_intact else 1
        with opened_video(self.path, threads=threads, number=self.stream) as (container, stream):
            for number, frame in enumerate(decoded_frames(container, stream, damage)):
                if number == MAX_FRAMES:
                    raise VisError(f"cannot read {self.path}: more than {MAX_FRAMES:,} frames. Split the video.")
                first_pts = frame.pts if number == 0 else first_pts
                damage.resized_frames += (frame.width, frame.height) != self._coded_size
                if number == len(self._times.pts):
                    self._times.append(frame.pts, frame.duration)
                yield frame
        if not self._is_complete:
            self._is_complete = True
            self._is_intact = damage.is_none
            self._times.settle(damage.packet_dts, guessed=self._times_are_guessed)
            self.warnings += damage.words(len(self._times.pts), (self.width, self.height))
            self.warnings += [*self._lost_at_start(damage, first_pts), *self._gaps(damage)]
            self.warnings += [*self._jumps(), *self._shortfall(damage)]

    def _lost_at_start(self, damage: Damage, first_pts: int | None) -> list[str]:
        """Report packets from before the first frame: a recording that starts between codec key frames."""
        lost = sum(first_pts is not None and pts < first_pts for pts in damage.start_pts)
        if lost == 0:
            return []
        packets = "1 packet" if lost == 1 else f"{lost} packets"
        return [f"the file starts between codec key frames: {packets} before the first frame did not decode"]

    def _gaps(self, damage: Damage) -> list[str]:
        """Report gaps in a transport stream: frames are gone, which no decoder notices."""
        if not self._may_have_gaps or damage.num_gaps == 0:
            return []
        places = "1 place" if damage.num_gaps == 1 else f"{damage.num_gaps} places"
        frames = "1 frame" if damage.num_missing == 1 else f"{damage.num_missing} frames"
        return [f"packets are missing at {places} of the stream, with about {frames}"]

    def _jumps(self) -> list[str]:
        count = self._times.num_jumps
        times = "once" if count == 1 else f"{count} times"
        return [f"the clock of the file jumps {times} (joined recordings); a jump counts as one frame"] if count else []

    def _shortfall(self, damage: Damage) -> list[str]:
        """Say so where the file ends well before the header promises: a file cut between two packets.

        Audio or subtitles may be longer than the video, so only the stream's own duration is compared with the frames.
        """
        promised, is_of_stream = self._promised
        times = self._times
        frames_end = (times.end_pts - (self._origin if is_of_stream else 0)) * self.time_base
        end = frames_end if is_of_stream else max(damage.end_seconds, frames_end)
        if promised is None or float(end) >= float(promised) - SHORTFALL_SECONDS:
            return []
        shown = float(self.frame_pts(len(self._times.pts)) * self.time_base)
        return [f"the file ends early: its header promises {float(promised):.1f} s, its frames end at {shown:.1f} s"]


def _frame_rate(stream: VideoStream) -> Fraction:
    """Return frames a second by the header, averaged where they vary."""
    rates = map(as_fraction, (stream.average_rate, stream.guessed_rate, stream.base_rate))
    return next((rate for rate in rates if rate is not None), FALLBACK_FPS)

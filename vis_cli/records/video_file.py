"""Video files as RGB frames with timestamps. Used by `video.open_video`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray

from vis_cli.errors import VisError
from vis_cli.files.limits import MAX_FRAMES
from vis_cli.records.coded_frame import CodedFrame
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
    lost_colors,
    orientation_of,
    rate_of_durations,
)
from vis_cli.records.timestamps import ClockSegment, FrameTimes

FALLBACK_FPS = Fraction(25)  # for a file without a frame rate
FALLBACK_TIME_BASE = Fraction(1, 90_000)  # clock of MPEG


class VideoFile:
    """A video file as displayed frames: rotated, in RGB, and scaled to the size of the first frame.

    Masks have the size of the stored frames, with square pixels. `pixel_aspect` is the aspect ratio of a displayed
    pixel.

    Each iteration decodes the file from its start, so that a frame index always gives the same pixels. The first
    iteration uses one decoder thread, because several threads conceal damage differently in each run. Later iterations
    use all CPU cores if the file is not damaged.
    """

    frame_names: tuple[str, ...] | None = None  # frames of a file have no names
    part = span = None  # the complete video

    def __init__(self, path: Path, *, stream: int | None = None) -> None:
        """Open the file and decode its first frame, which determines size and orientation.

        Args:
            path: The file.
            stream: Index among the video streams. None lets FFmpeg choose the best video stream.

        Raises:
            VisError: The file is missing, empty or not a video, or none of its frames can be decoded.
        """
        self.path = path
        self.name = path.stem
        self.stream = stream
        self.warnings: list[str] = []
        with opened_video(path, threads=1, number=stream) as (container, chosen):
            self._report_streams(video_streams(container), chosen)
            first = next(decoded_frames(container, chosen, Damage()), None)
            if first is None:
                raise VisError(f"cannot read {path}: none of its frames can be decoded", hint="Restore the file.")
            rate = rate_of_durations(first) or frame_rate(chosen)
            self.time_base = as_fraction(chosen.time_base) or FALLBACK_TIME_BASE
            self.fps = float(rate)
            self.has_audio = best_audio_stream(container) is not None
            if container.streams.audio and not self.has_audio:
                self.warnings.append("the audio cannot be decoded, so the overlay has no audio")
            self.warnings += lost_colors(chosen)
            self._header_frames = chosen.frames or None
            self._promised = promised_seconds(container, chosen)
            self._origin = round(start_seconds(container) / self.time_base)
            pixel_aspect = as_fraction(chosen.sample_aspect_ratio) or Fraction(1)
            times = FrameTimes(round(1 / (rate * self.time_base)), self.time_base, may_jump=clock_may_jump(container))
            self._times_are_guessed = container.format.name == "avi"
            self._is_gif = container.format.name == "gif"
            self._may_have_gaps = clock_may_jump(container)
            self._times_depend_on_all = clock_may_jump(container) or self._times_are_guessed
        self._orientation = orientation_of(first)
        self._coded_size = (first.width, first.height)
        self.width, self.height = self._coded_size[::-1] if self._orientation.transposed else self._coded_size
        self.pixel_aspect = 1 / pixel_aspect if self._orientation.transposed else pixel_aspect
        self._times = times
        self._is_complete = False  # one full iteration has ended
        self._num_noted = 0  # frames from the start whose damage is in the warnings
        self._num_intact = 0  # frames from the start that decode without damage, as far as it is known

    @property
    def is_complete(self) -> bool:
        """Return whether the number of frames and the timestamps are final."""
        return self._is_complete

    @property
    def has_doubtful_times(self) -> bool:
        """Return whether a known frame has a wrong timestamp, which a full iteration corrects."""
        return not self._is_complete and self._times.num_faulty > 0

    @property
    def clock_segments(self) -> list[ClockSegment]:
        """Return the parts of the file between jumps of its clock; complete after one full iteration."""
        return self._times.clock_segments

    @property
    def num_frames(self) -> int | None:
        """Return the number of frames. It is exact after one full iteration; before, it is from the header, or None."""
        return len(self._times.pts) if self._is_complete else self._header_frames

    def count_frames(self) -> int:
        """Return the exact number of frames. This decodes the file, if it was not decoded completely before."""
        if not self._is_complete:
            for _ in self._iter_decoded():
                pass
        return len(self._times.pts)

    def iter_frames(self) -> Iterator[NDArray[np.uint8]]:
        """Yield the frames as (H, W, 3) uint8 RGB.

        Raises:
            VisError: The file has too many frames.
        """
        scaler = VideoReformatter()
        for frame in self._iter_decoded():
            yield self._coded(frame, scaler)()

    def iter_until(self, is_end: Callable[[int], bool], end: int | None) -> Iterator[tuple[int, CodedFrame]]:
        """Yield the number of each frame, and the frame, which returns its pixels. See `video_part.PartSource`."""
        scaler = VideoReformatter()
        for number, frame in enumerate(self._iter_decoded(is_end, end)):
            yield number, self._coded(frame, scaler)

    def settle_times(self) -> None:
        """Make the timestamps final. This decodes a file whose timestamps need corrections (AVI, joined recordings)."""
        if self._times_depend_on_all or self.has_doubtful_times:
            self.count_frames()

    def frame_pts(self, number: int) -> int:
        """Return the timestamp of frame `number` in units of `time_base`. For `num_frames`, return the video's end."""
        times = self._times
        if number >= len(times.pts):
            self.count_frames()
        return (times.end_pts if number == len(times.shown) else times.shown[number]) - self._origin

    def _report_streams(self, streams: list[VideoStream], chosen: VideoStream) -> None:
        if self.stream is None and len(streams) > 1:
            number = [stream.index for stream in streams].index(chosen.index)
            self.warnings.append(
                f"stream {number} ({chosen.width}x{chosen.height}) of {len(streams)} video streams is used; "
                "to select another stream, use --stream N, counted from 0"
            )

    def _coded(self, frame: VideoFrame, scaler: VideoReformatter) -> CodedFrame:
        return CodedFrame(frame, self._coded_size, self._orientation, scaler)

    def _iter_decoded(
        self, is_end: Callable[[int], bool] = lambda number: False, end: int | None = None
    ) -> Iterator[VideoFrame]:
        """Decode the file from its start. The first full iteration completes the timestamps and the warnings.

        Args:
            is_end: Called with the number of each frame, after its timestamp is known. True ends the iteration.
            end: Number of frames before `is_end`, if it is known. None: all frames.
        """
        damage, first_pts = Damage(), None
        is_intact = self._num_intact > 0 and self._num_intact >= (len(self._times.pts) if end is None else end)
        threads = ALL_CORES if is_intact else 1
        with opened_video(self.path, threads=threads, number=self.stream) as (container, stream):
            for number, frame in enumerate(decoded_frames(container, stream, damage)):
                if number == MAX_FRAMES:
                    problem = f"cannot read {self.path}: more than {MAX_FRAMES:,} frames"
                    raise VisError(problem, hint="Split the video.")
                first_pts = frame.pts if number == 0 else first_pts
                if number == len(self._times.pts):
                    self._times.append(frame.pts, frame.duration)
                if is_end(number):
                    self._note_damage(damage, number)
                    return
                damage.bad_frames += frame.is_corrupt
                damage.resized_frames += (frame.width, frame.height) != self._coded_size
                yield frame
        if not self._is_complete:
            self._is_complete = True
            self._num_intact = len(self._times.pts) if damage.is_none else 0
            self._times.settle(damage.packet_dts, guessed=self._times_are_guessed)
            if self._times_are_guessed and self._times.usual_step:  # AVI: the header holds the rate of its ticks
                self.fps = float(1 / (self._times.usual_step * self.time_base))
            if self._num_noted == 0:  # otherwise, only a part is used, whose warnings are there
                self.warnings += damage.warnings(len(self._times.pts), (self.width, self.height))
            self.warnings += [*self._lost_images(), *self._lost_at_start(damage, first_pts), *self._gaps(damage)]
            self.warnings += [*self._jumps(), *self._shortfall(damage)]

    def _note_damage(self, damage: Damage, num_frames: int) -> None:
        """Add the warnings about the first frames, if the decoder stops after them for the first time."""
        if self._is_complete or num_frames <= self._num_noted:
            return
        if damage.is_none:
            self._num_intact = num_frames
        self._num_noted = num_frames
        self.warnings += damage.warnings(num_frames, (self.width, self.height))

    def _lost_images(self) -> list[str]:
        """Return a warning for a GIF without delays and other extension blocks: FFmpeg decodes only its first image."""
        expected, number = self._header_frames or 0, len(self._times.pts)
        if not self._is_gif or number >= expected:
            return []
        remedy = "to use all images, save the GIF with a duration for each image"
        return [f"only {number} of {expected} images in this file can be decoded; {remedy}"]

    def _lost_at_start(self, damage: Damage, first_pts: int | None) -> list[str]:
        """Return a warning for packets before the first frame, if a recording starts between codec key frames."""
        lost = sum(first_pts is not None and pts < first_pts for pts in damage.start_pts)
        if lost == 0:
            return []
        packets = "1 packet" if lost == 1 else f"{lost} packets"
        return [f"the file starts between codec key frames: {packets} before the first frame did not decode"]

    def _gaps(self, damage: Damage) -> list[str]:
        """Return a warning for gaps in a transport stream, whose missing frames a decoder does not report."""
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
        """Return a warning if the file ends before the duration in its header, because it was cut between two packets.

        The frames are compared only with the duration of the video stream, because audio or subtitles can be longer.
        """
        promised, is_of_stream = self._promised
        times = self._times
        frames_end = (times.end_pts - (self._origin if is_of_stream else 0)) * self.time_base
        end = frames_end if is_of_stream else max(damage.end_seconds, frames_end)
        if promised is None or float(end) >= float(promised) - SHORTFALL_SECONDS:
            return []
        shown = float(self.frame_pts(len(self._times.pts)) * self.time_base)
        return [f"the file ends early: the header has {float(promised):.1f} s, the frames end at {shown:.1f} s"]


def frame_rate(stream: VideoStream) -> Fraction:
    """Return the frames per second in the header; the average for a variable frame rate."""
    rates = map(as_fraction, (stream.average_rate, stream.guessed_rate, stream.base_rate))
    return next((rate for rate in rates if rate is not None), FALLBACK_FPS)

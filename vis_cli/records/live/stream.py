"""Network streams, pipes and files as live sources, decoded with PyAV. Used by `opening`."""

from __future__ import annotations

import os
import select
import time
from collections.abc import Iterator
from fractions import Fraction
from functools import partial
from itertools import chain
from pathlib import Path
from threading import Event
from typing import Any

import av
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray

from vis_cli.errors import VisError
from vis_cli.records.container import ANY_TAGS, FORMATS, OPTIONS, as_fraction, open_container, prepared_stream
from vis_cli.records.decoder import orientation_of, rate_of_durations, rgb_image
from vis_cli.records.live.source import FALLBACK_FPS, OPEN_SECONDS, STALL_SECONDS, Capture, LiveClock

# Demuxers and protocols of FFmpeg for network streams. The protocol `file` is not allowed, so that a playlist from the
# network cannot refer to local files.
STREAM_FORMATS = (*FORMATS, "rtsp", "rtp", "rtp_mpegts", "sdp", "hls", "mpjpeg")
PROTOCOLS = ("rtsp", "rtsps", "rtmp", "rtmps", "http", "https", "udp", "rtp", "tcp", "srt")
ENDLESS = ("rtsp", "rtsps", "rtmp", "rtmps", "srt")  # protocols of live senders: the end of the data is an interruption
INNER_PROTOCOLS = ("tls", "httpproxy", "crypto", "udp", "rtp", "tcp", "http", "https")
STREAM_OPTIONS = {
    "format_whitelist": ",".join(STREAM_FORMATS),
    "protocol_whitelist": ",".join(dict.fromkeys((*PROTOCOLS, *INNER_PROTOCOLS))),
    "rtsp_flags": "prefer_tcp",  # UDP loses packets
    "overrun_nonfatal": "1",  # UDP: a full buffer loses packets instead of ending the stream
}
FALLBACK_TIME_BASE = Fraction(1, 90_000)  # clock of MPEG
PIPE_LEAD = 2.0  # seconds by which the frames of a pipe may be early: FFmpeg buffers as much when it opens a pipe
PIPE_POLL_SECONDS = 0.2  # between checks whether the user has stopped the capture


class PipeReader:
    """Standard input for FFmpeg. It ends if no data arrive for some time, or if the capture stops."""

    def __init__(self, descriptor: int, stall_seconds: float = STALL_SECONDS) -> None:
        """Store an open file descriptor."""
        self.has_stalled = False
        self.stop = Event()
        self._descriptor = descriptor
        self._stall_seconds = stall_seconds

    def read(self, size: int) -> bytes:
        """Return at most `size` bytes, and no bytes at the end."""
        deadline = time.monotonic() + self._stall_seconds
        while not self.stop.is_set():
            if select.select([self._descriptor], [], [], PIPE_POLL_SECONDS)[0]:
                return os.read(self._descriptor, size)
            if time.monotonic() > deadline:
                self.has_stalled = True
                break
        return b""


class Stream:
    """A stream that FFmpeg decodes."""

    def __init__(
        self,
        container: InputContainer,
        *,
        name: str,
        shown: str,
        number: int | None = None,
        pipe: PipeReader | None = None,
        lead: float | None = None,
        is_endless: bool = False,
        is_file: bool = False,
    ) -> None:
        """Decode the first frame, which determines the size.

        Args:
            container: The opened stream. `iter_captures` closes it.
            name: Name of the output files.
            shown: The stream as it is printed.
            number: Index of the video stream. None: the best one.
            pipe: Reader of the pipe, if it is one.
            lead: Maximum time in seconds by which a frame may be earlier than its timestamp. Then the stream waits:
                files and fast pipes are played in real time. None: no limit, for a stream that is live.
            is_endless: The end of the data means that the stream has stopped.
            is_file: The stream is a file, so the time of arrival of a frame has no meaning.

        Raises:
            VisError: There is no video, or no frame can be decoded.
        """
        self.name, self.shown = name, shown
        self.warnings: list[str] = []
        self._container, self._pipe, self._lead, self._is_endless = container, pipe, lead, is_endless
        self._is_file = is_file
        self._num_damaged = 0
        try:
            self._stream = prepared_stream(container, shown, threads=1, number=number)
            self._frames = self._decoded()
            self._first = first = self._read_first()
        except BaseException:
            self.close()
            raise
        self._orientation = orientation_of(first)
        self._scaler = VideoReformatter()
        self._coded_size = first.width, first.height
        self.width, self.height = self._coded_size[::-1] if self._orientation.transposed else self._coded_size
        self._time_base = as_fraction(self._stream.time_base) or FALLBACK_TIME_BASE
        header = as_fraction(self._stream.average_rate) or as_fraction(self._stream.guessed_rate)
        rate = rate_of_durations(first) or header
        self.fps = FALLBACK_FPS if rate is None else float(rate)
        aspect = as_fraction(self._stream.sample_aspect_ratio) or Fraction(1)
        self.pixel_aspect = 1 / aspect if self._orientation.transposed else aspect

    def iter_captures(self, stop: Event) -> Iterator[Capture]:
        """Yield the frames as they arrive. See `LiveSource`.

        Raises:
            VisError: No data arrive for `STALL_SECONDS`, or the stream is damaged or disconnected.
        """
        clock, started = LiveClock(step=1 / self.fps if self._is_file else None), time.monotonic()
        if self._pipe is not None:
            self._pipe.stop = stop
        try:
            for number, frame in enumerate(chain([self._first], self._frames)):
                timestamp = clock.timestamp(None if frame.pts is None else float(frame.pts * self._time_base))
                if self._lead is not None:
                    stop.wait(max(0.0, started + timestamp - self._lead - time.monotonic()))
                if stop.is_set():
                    return
                yield Capture(number, timestamp, time.time(), partial(self._rgb, frame))
        except VisError as error:
            seconds = time.monotonic() - started
            raise VisError(f"{self.shown} stopped after {seconds:.1f} s: {error.problem}", hint=error.hint) from error
        finally:
            self.close()
            if self._num_damaged:
                self.warnings.append(f"packets or frames with damage: {self._num_damaged}")

    def close(self) -> None:
        """Close the stream."""
        self._container.close()

    def _read_first(self) -> VideoFrame:
        try:
            first = next(self._frames, None)
        except VisError as error:
            raise VisError(f"cannot read {self.shown}: {error.problem}", hint=error.hint) from error
        if first is None:
            raise VisError(f"cannot read {self.shown}: no frame can be decoded", hint="Check the sender.")
        return first

    def _decoded(self) -> Iterator[VideoFrame]:
        """Yield the frames up to the end of the stream.

        Raises:
            VisError: The stream stops. The problem is only the cause.
        """
        for packet in chain(self._packets(), (None,)):  # None flushes the decoder
            try:
                frames = self._stream.decode(packet)
            except av.FFmpegError:
                self._num_damaged += 1
                continue
            for frame in frames:
                self._num_damaged += frame.is_corrupt
                yield frame

    def _packets(self) -> Iterator[Packet[VideoStream]]:
        try:
            for packet in self._container.demux(self._stream):
                if packet.size:  # an empty packet would end the decoding
                    yield packet
        except av.ExitError as error:  # the timeout of PyAV
            raise stalled() from error
        except av.FFmpegError as error:
            raise VisError(error.strerror or str(error), hint="Check the connection and the sender.") from error
        if self._pipe is not None and self._pipe.has_stalled:
            raise stalled()
        if self._is_endless:
            raise VisError("the sender has closed the connection", hint="Check the sender.")

    def _rgb(self, frame: VideoFrame) -> NDArray[np.uint8]:
        return self._orientation.apply(rgb_image(frame, self._coded_size, self._scaler))


def open_address(address: str, *, name: str, shown: str, number: int | None) -> Stream:
    """Open a network stream.

    Raises:
        VisError: It sends no frame within `OPEN_SECONDS`, or cannot be read.
    """
    container = _opened(address, shown, STREAM_OPTIONS)
    is_endless = address.partition("://")[0].lower() in ENDLESS
    return Stream(container, name=name, shown=shown, number=number, is_endless=is_endless)


def open_pipe(descriptor: int, *, name: str, shown: str, number: int | None) -> Stream:
    """Open a pipe.

    Raises:
        VisError: It sends no frame within `OPEN_SECONDS`, or its format cannot be read from a pipe.
    """
    pipe = PipeReader(descriptor, OPEN_SECONDS)
    container = _opened(pipe, shown, {"format_whitelist": OPTIONS["format_whitelist"], "protocol_whitelist": ""})
    return Stream(container, name=name, shown=shown, number=number, pipe=pipe, lead=PIPE_LEAD)


def open_file(path: Path, *, number: int | None) -> Stream:
    """Open a video file, which is played in real time.

    Raises:
        VisError: The file cannot be read.
    """
    return Stream(open_container(path), name=path.stem, shown=str(path), number=number, lead=0.0, is_file=True)


def stalled() -> VisError:
    """Return the error for a stream without data."""
    return VisError(f"no data for {STALL_SECONDS:g} s", hint="Check the connection and the sender.")


def _opened(source: str | PipeReader, shown: str, options: dict[str, str]) -> InputContainer:
    arguments: dict[str, Any] = {"options": options, "timeout": (OPEN_SECONDS, STALL_SECONDS), **ANY_TAGS}
    try:
        container: InputContainer = av.open(source, **arguments)
    except av.ExitError as error:
        problem = f"cannot read {shown}: no data within {OPEN_SECONDS:g} s"
        raise VisError(problem, hint="Check the address and the sender.") from error
    except av.FFmpegError as error:
        if isinstance(source, PipeReader) and source.has_stalled:
            problem = f"cannot read {shown}: no data within {OPEN_SECONDS:g} s"
            raise VisError(problem, hint="Check the program that writes to the pipe.") from error
        if isinstance(source, PipeReader):
            problem = f"cannot read {shown}: no video in a format for pipes ({error.strerror})"
            raise VisError(problem, hint="Use MPEG-TS or Matroska, such as ffmpeg … -f mpegts -.") from error
        raise VisError(f"cannot read {shown}: {error.strerror}", hint="Check the address and the sender.") from error
    return container

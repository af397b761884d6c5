"""A media file opened with PyAV: allowed formats, the choice of the video stream, and the times in the header.

Used by `decoder`, `video_file`, `sound` and `video_writer`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from vis_cli.errors import VisError
from vis_cli.files.limits import MAX_IMAGE_PIXELS, MAX_IMAGE_SIDE
from vis_cli.files.reading import require_regular

# FFmpeg's demuxers that read one file and open no other: no playlists, no lists, no image patterns, no devices, no
# network. Those of audio and subtitles are here because a file without a video stream then gets the right message.
FORMATS = (
    *("3gp", "3g2", "amv", "apng", "asf", "asf_o", "avi", "cavsvideo", "dirac", "dnxhd", "dv", "flic", "flv", "gif"),
    *("gxf", "h261", "h263", "h264", "hevc", "ivf", "live_flv", "m4v", "matroska", "mj2", "mjpeg", "mjpeg_2000"),
    *("mov", "mp4", "mpeg", "mpegts", "mpegtsraw", "mpegvideo", "mxf", "nsv", "nut", "nuv", "obu", "ogg", "pva"),
    *("rm", "roq", "smjpeg", "swf", "vc1", "vc1test", "vvc", "webm", "wtv", "yuv4mpegpipe"),
    *("aac", "aiff", "ass", "flac", "m4a", "mp3", "srt", "wav", "webvtt"),
)
OPTIONS = {
    "format_whitelist": ",".join(FORMATS),
    "protocol_whitelist": "file",
    "enable_drefs": "0",  # MOV: references to other files
}
LIST_STARTS = (b"ffconcat", b"#EXTM3U", b"<?xml", b"<MPD", b"v=0", b"[playlist]", b"[Reference]", b"RTSPtext", b"<asx")
TS_DISCONT = 0x0200  # FFmpeg's AVFMT_TS_DISCONT: the clock of the format may start again
# Tags may be in any encoding: from version 19 on PyAV reads them all, before that it has to be told.
ANY_TAGS: dict[str, Any] = {"metadata_errors": "replace"} if int(av.__version__.split(".")[0]) < 19 else {}
MICROSECOND = Fraction(1, 1_000_000)  # the unit of a container's start and duration
NO_VIDEO = Disposition.attached_pic | Disposition.timed_thumbnails
EXACT_DURATION = frozenset({"asf", "avi", "matroska", "mov", "mxf", "wtv"})  # formats whose header holds the duration


@contextmanager
def opened_container(path: Path) -> Iterator[InputContainer]:
    """Open a media file for reading; a file that refers to other files or addresses is rejected.

    Raises:
        VisError: the file is missing, empty, no regular file, or in no format of the list.
    """
    require_regular(path)
    if path.stat().st_size == 0:
        raise VisError(f"cannot read {path}: the file is empty. Restore the file.")
    try:
        # An absolute path, as FFmpeg would take "12:30.mp4" for a protocol.
        container = av.open(str(path.absolute()), options=OPTIONS, **ANY_TAGS)
    except av.FFmpegError as error:
        raise VisError(_why_unreadable(path, error)) from error
    with container:
        yield container


@contextmanager
def opened_video(
    path: Path, *, threads: int, number: int | None = None
) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open a file and one video stream of it; a cover picture is no video stream.

    Args:
        path: The file.
        threads: Number of decoder threads; 0 lets FFmpeg choose.
        number: Index among the video streams; None is the one that FFmpeg ranks best.

    Raises:
        VisError: the file cannot be read, or does not hold that video stream.
    """
    with opened_container(path) as container:
        stream = _chosen_stream(container, path, number)
        context = stream.codec_context
        if context is None:
            raise VisError(f"cannot read {path}: no decoder for the video stream. Convert the video to H.264.")
        if max(context.width, context.height) > MAX_IMAGE_SIDE or context.width * context.height > MAX_IMAGE_PIXELS:
            raise VisError(
                f"cannot read {path}: the frames are {context.width:,}x{context.height:,}, the limit is "
                f"{MAX_IMAGE_PIXELS:,} pixels. Scale the video down."
            )
        context.thread_type = "AUTO"
        context.thread_count = threads
        yield container, stream


def video_streams(container: InputContainer) -> list[VideoStream]:
    """List the video streams of a file without cover pictures and thumbnails."""
    return [stream for stream in container.streams.video if not stream.disposition & NO_VIDEO]


def best_audio_stream(container: InputContainer) -> AudioStream | None:
    """Return the audio stream that FFmpeg ranks best, or None where there is none that decodes."""
    stream = container.streams.best("audio")
    return stream if isinstance(stream, AudioStream) and stream.codec_context is not None else None


class Ratio(Protocol):
    """A rate or time base: a Fraction, or from PyAV 19 on an AVRational."""

    @property
    def numerator(self) -> int:
        """Return what is above the line."""

    @property
    def denominator(self) -> int:
        """Return what is below it."""


def as_fraction(value: Ratio | None) -> Fraction | None:
    """Return a rate or time base of PyAV's; None where it is unset, which PyAV says by None or, from 19 on, by 0/1."""
    return Fraction(value.numerator, value.denominator) if value else None


def start_seconds(container: InputContainer) -> Fraction:
    """Return when the file's own clock starts: 0 in most formats, anything in a transport stream.

    FFmpeg reports a negative time for a transport stream that starts less than a minute before its clock overflows.
    """
    start = container.start_time or 0
    return (start if clock_may_jump(container) else max(start, 0)) * MICROSECOND


def clock_may_jump(container: InputContainer) -> bool:
    """Tell whether recordings of this format can be joined byte by byte, each with its own clock."""
    return bool(container.format.flags & TS_DISCONT)


def promised_seconds(container: InputContainer, stream: VideoStream) -> tuple[Fraction | None, bool]:
    """Return the duration in the header, and whether it is the stream's own and not that of the whole file.

    None means that the format has no exact duration.
    """
    time_base = as_fraction(stream.time_base)
    if EXACT_DURATION.isdisjoint(container.format.name.split(",")):
        return None, False
    if stream.duration is not None and time_base is not None:
        return stream.duration * time_base, True
    return None if container.duration is None else container.duration * MICROSECOND, False


def _chosen_stream(container: InputContainer, path: Path, number: int | None) -> VideoStream:
    streams = video_streams(container)
    if not streams:
        cause = "no video stream (audio only)" if container.streams.audio else "no video stream"
        raise VisError(f"cannot read {path}: {cause}. Pass a file with a video stream.")
    if number is None:
        best = container.streams.best("video")
        return best if isinstance(best, VideoStream) and best in streams else streams[0]
    if number >= len(streams):
        count = "1 video stream" if len(streams) == 1 else f"{len(streams)} video streams"
        raise VisError(f"cannot read video stream {number} of {path}: the file has {count}. Count from 0.")
    return streams[number]


def _why_unreadable(path: Path, error: av.FFmpegError) -> str:
    with path.open("rb") as file:
        start = file.read(64).lstrip(b"\xef\xbb\xbf \t\r\n")
    if start.startswith(LIST_STARTS):
        return f"cannot read {path}: the file is a list of other files, which are not opened. Pass a video file."
    if isinstance(error, av.ArgumentError):
        return f"cannot read {path}: not a supported container format, or damaged. Convert the video to MP4."
    return f"cannot read {path}: not a video that can be read ({error.strerror}). Restore or convert the file."

"""Opening of media files with PyAV: allowed formats, choice of the streams, and the duration in the header.

Used by `decoder`, `video_file`, `audio` and `video_writer`.
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

# Demuxers of FFmpeg that read only the given file. Playlists, lists, image patterns, devices and network are excluded.
# The list contains formats of audio and subtitles, so that the error for such a file is "no video stream".
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
TS_DISCONT = 0x0200  # AVFMT_TS_DISCONT of FFmpeg: the clock of the format can jump
# Tags can have any encoding. PyAV 19 and newer read them all; older versions need this option.
ANY_TAGS: dict[str, Any] = {"metadata_errors": "replace"} if int(av.__version__.split(".")[0]) < 19 else {}
MICROSECOND = Fraction(1, 1_000_000)  # unit of the start and the duration of a container
NO_VIDEO = Disposition.attached_pic | Disposition.timed_thumbnails
EXACT_DURATION = frozenset({"asf", "avi", "matroska", "mov", "mxf", "wtv"})  # formats with the duration in the header


@contextmanager
def opened_container(path: Path) -> Iterator[InputContainer]:
    """Open a media file for reading, and close it at the end. See `open_container`."""
    with open_container(path) as container:
        yield container


def open_container(path: Path) -> InputContainer:
    """Open a media file for reading. A file that refers to other files or URLs is rejected.

    Raises:
        VisError: The file is missing, empty, not a regular file, or has an unsupported format.
    """
    require_regular(path)
    if path.stat().st_size == 0:
        raise VisError(f"cannot read {path}: the file is empty", hint="Restore the file.")
    try:
        # The path is absolute, because FFmpeg reads "12:30.mp4" as a protocol.
        container: InputContainer = av.open(str(path.absolute()), options=OPTIONS, **ANY_TAGS)
    except av.FFmpegError as error:
        raise _unreadable(path, error) from error
    return container


@contextmanager
def opened_video(
    path: Path, *, threads: int, number: int | None = None
) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open a file and one of its video streams. Cover images are not video streams.

    Args:
        path: The file.
        threads: Number of decoder threads; 0 lets FFmpeg choose.
        number: Index among the video streams. None lets FFmpeg choose the best video stream.

    Raises:
        VisError: The file cannot be read, or does not have this video stream.
    """
    with opened_container(path) as container:
        yield container, prepared_stream(container, path, threads=threads, number=number)


def prepared_stream(container: InputContainer, path: object, *, threads: int, number: int | None = None) -> VideoStream:
    """Return a video stream of an opened file or network stream, ready to be decoded. See `opened_video`."""
    stream = _chosen_stream(container, path, number)
    context = stream.codec_context
    if context is None:
        raise VisError(f"cannot read {path}: no decoder for the video stream", hint="Convert the video to H.264.")
    if max(context.width, context.height) > MAX_IMAGE_SIDE or context.width * context.height > MAX_IMAGE_PIXELS:
        size = f"{context.width:,}x{context.height:,}"
        problem = f"cannot read {path}: the frames are {size}, the limit is {MAX_IMAGE_PIXELS:,} pixels"
        raise VisError(problem, hint="Scale the video down.")
    context.thread_type = "AUTO"
    context.thread_count = threads
    return stream


def video_streams(container: InputContainer) -> list[VideoStream]:
    """Return the video streams of a file without cover images and thumbnails."""
    return [stream for stream in container.streams.video if not stream.disposition & NO_VIDEO]


def best_audio_stream(container: InputContainer) -> AudioStream | None:
    """Return the audio stream that FFmpeg chooses as the best, or None if no audio stream can be decoded."""
    stream = container.streams.best("audio")
    return stream if isinstance(stream, AudioStream) and stream.codec_context is not None else None


class Ratio(Protocol):
    """A rate or time base of PyAV: a Fraction, or an AVRational from version 19."""

    @property
    def numerator(self) -> int:
        """Return the numerator."""

    @property
    def denominator(self) -> int:
        """Return the denominator."""


def as_fraction(value: Ratio | None) -> Fraction | None:
    """Convert a rate or time base of PyAV. Return None if it is unset: None, or 0/1 from PyAV 19."""
    return Fraction(value.numerator, value.denominator) if value else None


def start_seconds(container: InputContainer) -> Fraction:
    """Return the start of the file's clock in seconds: 0 in most formats, any value in a transport stream.

    The value is negative for a transport stream that starts less than a minute before its clock overflows.
    """
    start = container.start_time or 0
    return (start if clock_may_jump(container) else max(start, 0)) * MICROSECOND


def clock_may_jump(container: InputContainer) -> bool:
    """Return whether the clock can jump: files of this format can be concatenated, each with its own clock."""
    return bool(container.format.flags & TS_DISCONT)


def promised_seconds(container: InputContainer, stream: VideoStream) -> tuple[Fraction | None, bool]:
    """Return the duration in the header.

    Returns:
        The duration in seconds, or None if the header has no exact duration; and whether it is the duration of the
        stream instead of the file.
    """
    time_base = as_fraction(stream.time_base)
    if EXACT_DURATION.isdisjoint(container.format.name.split(",")):
        return None, False
    if stream.duration is not None and time_base is not None:
        return stream.duration * time_base, True
    return None if container.duration is None else container.duration * MICROSECOND, False


def _chosen_stream(container: InputContainer, path: object, number: int | None) -> VideoStream:
    streams = video_streams(container)
    if not streams:
        cause = "no video stream (audio only)" if container.streams.audio else "no video stream"
        raise VisError(f"cannot read {path}: {cause}", hint="Pass a file with a video stream.")
    if number is None:
        best = container.streams.best("video")
        return best if isinstance(best, VideoStream) and best in streams else streams[0]
    if number >= len(streams):
        count = "1 video stream" if len(streams) == 1 else f"{len(streams)} video streams"
        hint = f"Use --stream with a value from 0 to {len(streams) - 1}."
        raise VisError(f"cannot read video stream {number} of {path}: the file has {count}", hint=hint)
    return streams[number]


def _unreadable(path: Path, error: av.FFmpegError) -> VisError:
    with path.open("rb") as file:
        start = file.read(64).lstrip(b"\xef\xbb\xbf \t\r\n")
    if start.startswith(LIST_STARTS):
        problem = f"cannot read {path}: the file is a list of other files, which are not opened"
        return VisError(problem, hint="Pass a video file.")
    if isinstance(error, av.ArgumentError):
        problem = f"cannot read {path}: not a supported container format, or damaged"
        return VisError(problem, hint="Convert the video to MP4.")
    problem = f"cannot read {path}: not a readable video ({error.strerror})"
    return VisError(problem, hint="Restore or convert the file.")

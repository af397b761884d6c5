"""Small videos and images whose frames tell their number, colours and orientation; made for the tests of `records`."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import count
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from vis_cli.records.video import Video, open_video
from vis_cli.records.video_writer import write_video

RED, GREEN, BLUE = (200, 40, 40), (40, 180, 40), (40, 40, 200)
GREY_STEP = 10  # between the grey of a frame and the next, so at most 22 frames
AUDIO_RATE = 48_000
QUARTER_TURNS = {  # degrees counterclockwise -> the 2x2 part of a display matrix
    0: (1, 0, 0, 1),
    90: (0, -1, 1, 0),
    180: (-1, 0, 0, -1),
    270: (0, 1, -1, 0),
}


def picture(number: int, size: tuple[int, int] = (64, 48)) -> NDArray[np.uint8]:
    """Paint frame `number`, (H, W, 3) RGB: red, green and blue quarters, the lower right one a grey that counts."""
    width, height = size
    image = np.empty((height, width, 3), np.uint8)
    image[: height // 2, : width // 2] = RED
    image[: height // 2, width // 2 :] = GREEN
    image[height // 2 :, : width // 2] = BLUE
    image[height // 2 :, width // 2 :] = 20 + GREY_STEP * number
    return image


def number_in(image: NDArray[np.uint8]) -> int:
    """Read the frame number back from a decoded picture, upright."""
    height, width = image.shape[:2]
    grey = image[height * 5 // 8 : height * 7 // 8, width * 5 // 8 : width * 7 // 8].mean()
    return round((float(grey) - 20) / GREY_STEP)


def numbers_in(images: Iterator[NDArray[np.uint8]]) -> list[int]:
    """Read the frame numbers of a stream of pictures."""
    return [number_in(image) for image in images]


def quarters_of(image: NDArray[np.uint8]) -> list[list[int]]:
    """Return the colours at the middle of the upper left, upper right and lower left quarter."""
    height, width = image.shape[:2]
    return [
        image[y, x].tolist()
        for y, x in ((height // 4, width // 4), (height // 4, width * 3 // 4), (height * 3 // 4, width // 4))
    ]


def make_video(
    folder: Path,
    name: str = "clip.mp4",
    *,
    num_frames: int = 8,
    size: tuple[int, int] = (64, 48),
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    rate: int = 25,
    pts_ms: Sequence[int] | None = None,
    matrix: tuple[int, int, int, int] | None = None,
    sound: str | None = None,
    sound_layout: str = "stereo",
    start: Fraction = Fraction(0),
    options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
    metadata: dict[str, str] | None = None,
) -> Path:
    """Encode `picture`s, and a 440 Hz tone where `sound` names a codec; `pts_ms` gives a time to each frame."""
    path = folder / name
    with av.open(str(path), "w", options=container_options or {}) as output:
        output.metadata.update(metadata or {})
        stream = output.add_stream(codec, rate=rate, options=options or {})
        stream.width, stream.height, stream.pix_fmt = *size, pix_fmt
        stream.codec_context.time_base = Fraction(1, 1000) if pts_ms else Fraction(1, rate)
        tone = output.add_stream(sound, rate=AUDIO_RATE, layout=sound_layout) if sound else None
        for number, ticks in zip(range(num_frames), pts_ms or count(round(start * rate)), strict=False):
            frame = av.VideoFrame.from_ndarray(picture(number, size), format="rgb24")
            frame.pts, frame.time_base = ticks, stream.codec_context.time_base
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
        if tone is not None:
            for samples in tone_frames(Fraction(num_frames, rate), sound_layout, start):
                output.mux(tone.encode(samples))
            output.mux(tone.encode(None))
    if matrix is not None:
        set_display_matrix(path, matrix)
    return path


def two_streams(path: Path) -> Path:
    """Encode two video streams: frames 0 to 3, and frames 10 to 15 of twice the size."""
    with av.open(str(path), "w") as output:
        sizes = ((64, 48), (128, 96))
        streams = [output.add_stream("libx264", rate=10) for _ in sizes]
        for stream, size in zip(streams, sizes, strict=True):
            stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for stream, size, numbers in zip(streams, sizes, (range(4), range(10, 16)), strict=True):
            for number in numbers:
                output.mux(stream.encode(av.VideoFrame.from_ndarray(picture(number, size), format="rgb24")))
            output.mux(stream.encode(None))
    return path


def make_sound(folder: Path, name: str = "song.wav", codec: str = "pcm_s16le") -> Path:
    """Encode half a second of a 440 Hz tone and nothing to see."""
    path = folder / name
    with av.open(str(path), "w") as output:
        stream = output.add_stream(codec, rate=AUDIO_RATE, layout="stereo")
        for samples in tone_frames(Fraction(1, 2), "stereo", Fraction(0)):
            output.mux(stream.encode(samples))
        output.mux(stream.encode(None))
    return path


def tone_frames(seconds: Fraction, layout: str, start: Fraction) -> Iterator[av.AudioFrame]:
    """Yield 440 Hz at a third of full loudness in blocks of 20 ms."""
    block = AUDIO_RATE // 50
    for first in range(0, round(seconds * AUDIO_RATE), block):
        wave = np.sin(2 * np.pi * 440 / AUDIO_RATE * np.arange(first, first + block)) / 3
        samples = np.tile(wave.astype(np.float32), (1 if layout == "mono" else 2, 1))
        frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout=layout)
        frame.sample_rate, frame.time_base = AUDIO_RATE, Fraction(1, AUDIO_RATE)
        frame.pts = first + round(start * AUDIO_RATE)
        yield frame


def set_display_matrix(path: Path, matrix: tuple[int, int, int, int]) -> None:
    """Rewrite the matrix (a, b, c, d) in an MP4's track header, which phones use to turn what they film."""

    def encoded(a: int, b: int, c: int, d: int) -> bytes:
        return struct.pack(">9i", a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30)

    data = path.read_bytes()
    position = data.index(encoded(1, 0, 0, 1), data.index(b"tkhd"))
    path.write_bytes(data[:position] + encoded(*matrix) + data[position + 36 :])


def damage(path: Path, start: float, stop: float) -> None:
    """Overwrite a part of a file's coded pictures with 0xff; `start` and `stop` are shares of the MP4's mdat box."""
    data = bytearray(path.read_bytes())
    first = data.index(b"mdat") + 4
    length = int.from_bytes(data[first - 8 : first - 4], "big") - 8
    for position in range(first + int(length * start), first + int(length * stop)):
        data[position] = 0xFF
    path.write_bytes(data)


def truncate(path: Path, share: float) -> None:
    """Keep only the first part of a file."""
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])


def make_images(folder: Path, names: Sequence[str], size: tuple[int, int] = (64, 48)) -> Path:
    """Write `picture(i)` under the i-th name, in the format its suffix asks for."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names):
        write_image(folder / name, picture(number, size))
    return folder


def make_entry(path: Path, kind: str) -> None:
    """Make a broken link, a pipe or a folder."""
    if kind == "link":
        path.symlink_to("gone")
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.mkdir()


def write_image(path: Path, image: NDArray[np.uint8] | NDArray[np.uint16]) -> None:
    """Write (H, W), (H, W, 3) RGB or (H, W, 4) RGBA of 8 or 16 bits in the format that the suffix asks for."""
    if image.ndim == 3:
        image = image[..., [2, 1, 0, 3][: image.shape[2]]]
    encoded, data = cv2.imencode(path.suffix, image)
    assert encoded
    path.write_bytes(data.tobytes())


def with_exif_orientation(jpeg: bytes, orientation: int) -> bytes:
    """Insert an EXIF block that holds nothing but an orientation, 1 to 8."""
    tiff = b"II*\0" + struct.pack("<IHHHIHHI", 8, 1, 0x0112, 3, 1, orientation, 0, 0)
    block = b"Exif\0\0" + tiff
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + jpeg[2:]


def rewrite(source_path: Path, output: Path) -> Video:
    """Write the frames of a source as they are; returns the source."""
    source = open_video(source_path)
    write_video(output, source.iter_frames(), source)
    return source


def frame_times(path: Path) -> list[Fraction]:
    """Return when each frame is shown, and when the last one ends, counted from the first."""
    with av.open(str(path)) as container:
        times = []
        for frame in container.decode(video=0):
            assert frame.pts is not None
            assert frame.time_base is not None
            times.append(frame.pts * frame.time_base)
        return [time - times[0] for time in (*times, times[-1] + frame.duration * frame.time_base)]

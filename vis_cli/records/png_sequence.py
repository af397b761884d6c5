"""Sequences of PNG images in a folder, one image per frame. Used by `commands.render`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

import cv2
import numpy as np
from numpy.typing import NDArray

from vis_cli.files.library_output import silenced_libraries
from vis_cli.records.bundle import write_bundle
from vis_cli.records.types import VideoInfo

TO_OPENCV = {(3,): cv2.COLOR_RGB2BGR, (4,): cv2.COLOR_RGBA2BGRA}  # by the shape of a pixel
COMPRESSION = [cv2.IMWRITE_PNG_COMPRESSION, 3]  # from 0 to 9; 3 is fast, and the files are about 5 % larger than with 9


def write_png_sequence(folder: Path, frames: Iterable[NDArray[np.uint8]], names: Sequence[str]) -> None:
    """Write frames as PNG images. After an exception, no new image remains.

    Args:
        folder: The folder.
        frames: uint8 (H, W, 3) RGB, (H, W, 4) RGB and alpha, or (H, W) grey.
        names: File name of each frame.

    Raises:
        VisError: A file cannot be written, or a name is not safe.
    """
    with write_bundle(folder) as add:
        for name, image in zip(names, frames, strict=True):
            add(name, encode_image(image, ".png"))


def encode_image(image: NDArray[np.uint8], suffix: str) -> bytes:
    """Encode an image in the format of a file extension: .png or .jpg."""
    code = TO_OPENCV.get(image.shape[2:])
    pixels = image if code is None else cv2.cvtColor(image, code)
    with silenced_libraries():
        _, data = cv2.imencode(suffix, pixels, COMPRESSION if suffix == ".png" else [])
    return bytes(data.tobytes())


def png_names(video: VideoInfo) -> list[str]:
    """Return the name of the PNG of each frame: the name of its image, or its index in the complete video."""
    if video.frame_names is not None:
        return [f"{PurePosixPath(name).stem}.png" for name in video.frame_names]
    return [f"{index:06d}.png" for index in video.frame_numbers]

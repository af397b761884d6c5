"""Puts frames of overlay videos into one picture, a row for each video; the README shows what it makes.

`make demo`, then `python sample_videos/make_strip.py demo/*.mp4 -o sample_videos/overlay.jpg`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

COLUMNS, WIDTH, GAP = 4, 400, 4  # pictures a row, pixels of one, pixels between two
WHITE = 255
JPEG_QUALITY = 85


def main() -> None:
    """Read the command line and write the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("videos", type=Path, nargs="+")
    parser.add_argument("-o", "--output", type=Path, required=True)
    args = parser.parse_args()
    rows = [join([shrink(frame) for frame in pick(video)], axis=1) for video in args.videos]
    picture = join(rows, axis=0)
    cv2.imwrite(str(args.output), picture[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])


def pick(video: Path) -> list[NDArray[np.uint8]]:
    """Return frames (H, W, 3), evenly spread from the first to the last."""
    with av.open(str(video)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    return [frames[i] for i in np.linspace(0, len(frames) - 1, COLUMNS).round().astype(int)]


def shrink(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Bring a frame to the strip's width."""
    height = round(frame.shape[0] * WIDTH / frame.shape[1])
    return np.asarray(cv2.resize(frame, (WIDTH, height), interpolation=cv2.INTER_AREA), dtype=np.uint8)


def join(pictures: list[NDArray[np.uint8]], axis: int) -> NDArray[np.uint8]:
    """Set pictures beside or below one another, with white between them."""
    shape = list(pictures[0].shape)
    shape[axis] = GAP
    white = np.full(shape, WHITE, dtype=np.uint8)
    parts = [part for picture in pictures for part in (white, picture)][1:]
    return np.concatenate(parts, axis=axis)


if __name__ == "__main__":
    main()

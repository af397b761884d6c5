"""Join frames of overlay videos in one image, one row per video. The README shows the result.

Run `make demo`, then `python sample_videos/make_strip.py demo/*.mp4 -o sample_videos/overlay.jpg`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

COLUMNS, WIDTH, GAP = 4, 400, 4  # frames per row, width of a frame in pixels, space between frames in pixels
WHITE = 255
JPEG_QUALITY = 85


def main() -> None:
    """Read the command line and write the image."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("videos", type=Path, nargs="+", help="overlay videos, one per row")
    parser.add_argument("-o", "--output", type=Path, required=True, help="image file to write")
    args = parser.parse_args()
    rows = [join([shrink(frame) for frame in pick(video)], axis=1) for video in args.videos]
    image = join(rows, axis=0)
    cv2.imwrite(str(args.output), image[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])


def pick(video: Path) -> list[NDArray[np.uint8]]:
    """Return COLUMNS frames (H, W, 3) at equal distances, from the first to the last."""
    with av.open(str(video)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    return [frames[i] for i in np.linspace(0, len(frames) - 1, COLUMNS).round().astype(int)]


def shrink(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Resize a frame to WIDTH pixels."""
    height = round(frame.shape[0] * WIDTH / frame.shape[1])
    return np.asarray(cv2.resize(frame, (WIDTH, height), interpolation=cv2.INTER_AREA), dtype=np.uint8)


def join(images: list[NDArray[np.uint8]], axis: int) -> NDArray[np.uint8]:
    """Join images along an axis, with white space between them."""
    shape = list(images[0].shape)
    shape[axis] = GAP
    white = np.full(shape, WHITE, dtype=np.uint8)
    parts = [part for image in images for part in (white, image)][1:]
    return np.concatenate(parts, axis=axis)


if __name__ == "__main__":
    main()

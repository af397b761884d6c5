"""Draw docs/how-to/prompts.jpg: a box and a point in frame 20 of launchpad.mp4, and the masks of both objects.

vis segment sample_videos/launchpad.mp4 -o demo/prompts --no-render --box 20:4,4,222,356 --point 20:450,150
python docs/how-to/draw_prompts.py demo/prompts/launchpad.json
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray
from typer.testing import CliRunner

from vis_cli.app import app

OUTPUT = Path(__file__).with_name("prompts.jpg")
VIDEO = Path("sample_videos/launchpad.mp4")
BOX, POINT = (4, 4, 222, 356), (450, 150)  # the prompts of the command above
FRAME, OTHERS = 20, (40, 59)
ORANGE, BLUE, WHITE = (255, 150, 0), (0, 110, 220), (255, 255, 255)
TILE, GAP = (400, 225), 6  # size of a frame and space between frames in pixels
QUALITY = 85  # of the JPEG file


def main() -> None:
    """Draw four frames into one image."""
    with tempfile.TemporaryDirectory() as folder:
        overlay = Path(folder) / "overlay.mp4"
        command = ["render", sys.argv[1], "--video", str(VIDEO), "--min-score", "0", "-o", str(overlay)]
        done = CliRunner().invoke(app, command, catch_exceptions=False)
        if done.exit_code:
            raise SystemExit(done.stderr)
        source, masks = read_frames(VIDEO), read_frames(overlay)
    tiles = [tile(with_prompts(source[FRAME])), *(tile(masks[index]) for index in (FRAME, *OTHERS))]
    image = np.vstack([np.hstack(tiles[:2]), np.hstack(tiles[2:])])[:-GAP, :-GAP]
    cv2.imwrite(str(OUTPUT), image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])


def read_frames(path: Path) -> list[NDArray[np.uint8]]:
    """Return the frames of a video, (H, W, 3) RGB."""
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def with_prompts(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Draw the box and the point."""
    image = np.ascontiguousarray(frame)
    cv2.rectangle(image, BOX[:2], BOX[2:], ORANGE, thickness=5)
    cv2.circle(image, POINT, 11, WHITE, thickness=cv2.FILLED, lineType=cv2.LINE_AA)
    cv2.circle(image, POINT, 8, BLUE, thickness=cv2.FILLED, lineType=cv2.LINE_AA)
    return image


def tile(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a frame in the size of a tile, with white space at the right and below."""
    small = cv2.resize(frame, TILE, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.copyMakeBorder(small, 0, GAP, 0, GAP, cv2.BORDER_CONSTANT, value=WHITE), dtype=np.uint8)


if __name__ == "__main__":
    main()

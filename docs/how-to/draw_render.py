"""Draw docs/how-to/render.jpg: the modes of `vis render` on a frame of launchpad.mp4. Run it from the root.

vis segment sample_videos/launchpad.mp4 -o demo --no-render && python docs/how-to/draw_render.py demo/launchpad.json
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from typer.testing import CliRunner

from vis_cli.app import app
from vis_cli.records.tag_text import choose_text_styles

OUTPUT = Path(__file__).with_name("render.jpg")
FRAME = 52
TILE = (400, 225)  # width and height
CAPTION = 26  # height of the caption above an image
CHECKS = 12  # side of the squares behind transparent pixels
EXAMPLES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("overlay", ()),
    ("matte", ()),
    ("alpha", ()),
    ("cutout", ("--background", "green", "--only", "person")),
    ("blur", ("--only", "person")),
    ("pixelate", ("--only", "person", "--blocks", "10")),
    ("grey-out", ("--only", "person")),
    ("contact-sheet", ()),
)


def main() -> None:
    """Draw all modes of a result into one image."""
    result = Path(sys.argv[1])
    tiles = [captioned(caption(mode, options), drawn(result, mode, options)) for mode, options in EXAMPLES]
    image = np.vstack([np.hstack(tiles[:4]), np.hstack(tiles[4:])])
    cv2.imwrite(str(OUTPUT), image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 70])


def caption(mode: str, options: tuple[str, ...]) -> str:
    """Return the options of an example."""
    return " ".join(["--as", mode, *options])


def drawn(result: Path, mode: str, options: tuple[str, ...]) -> NDArray[np.uint8]:
    """Return the output of a mode for one frame, (H, W, 3) RGB."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "o"
        command = ["render", str(result), "--as", mode, *options, "--format", "png", "-o", str(out)]
        done = CliRunner().invoke(app, command, catch_exceptions=False)
        if done.exit_code:
            raise SystemExit(done.stderr)
        path = out / (f"{result.stem}.png" if mode == "contact-sheet" else f"{FRAME:06d}.png")
        return over_checks(cv2.imread(str(path), cv2.IMREAD_UNCHANGED))


def over_checks(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return an RGB image. Transparent pixels show a checkerboard."""
    if image.ndim == 2:
        return np.repeat(image[..., None], 3, axis=2)
    if image.shape[2] == 3:
        return image[..., ::-1]
    rows, columns = np.indices(image.shape[:2]) // CHECKS
    checks = np.where((rows + columns) % 2, 205, 255)[..., None]
    alpha = image[..., 3:] / 255
    return (image[..., 2::-1] * alpha + checks * (1 - alpha)).astype(np.uint8)


def captioned(text: str, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return an image in the size of a tile below its caption."""
    width, height = TILE
    scale = min(width / image.shape[1], height / image.shape[0])
    size = round(image.shape[1] * scale), round(image.shape[0] * scale)
    tile = np.full((height + CAPTION + 6, width + 6, 3), 255, dtype=np.uint8)
    x, y = (width - size[0]) // 2, (height - size[1]) // 2 + CAPTION
    tile[y : y + size[1], x : x + size[0]] = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    styles = choose_text_styles(360)
    assert styles is not None
    page = Image.fromarray(tile)
    ImageDraw.Draw(page).text((2, CAPTION - 7), text, font=styles[0].font, fill=(20, 20, 20), anchor="ls")
    return np.asarray(page)


if __name__ == "__main__":
    main()

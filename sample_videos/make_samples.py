"""Create the sample clips and their ground truth from photographs of scikit-image.

Run `pip install scikit-image`, then `python sample_videos/make_samples.py`. One machine always writes the same files.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import skimage.data
from numpy.typing import NDArray

from vis_cli.records.rle import Rle, encode_mask, rle_area, rle_box

WIDTH, HEIGHT, FPS, NUM_FRAMES = 640, 360, 24, 60
QUALITY = 21  # x264's crf
INFO = {"description": "Sample clips made by make_samples.py", "licence": "CC0 and public domain, see README.md"}
CATEGORY_IDS = {"cat": 1, "person": 2}

# Outlines drawn by hand, in pixels of the photographs. GrabCut moves them to the nearest edge of the object.
# The outline of the cat ends at the border of the photograph, which does not contain all of its ears and back.
CAT_OUTLINE = (
    (38, 0), (35, 30), (32, 60), (30, 85), (30, 105), (18, 115), (8, 123), (0, 130), (0, 300), (258, 300), (265, 292),
    (280, 285), (300, 277), (313, 266), (319, 250), (318, 235), (317, 220), (330, 203), (345, 187), (356, 166),
    (361, 150), (361, 135), (359, 115), (355, 95), (354, 80), (360, 68), (370, 52), (377, 38), (384, 24), (394, 10),
    (400, 0),
)  # fmt: skip
# Below row 350, the helmet covers the astronaut. The clips show only the rows above.
PERSON_OUTLINE = (
    (20, 512), (22, 470), (20, 420), (19, 390), (24, 350), (30, 315), (40, 285), (55, 255), (75, 230), (100, 214),
    (113, 207), (113, 190), (122, 188), (124, 172), (135, 158), (150, 150), (170, 149), (183, 149), (183, 140),
    (178, 131), (168, 122), (156, 105), (153, 80), (155, 60), (165, 48), (188, 34), (205, 22), (230, 15), (260, 20),
    (280, 35), (293, 55), (300, 72), (301, 95), (296, 115), (286, 128), (276, 136), (266, 136), (260, 160), (255, 172),
    (268, 178), (285, 195), (298, 215), (304, 235), (320, 242), (335, 255), (345, 275), (353, 295), (358, 320),
    (362, 346), (362, 512),
)  # fmt: skip
SEARCH_RADIUS = 6  # pixels around an outline in which GrabCut searches the edge
NO_BOX = (0, 0, 0, 0)  # GrabCut starts from the outline instead
EDGE_SOFTNESS = 0.9  # standard deviation in pixels
MIXED_EDGE = 2  # pixels inside the edge whose colour is mixed with the old background

# The scene of `cat`: a framed print on a wall above a panel. Sizes are in pixels, colours in RGB.
WALL_SIZE, PRINT_SIZE, PANEL_TOP = (960, 540), (226, 150), 410  # sizes are (width, height)
MAT_REACH, FRAME_REACH = 14, 21  # distance of the outer edge from the print
WALL_COLOUR, PANEL_COLOUR, FRAME_COLOUR, MAT_COLOUR = (122, 142, 148), (222, 218, 208), (62, 46, 34), (240, 238, 232)

Image = NDArray[np.uint8]  # (H, W, 3) RGB
Matte = NDArray[np.float32]  # (H, W) in 0..1
Outline = Sequence[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class View:
    """Position of an image in a frame: its point (x, y) moves to `at`, rotated by `degrees`."""

    x: float
    y: float
    scale: float
    degrees: float = 0.0
    at: tuple[float, float] = (WIDTH / 2, HEIGHT / 2)

    @property
    def matrix(self) -> NDArray[np.float64]:
        """Return the (2, 3) affine map from image to frame."""
        matrix = np.array(cv2.getRotationMatrix2D((self.x, self.y), self.degrees, self.scale), dtype=np.float64)
        matrix[:, 2] += np.array(self.at) - (self.x, self.y)
        return matrix


@dataclass(frozen=True, slots=True)
class Layer:
    """One image of a scene, its matte and its motion over time 0..1. `category` is set if it shows an instance."""

    image: Image
    matte: Matte
    view: Callable[[float], View]
    category: str | None = None
    is_backdrop: bool = False  # the complete image is drawn; the matte only marks the instance


@dataclass(frozen=True, slots=True)
class Clip:
    """A scene with its layers from back to front."""

    name: str
    layers: tuple[Layer, ...]


def main() -> None:
    """Write all clips and the annotations."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path(__file__).parent, help="folder of the written files")
    folder: Path = parser.parse_args().output
    clips = (cat_clip(), launchpad_clip())
    tracks = [write_clip(clip, folder / f"{clip.name}.mp4") for clip in clips]
    text = json.dumps(youtube_vis(clips, tracks), separators=(",", ":"))
    (folder / "annotations.json").write_text(text + "\n", encoding="utf-8")


def cat_clip() -> Clip:
    """Return a clip in which the camera moves past a framed print of a cat, closer and back."""
    image = load_image("chelsea")
    wall, matte = hang_print(image, cut_matte(image, CAT_OUTLINE))

    def camera(time: float) -> View:
        x = 400 + 150 * ease(time) + 4 * math.sin(9 * time)
        y = 270 + 14 * math.sin(2 * math.pi * time) + 3 * math.sin(7 * time + 1)
        return View(x, y, scale=0.9 + 0.1 * math.sin(math.pi * time), degrees=1.5 * math.sin(5 * time))

    return Clip("cat", (Layer(wall, matte, camera, "cat", is_backdrop=True),))


def launchpad_clip() -> Clip:
    """Return a clip of an astronaut who walks past a rocket, and a cat that leans in front of the camera and leaves."""
    rocket, astronaut, cat = load_image("rocket"), load_image("astronaut"), load_image("chelsea")
    person_matte, cat_matte = cut_matte(astronaut, PERSON_OUTLINE), cut_matte(cat, CAT_OUTLINE)

    def pan(time: float) -> View:
        return View(306 + 28 * ease(time), 225 + 2 * math.sin(5 * time), scale=1.2, degrees=0.6 * math.sin(4 * time))

    def walk(time: float) -> View:
        step = 2 * math.pi * 2 * time
        at = (505 - 260 * ease(time), 205 + 4 * abs(math.sin(step)))
        return View(190, 190, scale=0.98 + 0.04 * time, degrees=1.2 * math.sin(step), at=at)

    def lean_in(time: float) -> View:
        reach = ease(min(max((time - 0.08) / 0.47, 0.0), 1.0)) - 0.7 * ease(min(max((time - 0.6) / 0.4, 0.0), 1.0))
        return View(200, 150, scale=1.38, degrees=1.5 * math.sin(5 * time), at=(-290 + 455 * reach, 180))

    whole = np.ones(rocket.shape[:2], dtype=np.float32)
    return Clip(
        "launchpad",
        (
            Layer(np.asarray(cv2.GaussianBlur(rocket, (0, 0), 1.2), dtype=np.uint8), whole, pan, is_backdrop=True),
            Layer(clean_edge(astronaut, person_matte), person_matte, walk, "person"),
            Layer(clean_edge(cat, cat_matte), cat_matte, lean_in, "cat"),
        ),
    )


def load_image(name: str) -> Image:
    """Return a photograph of scikit-image."""
    return np.asarray(getattr(skimage.data, name)(), dtype=np.uint8)


def hang_print(image: Image, matte: Matte) -> tuple[Image, Matte]:
    """Draw an image as a framed print on a wall, and move its matte to the same place."""
    wall, matte_there = paint_wall(), np.zeros(WALL_SIZE[::-1], dtype=np.float32)
    wall[print_area(FRAME_REACH)] = FRAME_COLOUR
    wall[print_area(MAT_REACH)] = MAT_COLOUR
    wall[print_area()] = cv2.resize(image, PRINT_SIZE, interpolation=cv2.INTER_AREA)
    matte_there[print_area()] = cv2.resize(matte, PRINT_SIZE, interpolation=cv2.INTER_AREA)
    return wall, matte_there


def paint_wall() -> Image:
    """Draw a wall above a panel, lit from above, with the soft shadow of the frame."""
    width, height = WALL_SIZE
    y, x = np.mgrid[:height, :width].astype(np.float32)
    light = 1.08 - 0.35 * np.hypot(x / width - 0.48, y / height - 0.3)
    shadow = np.zeros_like(light)
    shadow[print_area(FRAME_REACH, shift=(4, 8))] = 0.4
    light *= 1 - cv2.GaussianBlur(shadow, (0, 0), 6)
    colour = np.where(y[:, :, None] < PANEL_TOP, WALL_COLOUR, PANEL_COLOUR)
    return np.clip(light[:, :, None] * colour, 0, 255).astype(np.uint8)


def print_area(reach: int = 0, *, shift: tuple[int, int] = (0, 0)) -> tuple[slice, slice]:
    """Return the rows and columns of the print in the middle of the wall, enlarged by `reach` pixels on each side."""
    columns, rows = (
        slice((wall - side) // 2 + by - reach, (wall + side) // 2 + by + reach)
        for wall, side, by in zip(WALL_SIZE, PRINT_SIZE, shift, strict=True)
    )
    return rows, columns


def ease(time: float) -> float:
    """Go from 0 to 1 with a soft start and a soft stop."""
    return (1 - math.cos(math.pi * time)) / 2


def cut_matte(image: Image, outline: Outline) -> Matte:
    """Return the matte of an object, with a soft edge, from the image edge near its outline."""
    inside = np.zeros(image.shape[:2], dtype=np.uint8)
    cv2.fillPoly(inside, [np.array(outline, dtype=np.int32)], 1)
    disk = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * SEARCH_RADIUS + 1, 2 * SEARCH_RADIUS + 1))
    labels = np.where(inside, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    labels[cv2.erode(inside, disk) == 1] = cv2.GC_FGD  # OpenCV's default border value keeps pixels at the image border
    labels[cv2.dilate(inside, disk) == 0] = cv2.GC_BGD
    cv2.setRNGSeed(0)
    bgr, colours_out, colours_in = image[:, :, ::-1].copy(), np.zeros((1, 65)), np.zeros((1, 65))
    cv2.grabCut(bgr, labels, NO_BOX, colours_out, colours_in, 4, cv2.GC_INIT_WITH_MASK)
    found = largest_part((labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD))
    return np.asarray(cv2.GaussianBlur(found.astype(np.float32), (0, 0), EDGE_SOFTNESS), dtype=np.float32)


def largest_part(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the largest connected part with a smoothed edge."""
    smooth = cv2.medianBlur(mask.astype(np.uint8), 5)
    _, parts, statistics, _ = cv2.connectedComponentsWithStats(smooth)
    largest = 1 + int(np.argmax(statistics[1:, cv2.CC_STAT_AREA]))
    return np.asarray(parts == largest)


def clean_edge(image: Image, matte: Matte) -> Image:
    """Replace the old background, and the edge that is mixed with it, by the nearest colour of the object."""
    kernel = np.ones((2 * MIXED_EDGE + 1, 2 * MIXED_EDGE + 1), dtype=np.uint8)
    pure = cv2.erode((matte > 0.5).astype(np.uint8), kernel)
    _, nearest = cv2.distanceTransformWithLabels(1 - pure, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    colours = np.zeros((int(nearest.max()) + 1, 3), dtype=np.uint8)
    colours[nearest[pure == 1]] = image[pure == 1]
    return np.where(pure[:, :, None] == 1, image, colours[nearest])


def render_frame(clip: Clip, time: float) -> tuple[Image, list[NDArray[np.bool_]]]:
    """Return the frame at `time` (0..1) and the visible mask of each instance, in the order of the layers."""
    canvas = np.zeros((HEIGHT, WIDTH, 3), dtype=np.float32)
    visible: list[NDArray[np.bool_]] = []
    for layer in clip.layers:
        matrix = layer.view(time).matrix
        image = warp(layer.image, matrix, cv2.BORDER_REFLECT_101).astype(np.float32)
        matte = warp(layer.matte, matrix, cv2.BORDER_CONSTANT)
        alpha = np.ones_like(matte) if layer.is_backdrop else matte
        canvas += alpha[:, :, None] * (image - canvas)
        visible = [mask & (alpha < 0.5) for mask in visible]
        if layer.category is not None:
            visible.append(matte >= 0.5)
    return np.clip(np.rint(canvas), 0, 255).astype(np.uint8), visible


def warp(image: NDArray[Any], matrix: NDArray[np.float64], border: int) -> NDArray[Any]:
    """Transform an image or a matte to the size of the frame."""
    interpolation = cv2.INTER_CUBIC if image.ndim == 3 else cv2.INTER_LINEAR
    return np.asarray(cv2.warpAffine(image, matrix, (WIDTH, HEIGHT), flags=interpolation, borderMode=border))


def write_clip(clip: Clip, path: Path) -> list[list[Rle | None]]:
    """Write a clip as H.264.

    Returns:
        For each instance, one RLE per frame; None if the frame does not show it.
    """
    tracks: list[list[Rle | None]] = [[] for layer in clip.layers if layer.category is not None]
    with av.open(str(path), "w", options={"movflags": "+faststart"}) as container:
        stream = container.add_stream("libx264", rate=FPS, options={"crf": str(QUALITY), "preset": "slow"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.codec_context.thread_count = 1  # the number of threads changes the bytes
        for image, masks in iter_frames(clip):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
            for track, mask in zip(tracks, masks, strict=True):
                track.append(encode_mask(mask) if mask.any() else None)
        container.mux(stream.encode(None))
    return tracks


def iter_frames(clip: Clip) -> Iterator[tuple[Image, list[NDArray[np.bool_]]]]:
    """Yield the frames of a clip and the masks of its instances."""
    for frame in range(NUM_FRAMES):
        yield render_frame(clip, frame / (NUM_FRAMES - 1))


def youtube_vis(clips: Sequence[Clip], tracks: Sequence[list[list[Rle | None]]]) -> dict[str, Any]:
    """Return the ground truth in YouTube-VIS layout; `<clip>/<frame>.jpg` stands for a frame of `<clip>.mp4`."""
    size = {"width": WIDTH, "height": HEIGHT, "length": NUM_FRAMES}
    videos: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for video_id, (clip, segmentations) in enumerate(zip(clips, tracks, strict=True), start=1):
        names = [f"{clip.name}/{frame:05d}.jpg" for frame in range(NUM_FRAMES)]
        videos.append({"id": video_id, **size, "file_names": names})
        categories = [layer.category for layer in clip.layers if layer.category is not None]
        for category, track in zip(categories, segmentations, strict=True):
            ids = {"id": len(annotations) + 1, "video_id": video_id, "category_id": CATEGORY_IDS[category]}
            annotations.append({**ids, "iscrowd": 0, **size, **track_fields(track)})
    named = [{"id": category_id, "name": name} for name, category_id in CATEGORY_IDS.items()]
    return {"info": INFO, "videos": videos, "annotations": annotations, "categories": named}


def track_fields(track: Sequence[Rle | None]) -> dict[str, Any]:
    """Return the masks, areas and boxes (x, y, width, height) of an instance; null for frames that do not show it."""
    return {
        "segmentations": list(track),
        "areas": [None if rle is None else rle_area(rle) for rle in track],
        "bboxes": [None if rle is None else list(rle_box(rle)) for rle in track],
    }


if __name__ == "__main__":
    main()

"""Write a long clip with ground truth: objects that enter, leave, cross and return, cuts and a fade.

Cut-outs of annotated images, of frequent categories, move over other images. The first frames of the shots are cuts.
In the middle of one shot, the video gets dark and bright again. The folder has the layout of YouTube-VIS: clip.mp4,
JPEGImages/clip/*.jpg, annotations.json, and events.json with the shots and the visible frames of each object.
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from yardsticks import SHARED

from vis_cli.records.rle import decode_rle, encode_mask
from vis_cli.records.video import open_video
from vis_cli.records.video_writer import write_video
from vis_cli.training.annotations import AnnotatedImage, read_annotated_images, read_training_image
from vis_cli.training.cutouts import Cutout, cut_out, paste_candidates

WIDTH, HEIGHT, FPS = 640, 360, 25
NUM_SHOTS = 4
OBJECTS_PER_SHOT = 6
RETURNING = 2  # objects per shot that leave and return
HEIGHTS = (90, 200)  # of an object in pixels
FADE = 40  # frames
DARKEST = 0.25  # brightness in the middle of the fade
MIN_VISIBLE = 40  # pixels of a visible object


@dataclass(frozen=True, slots=True)
class Path2D:
    """Positions of an object over time: it moves from point to point. Outside of the frame it is not visible."""

    frames: NDArray[np.float64]
    points: NDArray[np.float64]  # (P, 2) x and y of the centre

    def at(self, frame: int) -> tuple[float, float]:
        """Return the centre in a frame."""
        x, y = (float(np.interp(frame, self.frames, self.points[:, axis])) for axis in (0, 1))
        return x, y


@dataclass(frozen=True, slots=True)
class Actor:
    """A cut-out with its path. Actors with a higher number are in front."""

    cutout: Cutout
    path: Path2D
    shot: range


def main() -> None:
    """Write the clip."""
    args = parse_args()
    draw_clip(args.data, args.output, frames=args.frames, seed=args.seed, split=args.split, source=args.source)


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with SPLIT.json (COCO layout) and images/")
    parser.add_argument("--split", default="val", help="name of the JSON file without its extension")
    parser.add_argument("--source", default="coco_small", help="source of the images")
    parser.add_argument("--frames", type=int, default=1800, help="number of frames")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder to write")
    return parser.parse_args()


def draw_clip(
    data: Path, output: Path, *, frames: int, seed: int, split: str = "val", source: str = "coco_small"
) -> None:
    """Write the clip of a seed into a folder. The arguments are those of the command line."""
    rng = np.random.default_rng(seed)
    images, names = read_images(data, split, source)
    shots = split_shots(frames)
    backgrounds = [draw_background(images, rng) for _ in shots]
    actors = [actor for shot in shots for actor in draw_actors(images, names, shot, rng)]
    write(output, shots, backgrounds, actors, names)


def read_images(data: Path, split: str, source: str) -> tuple[list[AnnotatedImage], tuple[str, ...]]:
    """Return the images of a source with their objects, and the names of the labels."""
    images = [
        image for image in read_annotated_images(data / f"{split}.json", data / "images") if image.source == source
    ]
    names = sorted({item.category for image in images for item in image.objects})
    return images, tuple(names)


def split_shots(num_frames: int) -> list[range]:
    """Return shots of equal length."""
    starts = np.linspace(0, num_frames, NUM_SHOTS + 1).astype(int).tolist()
    return [range(first, stop) for first, stop in itertools.pairwise(starts)]


def draw_background(images: Sequence[AnnotatedImage], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return a blurred image at the size of the clip. The blur hides the objects of the image."""
    chosen = images[int(rng.integers(len(images)))]
    picture = cv2.resize(read_training_image(chosen.path, chosen.width, chosen.height), (WIDTH, HEIGHT))
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), 12), dtype=np.uint8)


def draw_actors(
    images: Sequence[AnnotatedImage], names: Sequence[str], shot: range, rng: np.random.Generator
) -> list[Actor]:
    """Return the objects of a shot with their paths. Their paths cross."""
    candidates = [
        (image, item) for image in images for item in paste_candidates(image, 0.02) if item.category in SHARED
    ]
    actors = []
    for number in range(OBJECTS_PER_SHOT):
        image, item = candidates[int(rng.integers(len(candidates)))]
        picture = read_training_image(image.path, image.width, image.height)
        cutout = cut_out(picture, decode_rle(item.rle).view(np.uint8), names.index(item.category) + 1)
        height = int(rng.integers(*HEIGHTS))
        width = max(int(cutout.rgba.shape[1] * height / cutout.rgba.shape[0]), 8)
        resized = Cutout(cv2.resize(cutout.rgba, (width, height), interpolation=cv2.INTER_AREA), cutout.label)
        actors.append(Actor(resized, draw_path(shot, width, rng, returns=number < RETURNING), shot))
    return actors


def draw_path(shot: range, width: int, rng: np.random.Generator, *, returns: bool) -> Path2D:
    """Return a path that enters from one side and leaves at a side. A returning object enters again after a break."""
    outside = {"left": -width / 2 - 5.0, "right": WIDTH + width / 2 + 5.0}
    length = len(shot)
    enter, leave = sorted(rng.uniform(0.02, 0.98, 2) * length)
    leave = max(leave, enter + 0.3 * length)
    sides = list(outside)
    rng.shuffle(sides)
    y = rng.uniform(0.3, 0.7, 4) * HEIGHT
    if not returns:
        points = [(outside[sides[0]], y[0]), (rng.uniform(0.2, 0.8) * WIDTH, y[1]), (outside[sides[1]], y[2])]
        frames = [enter, (enter + leave) / 2, leave]
    else:
        middle = rng.uniform(0.3, 0.7) * WIDTH
        points = [
            (outside[sides[0]], y[0]),
            (middle, y[1]),
            (outside[sides[0]], y[1]),
            (outside[sides[0]], y[2]),
            (middle, y[3]),
        ]
        frames = [0.05 * length, 0.25 * length, 0.4 * length, 0.65 * length, 0.9 * length]
    return Path2D(np.array(frames) + shot.start, np.array(points))


def brightness(frame: int, shots: Sequence[range]) -> float:
    """Return the brightness of a frame: 1, or less during the fade in the middle of the second shot."""
    middle = (shots[1].start + shots[1].stop) / 2
    return 1.0 - (1.0 - DARKEST) * max(0.0, 1.0 - abs(frame - middle) / (FADE / 2))


def draw(
    frame: int, background: NDArray[np.uint8], actors: Sequence[Actor], light: float
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return a frame (H, W, 3) and its ids (H, W): 0 is background, i the actor i - 1."""
    picture = background.astype(np.float32)
    ids = np.zeros((HEIGHT, WIDTH), np.int64)
    for number, actor in enumerate(actors, start=1):
        if frame not in actor.shot:
            continue
        rgba = actor.cutout.rgba
        x, y = actor.path.at(frame)
        left, top = round(x - rgba.shape[1] / 2), round(y - rgba.shape[0] / 2)
        rows = slice(max(top, 0), min(top + rgba.shape[0], HEIGHT))
        columns = slice(max(left, 0), min(left + rgba.shape[1], WIDTH))
        if rows.stop <= rows.start or columns.stop <= columns.start:
            continue
        part = rgba[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
        alpha = cv2.GaussianBlur(part[:, :, 3:].astype(np.float32) / 255, (0, 0), 0.7).reshape(*part.shape[:2], 1)
        picture[rows, columns] = alpha * part[:, :, :3] + (1 - alpha) * picture[rows, columns]
        ids[rows, columns][part[:, :, 3] > 127] = number
    return (picture * light).clip(0, 255).astype(np.uint8), ids


def write(
    output: Path,
    shots: Sequence[range],
    backgrounds: Sequence[NDArray[np.uint8]],
    actors: Sequence[Actor],
    names: Sequence[str],
) -> None:
    """Write images, video, annotations and events."""
    folder = output / "JPEGImages" / "clip"
    folder.mkdir(parents=True)
    num_frames = shots[-1].stop
    masks: list[list[object]] = [[None] * num_frames for _ in actors]
    for shot, background in zip(shots, backgrounds, strict=True):
        for frame in shot:
            picture, ids = draw(frame, background, actors, brightness(frame, shots))
            cv2.imwrite(str(folder / f"{frame:05d}.jpg"), picture[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])
            for number in np.unique(ids[ids > 0]).tolist():
                mask = ids == number
                if mask.sum() >= MIN_VISIBLE:
                    masks[number - 1][frame] = encode_mask(mask)
    seen = [number for number, row in enumerate(masks) if any(row)]
    annotations = {
        "videos": [
            {
                "id": 1,
                "width": WIDTH,
                "height": HEIGHT,
                "length": num_frames,
                "file_names": [f"clip/{frame:05d}.jpg" for frame in range(num_frames)],
            }
        ],
        "annotations": [
            {
                "id": number + 1,
                "video_id": 1,
                "category_id": actors[number].cutout.label,
                "iscrowd": 0,
                "segmentations": masks[number],
            }
            for number in seen
        ],
        "categories": [{"id": label, "name": name} for label, name in enumerate(names, start=1)],
    }
    (output / "annotations.json").write_text(json.dumps(annotations), encoding="utf-8")
    visible = {number + 1: [frame for frame, mask in enumerate(masks[number]) if mask] for number in seen}
    events = {"shots": [[shot.start, shot.stop - 1] for shot in shots], "visible": visible}
    (output / "events.json").write_text(json.dumps(events), encoding="utf-8")
    video = open_video(folder, folder_fps=FPS)
    write_video(output / "clip.mp4", video.iter_frames(), video)


if __name__ == "__main__":
    main()

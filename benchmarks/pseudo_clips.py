"""Write pseudo-videos of annotated images as a DAVIS folder. A seed gives the same clips on each machine.

Used by yardsticks.py and identity.py. benchmarks/README.md describes the clips.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vis_cli.errors import VisError
from vis_cli.records.davis import write_label_png
from vis_cli.records.json_fields import read_json_object, take_categories
from vis_cli.records.rle import encode_mask
from vis_cli.training.datasets import PseudoVideos
from vis_cli.training.labels import LabelMap
from vis_cli.training.pseudo_video import STRONG
from vis_cli.training.structures import ClipTargets, TrainClip

CANVAS = (360, 640)
NUM_FRAMES = 8
MAX_GUIDED = 6
JPEG_QUALITY = 95
CONFIG = replace(STRONG, max_guided=MAX_GUIDED)
OBJECTS = "objects.json"  # all labelled objects of the clips, in the layout of YouTube-VIS


def main() -> None:
    """Write the clips."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with SPLIT.json (COCO layout) and images/")
    parser.add_argument("--split", default="val", help="name of the JSON file without its extension")
    parser.add_argument("--num", type=int, default=300, help="number of clips")
    parser.add_argument("--seed", type=int, default=0, help="seed of the clips")
    parser.add_argument("--source", help="use only images of this source; default: all")
    parser.add_argument("-o", "--output", type=Path, required=True, help="DAVIS folder to write")
    args = parser.parse_args()
    annotations = args.data / f"{args.split}.json"
    write_clips(annotations, args.data / "images", args.output, num=args.num, seed=args.seed, source=args.source)


def write_clips(
    annotations: Path, images: Path, output: Path, *, num: int, seed: int, source: str | None = None
) -> None:
    """Write the first `num` clips of a seed. A clip depends only on the data, the seed and its index.

    Args:
        annotations: COCO instances file of the images.
        images: Folder of the images.
        output: DAVIS folder to write. The masks show the given objects. All other objects are distractors. OBJECTS
            lists both.
        num: Number of clips.
        seed: Seed of the clips.
        source: Use only images of this `source`. None uses all images.

    Raises:
        VisError: The data cannot be read, or almost no image shows an object that is large enough.
    """
    names = tuple(category.name for category in take_categories(read_json_object(annotations), str(annotations)))
    with tempfile.TemporaryDirectory(prefix="pseudo-clips-") as folder:
        selected = annotations if source is None else _select_source(annotations, source, Path(folder))
        videos = PseudoVideos(selected, images, LabelMap(names), CONFIG)
        objects = _Objects(names)
        for number in range(num):
            clip, name = draw_clip(videos, number, seed), f"{number:04d}"
            _write_clip(clip, output, name)
            objects.add(name, clip.targets)
    (output / OBJECTS).write_text(json.dumps(objects.data), encoding="utf-8")


def _select_source(annotations: Path, source: str, folder: Path) -> Path:
    """Write the images of one source and their annotations to a COCO file in `folder`."""
    data: dict[str, Any] = json.loads(annotations.read_text(encoding="utf-8"))
    data["images"] = [image for image in data["images"] if image.get("source") == source]
    known = {image["id"] for image in data["images"]}
    data["annotations"] = [entry for entry in data["annotations"] if entry["image_id"] in known]
    path = folder / annotations.name
    path.write_text(json.dumps(data), encoding="utf-8")
    return path


class _Objects:
    """All labelled objects of the clips, in the layout of YouTube-VIS."""

    def __init__(self, names: Sequence[str]) -> None:
        categories = [{"id": index, "name": name} for index, name in enumerate(names, start=1)]
        self.data: dict[str, list[dict[str, Any]]] = {"videos": [], "annotations": [], "categories": categories}

    def add(self, name: str, targets: Sequence[ClipTargets]) -> None:
        """Add the objects of one clip."""
        height, width = targets[0].masks.shape[1:]
        files = [f"{name}/{t:05d}.jpg" for t in range(len(targets))]
        video = {"id": len(self.data["videos"]) + 1, "width": width, "height": height, "file_names": files}
        self.data["videos"].append(video)
        labels: dict[int, int] = {}
        masks: dict[int, list[Any]] = {}
        for t, target in enumerate(targets):
            for id_, label, mask in zip(
                target.instance_ids.tolist(), target.labels.tolist(), target.masks, strict=True
            ):
                labels[id_] = label
                masks.setdefault(id_, [None] * len(targets))[t] = encode_mask(mask.numpy().astype(np.bool_))
        for id_, label in labels.items():
            entry = {"video_id": video["id"], "category_id": label, "iscrowd": 0, "segmentations": masks[id_]}
            self.data["annotations"].append({"id": len(self.data["annotations"]) + 1, **entry})


def draw_clip(source: PseudoVideos, number: int, seed: int) -> TrainClip:
    """Return the clip with index `number`, which has at least one given object.

    Raises:
        VisError: An image cannot be read, or 100 sampled clips in sequence show no object.
    """
    for attempt in range(100):
        rng = np.random.default_rng([seed, number, attempt])
        clip = source.sample(int(rng.integers(len(source))), canvas=CANVAS, num_frames=NUM_FRAMES, rng=rng)
        if len(clip.guided_ids):
            return clip
    raise VisError("cannot draw a clip: almost no image shows an object of 400 pixels. Use other images.")


def label_map(targets: ClipTargets, guided: list[int]) -> NDArray[np.uint8]:
    """Return (H, W) labels: the position in `guided`, from 1, of the object of each pixel; 0 for all other pixels."""
    labels = np.zeros(targets.masks.shape[1:], np.uint8)
    for value, mask in zip(targets.instance_ids.tolist(), targets.masks.numpy(), strict=True):
        if value in guided:
            labels[mask > 0] = guided.index(value) + 1
    return labels


def _write_clip(clip: TrainClip, output: Path, name: str) -> None:
    frames, masks = output / "JPEGImages" / name, output / "Annotations" / name
    frames.mkdir(parents=True, exist_ok=True)
    masks.mkdir(parents=True, exist_ok=True)
    guided = clip.guided_ids.tolist()
    for t, (image, targets) in enumerate(zip(clip.images, clip.targets, strict=True)):
        bgr = cv2.cvtColor(image.permute(1, 2, 0).numpy(), cv2.COLOR_RGB2BGR)
        cv2.imwrite(str(frames / f"{t:05d}.jpg"), bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
        write_label_png(label_map(targets, guided), masks / f"{t:05d}.png")


if __name__ == "__main__":
    main()

"""`yolo-seg`: a folder for the training of segmentation models with Ultralytics: images, text files and data.yaml.

A line is `class x1 y1 x2 y2 …` with one polygon per object; coordinates are fractions of the image. Sources:
https://docs.ultralytics.com/datasets/segment/, and `polygon2mask` in ultralytics/data/utils.py, which cuts coordinates
to pixels and fills with OpenCV. Coordinates therefore are centres of pixels.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

import numpy as np

from vis_cli.records.exports.clip import Clip, Target, add_images, write_files
from vis_cli.records.exports.labels import LabelNumbers
from vis_cli.records.exports.outlines import joined, pixel_polygons

NO_FILE = "\0"  # the format is never one file
SPLIT = "train"
DIGITS = 6


def write_yolo_seg(clips: Iterable[Clip], target: Target) -> int:
    """Write one text file per image. Images without an object have an empty file."""
    labels, num_instances = LabelNumbers(), 0
    with write_files(target.path, NO_FILE) as add:
        for clip in clips:
            labels.add(clip)
            for position, lines in enumerate(_lines(clip, labels, target.tolerance)):
                add(f"labels/{SPLIT}/{clip.image_name(position)}.txt", "".join(lines).encode("ascii"))
            add_images(clip, add, f"images/{SPLIT}/")
            num_instances += len(clip.instances)
        add("data.yaml", _data_yaml(labels).encode("ascii"))
    return num_instances


def _lines(clip: Clip, labels: LabelNumbers, tolerance: float) -> list[list[str]]:
    """Return the lines of each image."""
    lines: list[list[str]] = [[] for _ in clip.frames]
    size = np.array([clip.result.video.width, clip.result.video.height])
    for instance in clip.instances:
        label = labels.of(clip, instance)
        for position, polygons in pixel_polygons(instance.segmentations, tolerance):
            points = ((joined(polygons) + 0.5) / size).ravel().tolist()
            numbers = " ".join(f"{number:.{DIGITS}f}" for number in points)
            lines[position].append(f"{label} {numbers}\n")
    return lines


def _data_yaml(labels: LabelNumbers) -> str:
    """Return the description of the dataset. A JSON string with ASCII characters is also a YAML string."""
    names = "".join(f"  {number}: {_quoted(name)}\n" for name, number in labels.numbers.items())
    return (
        f"train: images/{SPLIT}  # relative to the folder of this file\n"
        f"val: images/{SPLIT}  # replace by images that are not used for training\n"
        f"names:\n{names}"
    )


def _quoted(name: str) -> str:
    """Return a quoted string. YAML has no surrogates, so other planes of Unicode need \\U."""
    name = name.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return "".join(f"\\U{ord(c):08x}" if ord(c) > 0xFFFF else json.dumps(c)[1:-1] for c in name).join('""')

"""`labelme`: one JSON file per frame next to its image, with polygons.

The parts of an object share its id as `group_id`. Sources: `LabelFile` in labelme/_label_file.py (the fields), and
`shape_to_mask` in labelme/utils/shape.py, which fills polygons with Pillow, including the pixels on the outline.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import PurePosixPath

from vis_cli.records.exports.clip import Clip, Target, add_images, write_files
from vis_cli.records.exports.outlines import pixel_polygons

NO_FILE = "\0"  # the format is never one file
VERSION = "5.5.0"  # of LabelMe, whose fields are written


def write_labelme(clips: Iterable[Clip], target: Target) -> int:
    """Write one JSON file per frame."""
    num_instances = 0
    with write_files(target.path, NO_FILE) as add:
        for clip in clips:
            for position, shapes in enumerate(_shapes(clip, target.tolerance)):
                add(f"{clip.image_name(position)}.json", _file(clip, position, shapes).encode("ascii"))
            add_images(clip, add)
            num_instances += len(clip.instances)
    return num_instances


def _shapes(clip: Clip, tolerance: float) -> list[list[str]]:
    """Return the shapes of each frame as JSON, which needs a fifth of the memory of lists."""
    shapes: list[list[str]] = [[] for _ in clip.frames]
    for instance in clip.instances:
        common = {"label": clip.category_of(instance), "group_id": instance.id, "shape_type": "polygon"}
        for position, polygons in pixel_polygons(instance.segmentations, tolerance):
            for polygon in polygons:
                shape = {**common, "points": polygon.tolist(), "description": "", "flags": {}}
                shapes[position].append(json.dumps(shape, allow_nan=False))
    return shapes


def _file(clip: Clip, position: int, shapes: list[str]) -> str:
    data: dict[str, object] = {
        "version": VERSION,
        "flags": {},
        "imagePath": PurePosixPath(f"{clip.image_name(position)}.jpg").name,  # relative to the folder of the JSON file
        "imageData": None,
        "imageHeight": clip.result.video.height,
        "imageWidth": clip.result.video.width,
    }
    return f'{json.dumps(data)[:-1]}, "shapes": [{", ".join(shapes)}]}}\n'

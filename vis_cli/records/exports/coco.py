"""`coco`: every n-th frame as an image with instances, in the JSON format of COCO.

Source: https://cocodataset.org/#format-data and `annToRLE` of pycocotools, which reads compressed run-length counts.
`score` and `track_id` are additional fields, which readers of COCO ignore.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from vis_cli.records.exports.clip import Clip, Target, add_images, write_files
from vis_cli.records.exports.measures import measure
from vis_cli.records.exports.own_categories import OwnCategories

SUFFIX = ".json"
ANNOTATIONS = "annotations/instances_default.json"  # Datumaro and CVAT need instances_<subset>.json
IMAGES = "images/"


def write_coco(clips: Iterable[Clip], target: Target) -> int:
    """Write the images and one JSON file with exact masks, or only the JSON file if the target is a JSON file."""
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    categories, num_instances = OwnCategories(), 0
    with write_files(target.path, SUFFIX) as add:
        for clip in clips:
            first = len(images) + 1
            images += [_image(clip, position, first + position) for position in range(len(clip.frames))]
            ids = categories.ids_of(clip.result, clip.instances)
            for entry in _annotations(clip, ids, first):
                annotations.append({"id": len(annotations) + 1, **entry})
            add_images(clip, add, IMAGES)
            num_instances += len(clip.instances)
        data = {"images": images, "annotations": annotations, "categories": categories.to_json()}
        add(ANNOTATIONS, json.dumps(data, separators=(",", ":"), allow_nan=False).encode("ascii"))
    return num_instances


def _image(clip: Clip, position: int, image_id: int) -> dict[str, Any]:
    video = clip.result.video
    return {
        "id": image_id,
        "file_name": f"{clip.image_name(position)}.jpg",
        "width": video.width,
        "height": video.height,
        "video": video.name,
        "frame_index": clip.frames[position],
    }


def _annotations(clip: Clip, ids: dict[int | None, int], first: int) -> Iterable[dict[str, Any]]:
    for instance in clip.instances:
        measures = measure(instance.segmentations)
        for position in measures.visible.tolist():
            yield {
                "image_id": first + position,
                "category_id": ids[instance.category_id],
                "segmentation": instance.segmentations[position],
                "area": int(measures.areas[position]),
                "bbox": measures.boxes[position].tolist(),
                "iscrowd": 0,
                "score": instance.score,
                "track_id": instance.id,
            }

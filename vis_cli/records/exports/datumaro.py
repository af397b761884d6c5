"""`datumaro`: the JSON format of Datumaro, with exact masks, scores and track ids.

Sources: https://openvinotoolkit.github.io/datumaro/latest/docs/data-formats/datumaro_format.html, and `JsonReader` in
datumaro/plugins/data_formats/datumaro/base.py. CVAT also imports this format, with `track_id` as track.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from vis_cli.records.exports.clip import Clip, Target, add_images, write_files
from vis_cli.records.exports.labels import LabelNumbers
from vis_cli.records.rle import Rle, rle_area
from vis_cli.records.types import InstanceSequence

SUFFIX = ".json"
SUBSET = "default"
VERSION = "1.0"  # of the format


def write_datumaro(clips: Iterable[Clip], target: Target) -> int:
    """Write the images and one JSON file, or only the JSON file if the target is a JSON file."""
    labels, items, num_instances = LabelNumbers(), [], 0
    with write_files(target.path, SUFFIX) as add:
        for clip in clips:
            labels.add(clip)
            numbers = {instance.id: labels.of(clip, instance) for instance in clip.instances}
            items += [_item(clip, position, numbers) for position in range(len(clip.frames))]
            add_images(clip, add, f"images/{SUBSET}/")
            num_instances += len(clip.instances)
        names = [{"name": name, "parent": "", "attributes": []} for name in labels.numbers]
        data = {
            "dm_format_version": VERSION,
            "media_type": 2,  # images
            "infos": {},
            "categories": {"label": {"labels": names, "label_groups": [], "attributes": []}},
            "items": items,
        }
        add(f"annotations/{SUBSET}.json", json.dumps(data, separators=(",", ":"), allow_nan=False).encode("ascii"))
    return num_instances


def _item(clip: Clip, position: int, labels: dict[int, int]) -> dict[str, Any]:
    video, name = clip.result.video, clip.image_name(position)
    visible = [item for item in clip.instances if _is_visible(item.segmentations[position])]
    return {
        "id": name,
        "annotations": [_annotation(item, position, number, labels[item.id]) for number, item in enumerate(visible)],
        "attr": {"frame": clip.frames[position]},
        "image": {"path": f"{name}.jpg", "size": [video.height, video.width]},
    }


def _is_visible(mask: Rle | None) -> bool:
    return mask is not None and rle_area(mask) > 0


def _annotation(instance: InstanceSequence, position: int, number: int, label: int) -> dict[str, Any]:
    return {
        "id": number,
        "type": "mask",
        "attributes": {"track_id": instance.id, "score": instance.score},
        "group": 0,
        "label_id": label,
        "z_order": 0,
        "rle": instance.segmentations[position],
    }

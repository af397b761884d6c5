"""`label-studio`: a JSON file of tasks with one box track per object, as predictions for Label Studio.

Label Studio has no masks for videos (https://labelstud.io/tags/video). A box counts from its frame until the next one,
and Label Studio interpolates between them; `enabled: false` ends this. Sources: https://labelstud.io/tags/videorectangle
and https://labelstud.io/guide/predictions. The YOLO backend of label-studio-ml-backend writes the same fields, with
frames from 1 and boxes in percent.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from vis_cli.records.exports.clip import Clip, Target, write_files
from vis_cli.records.exports.measures import Measures, measure
from vis_cli.records.types import InstanceSequence

SUFFIX = ".json"
DIGITS = 4  # of a percentage: less than a hundredth of a pixel
FROM_NAME, TO_NAME = "box", "video"  # names of the tags in the labelling config


def write_label_studio(clips: Iterable[Clip], target: Target) -> int:
    """Write one task per clip."""
    tasks, num_instances = [], 0
    for clip in clips:
        tasks.append(_task(clip))
        num_instances += len(clip.instances)
    with write_files(target.path, SUFFIX) as add:
        add("tasks.json", (json.dumps(tasks, separators=(",", ":"), allow_nan=False) + "\n").encode("ascii"))
    return num_instances


def _task(clip: Clip) -> dict[str, Any]:
    result = clip.result
    measured = [(instance, measure(instance.segmentations)) for instance in clip.instances]
    regions = [_region(clip, instance, measures) for instance, measures in measured if measures.visible.size]
    prediction = {"model_version": result.model.name, "result": regions}
    return {"data": {"video": result.video.path.name, "fps": result.video.fps}, "predictions": [prediction]}


def _region(clip: Clip, instance: InstanceSequence, measures: Measures) -> dict[str, Any]:
    num_frames = clip.frames[-1] + 1 if clip.result.video.num_frames else 0
    value: dict[str, Any] = {"framesCount": num_frames, "labels": [clip.category_of(instance)]}
    if clip.result.video.fps > 0:
        value["duration"] = round(num_frames / clip.result.video.fps, 6)
    return {
        "id": f"{clip.name}-{instance.id}",
        "from_name": FROM_NAME,
        "to_name": TO_NAME,
        "type": "videorectangle",
        "score": instance.score,
        "value": {**value, "sequence": _sequence(clip, measures)},
    }


def _sequence(clip: Clip, measures: Measures) -> list[dict[str, Any]]:
    """Return the boxes. The last box before a gap, and the last box of all, is not enabled."""
    size = (clip.result.video.width, clip.result.video.height) * 2
    visible: Sequence[int] = measures.visible.tolist()
    following = {*visible}
    boxes = []
    for position in visible:
        percent = [100 * side / full for side, full in zip(measures.boxes[position].tolist(), size, strict=True)]
        x, y, width, height = (round(number, DIGITS) for number in percent)
        box = {"frame": clip.frames[position] + 1, "enabled": position + 1 in following, "rotation": 0}
        time = clip.time(position)
        boxes.append(
            {**box, "x": x, "y": y, "width": width, "height": height} | ({} if time is None else {"time": time})
        )
    return boxes

"""NAME.json: everything found in one video, as one file.

Written by `segment`, read by `render`, `export-json` and `eval`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from vis_cli.files.atomic import atomic_path
from vis_cli.files.limits import MAX_FRAMES
from vis_cli.records.json_fields import (
    read_json_object,
    require,
    require_unique,
    take_categories,
    take_field,
    take_objects,
    take_size,
)
from vis_cli.records.rle import parse_segmentations
from vis_cli.records.types import InstanceSequence, ModelInfo, VideoInfo, VideoResult

SCHEMA = 1


def list_results(folder: Path) -> list[Path]:
    """List the JSON files of a folder, without hidden ones: a run that was killed may have left half a file."""
    return sorted(path for path in folder.glob("*.json") if not path.name.startswith("."))


def write_result(result: VideoResult, path: Path) -> None:
    """Write `result` so that `read_result` gives it back.

    Raises:
        VisError: the file cannot be written.
    """
    video = result.video
    data = {
        "schema": SCHEMA,
        "video": {
            "name": video.name,
            "path": str(video.path),
            "width": video.width,
            "height": video.height,
            "fps": video.fps,
            "num_frames": video.num_frames,
        },
        "model": {"name": result.model.name, "sha256": result.model.sha256},
        "config": result.config,
        "categories": [{"id": category.id, "name": category.name} for category in result.categories],
        "instances": [_instance_to_json(instance) for instance in result.instances],
    }
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(data, separators=(",", ":"), allow_nan=False) + "\n", encoding="utf-8")


def read_result(path: Path) -> VideoResult:
    """Read what `write_result` wrote.

    Raises:
        VisError: the file is missing, damaged, contradicts itself or has another schema; the entry is named.
    """
    data = read_json_object(path)
    schema = take_field(data, "schema", int, str(path))
    require(schema == SCHEMA, str(path), f"has schema {schema}, this version reads {SCHEMA}; segment the video again")
    video = _video_from_json(take_field(data, "video", dict, str(path)), f"{path}: video")
    model = take_field(data, "model", dict, str(path))
    categories = take_categories(data, str(path))
    known = {category.id for category in categories}
    instances = tuple(
        _instance_from_json(entry, video, known, where) for entry, where in take_objects(data, "instances", str(path))
    )
    require_unique((instance.id for instance in instances), f"{path}: instances")
    return VideoResult(
        video=video,
        model=ModelInfo(*(take_field(model, key, str, f"{path}: model") for key in ("name", "sha256"))),
        config=take_field(data, "config", dict, str(path)),
        categories=categories,
        instances=instances,
    )


def _instance_to_json(instance: InstanceSequence) -> dict[str, Any]:
    return {
        "id": instance.id,
        "category_id": instance.category_id,
        "score": instance.score,
        "category_scores": {str(category): score for category, score in instance.category_scores.items()},
        "key_frame": instance.key_frame,
        "segmentations": list(instance.segmentations),
    }


def _video_from_json(entry: dict[str, Any], where: str) -> VideoInfo:
    width, height = take_size(entry, where)
    num_frames = take_field(entry, "num_frames", int, where)
    require(0 <= num_frames <= MAX_FRAMES, where, f"'num_frames' is {num_frames}, but must be 0 to {MAX_FRAMES:,}")
    return VideoInfo(
        name=take_field(entry, "name", str, where),
        path=Path(take_field(entry, "path", str, where)),
        width=width,
        height=height,
        fps=float(take_field(entry, "fps", float, where)),
        num_frames=num_frames,
    )


def _instance_from_json(entry: dict[str, Any], video: VideoInfo, categories: set[int], where: str) -> InstanceSequence:
    category_id = take_field(entry, "category_id", int, where)
    require(category_id in categories, where, f"'category_id' is {category_id}, which is not among the categories")
    key_frame = take_field(entry, "key_frame", int, where)
    require(0 <= key_frame < video.num_frames, where, f"'key_frame' is {key_frame}, which is no frame of the video")
    segmentations = take_field(entry, "segmentations", list, where)
    require(
        len(segmentations) == video.num_frames,
        where,
        f"has {len(segmentations)} segmentations, but the video has {video.num_frames} frames",
    )
    return InstanceSequence(
        id=take_field(entry, "id", int, where),
        category_id=category_id,
        score=float(take_field(entry, "score", float, where)),
        category_scores=_category_scores_from_json(entry, categories, where),
        key_frame=key_frame,
        segmentations=parse_segmentations(segmentations, video.height, video.width, where),
    )


def _category_scores_from_json(entry: dict[str, Any], categories: set[int], where: str) -> dict[int, float]:
    scores = take_field(entry, "category_scores", dict, where)
    by_text = {str(category): category for category in categories}
    for text in scores:
        require(text in by_text, where, f"'category_scores' has {text!r}, which is not among the categories")
    return {by_text[text]: float(take_field(scores, text, float, f"{where}.category_scores")) for text in scores}

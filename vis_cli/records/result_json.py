"""NAME.json: the result of one video.

`vis segment` writes it. `vis render`, `vis export-json` and `vis eval` read it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from vis_cli.errors import VisError
from vis_cli.files.atomic import atomic_path
from vis_cli.files.limits import KIB, MAX_JSON_BYTES
from vis_cli.files.names import natural_key
from vis_cli.files.reading import open_limited, read_bytes
from vis_cli.records.json_fields import (
    parse_json,
    read_json_object,
    require,
    require_unique,
    shown,
    take_categories,
    take_field,
    take_flag,
    take_objects,
)
from vis_cli.records.segmentation_json import parse_segmentations
from vis_cli.records.types import InstanceSequence, ModelInfo, VideoInfo, VideoResult
from vis_cli.records.video_json import video_from_json, video_to_json
from vis_cli.settings import rename_old

SCHEMA = 3
RESULT_START = b'{"schema":'  # first bytes that `write_result` writes
RESULT_KEY = b'"video":'  # key that `write_result` writes within the first START_BYTES
START_BYTES = 64 * KIB
# Schemas that `read_result` accepts. Schema 2 has no `confident`, and schema 1 no fingerprint, names and timestamps.
SCHEMAS = (1, 2, 3)


def list_results(folder: Path) -> list[Path]:
    """Return the results in a folder, including damaged ones, in natural order of the names."""
    return list_json(folder)[0]


def list_json(folder: Path) -> tuple[list[Path], list[Path]]:
    """Return the results in a folder, and its other JSON files: exports, scores and files of other programs.

    Hidden files, which macOS and interrupted runs create, are omitted.
    """
    paths = [path for path in folder.glob("*.json") if not path.name.startswith(".")]
    results: list[Path] = []
    others: list[Path] = []
    for path in sorted(paths, key=lambda path: natural_key(path.name)):
        (results if _is_result(path) else others).append(path)
    return results, others


def _is_result(path: Path) -> bool:
    """Return whether a file is a result. Return True for an unreadable file, so that a command reports it."""
    try:
        with open_limited(path, limit=MAX_JSON_BYTES) as file:
            start = file.read(START_BYTES)
        if start.startswith(RESULT_START) and RESULT_KEY in start:
            return True
        data = parse_json(read_bytes(path, limit=MAX_JSON_BYTES), str(path))
    except VisError:
        return True
    return isinstance(data, dict) and {"schema", "video"} <= data.keys()


def write_result(result: VideoResult, path: Path) -> None:
    """Write a result. `read_result` reads it.

    Raises:
        VisError: The file cannot be written.
    """
    data = {
        "schema": SCHEMA,
        "model": _model_to_json(result.model),
        "config": result.config,
        "given_masks": result.given_masks,
        "given_names": result.given_names,
        "given_detections": result.given_detections,
        "video": video_to_json(result.video),  # `result_head` reads up to the frame names of the video
        "categories": [{"id": category.id, "name": category.name} for category in result.categories],
        "instances": [_instance_to_json(instance) for instance in result.instances],
    }
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(data, separators=(",", ":"), allow_nan=False) + "\n", encoding="utf-8")


def read_result(path: Path) -> VideoResult:
    """Read a result.

    Raises:
        VisError: The file is missing, damaged or inconsistent, or has an unknown schema.
    """
    data = read_json_object(path)
    schema = take_field(data, "schema", int, str(path))
    known = f"{', '.join(map(str, SCHEMAS[:-1]))} and {SCHEMAS[-1]}"
    problem = f"'schema' is {schema}, this version of vis reads {known}"
    require(schema in SCHEMAS, str(path), problem, hint="Segment the video again.")
    video = video_from_json(take_field(data, "video", dict, str(path)), f"{path}: video")
    categories = take_categories(data, str(path))
    category_ids = {category.id for category in categories}
    instances = tuple(
        _instance_from_json(entry, video, category_ids, where)
        for entry, where in take_objects(data, "instances", str(path))
    )
    require_unique((instance.id for instance in instances), f"{path}: instances")
    return VideoResult(
        video=video,
        model=model_from_json(take_field(data, "model", dict, str(path)), f"{path}: model"),
        config=rename_old(take_field(data, "config", dict, str(path))),
        categories=categories,
        instances=instances,
        given_masks=_hash_from_json(data, "given_masks", str(path)),
        given_names=_hash_from_json(data, "given_names", str(path)),
        given_detections=_hash_from_json(data, "given_detections", str(path)),
    )


def model_from_json(entry: dict[str, Any], where: str) -> ModelInfo:
    """Convert the `model` object of a result.

    Raises:
        VisError: A field is missing or is not a string.
    """
    name, sha256 = (take_field(entry, key, str, where) for key in ("name", "sha256"))
    parts = take_objects(entry, "parts", where) if "parts" in entry else []
    return ModelInfo(name, sha256, tuple(model_from_json(part, where) for part, where in parts))


def _hash_from_json(data: dict[str, Any], key: str, where: str) -> str | None:
    return None if data.get(key) is None else take_field(data, key, str, where)


def _model_to_json(model: ModelInfo) -> dict[str, Any]:
    data: dict[str, Any] = {"name": model.name, "sha256": model.sha256}
    return {**data, "parts": [_model_to_json(part) for part in model.parts]} if model.parts else data


def _instance_to_json(instance: InstanceSequence) -> dict[str, Any]:
    return {
        "id": instance.id,
        "category_id": instance.category_id,
        "score": instance.score,
        "confident": instance.confident,
        "category_scores": {str(category): score for category, score in instance.category_scores.items()},
        "key_frame": instance.key_frame,
        "segmentations": list(instance.segmentations),
    }


def _instance_from_json(entry: dict[str, Any], video: VideoInfo, categories: set[int], where: str) -> InstanceSequence:
    key_frame = take_field(entry, "key_frame", int, where)
    problem = f"'key_frame' is {key_frame}, the video has {video.num_frames} frames"
    require(0 <= key_frame < video.num_frames, where, problem, hint="Use the index of a frame, counted from 0.")
    segmentations = take_field(entry, "segmentations", list, where)
    require(
        len(segmentations) == video.num_frames,
        where,
        f"'segmentations' has {len(segmentations)} entries, the video has {video.num_frames} frames",
        hint="Use one mask or null per frame.",
    )
    return InstanceSequence(
        id=take_field(entry, "id", int, where),
        category_id=_category_id_from_json(entry, categories, where),
        score=float(take_field(entry, "score", float, where)),
        category_scores=_category_scores_from_json(entry, categories, where),
        key_frame=key_frame,
        segmentations=parse_segmentations(segmentations, video.height, video.width, where),
        confident=take_flag(entry, "confident", where, default=True),
    )


def _category_id_from_json(entry: dict[str, Any], categories: set[int], where: str) -> int | None:
    if entry.get("category_id", 0) is None:
        return None
    category_id = take_field(entry, "category_id", int, where)
    hint = "Use the id of a listed category, or null."
    require(category_id in categories, where, f"'category_id' is {category_id}", hint=hint)
    return category_id


def _category_scores_from_json(entry: dict[str, Any], categories: set[int], where: str) -> dict[int, float]:
    scores = take_field(entry, "category_scores", dict, where)
    by_text = {str(category): category for category in categories}
    for text in scores:
        problem = f"'category_scores' has the category {shown(text)}"
        require(text in by_text, where, problem, hint="Use the ids of listed categories.")
    return {by_text[text]: float(take_field(scores, text, float, f"{where}.category_scores")) for text in scores}

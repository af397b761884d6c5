"""NAME.json: the result of one video.

`vis segment` writes it. `vis render`, `vis export-json` and `vis eval` read it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import islice
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
from vis_cli.records.rle import Rle
from vis_cli.records.segmentation_json import parse_segmentations
from vis_cli.records.segmentations import Segmentations, segmentations_of
from vis_cli.records.types import InstanceSequence, ModelInfo, Shot, VideoInfo, VideoResult
from vis_cli.records.video_json import video_from_json, video_to_json
from vis_cli.settings import rename_old

SCHEMA = 4
RESULT_START = b'{"schema":'  # first bytes that `write_result` writes
SCHEMA_START = RESULT_START + str(SCHEMA).encode() + b","
RESULT_KEY = b'"video":'  # key that `write_result` writes within the first START_BYTES
START_BYTES = 64 * KIB
# `result_summary` finds these keys.
CATEGORIES_KEY, INSTANCES_KEY, MASKS_KEY = b',"categories":[', b',"instances":[', b',"segmentations":['
# Schemas that `read_result` accepts. Schema 3 has a mask or null for each frame of the video and no shots, schema 2 no
# `confident`, and schema 1 no fingerprint, names and timestamps.
SCHEMAS = (1, 2, 3, 4)
SPAN_SCHEMA = 4  # the first schema with masks from the first to the last frame only
CHUNK = 256  # masks that are converted to JSON at once


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
    """Write a result, one part of an instance after the other. `read_result` reads it.

    Raises:
        VisError: The file cannot be written.
    """
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        file.writelines(_iter_json(result))


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
        _instance_from_json(entry, video, category_ids, where, has_span=schema >= SPAN_SCHEMA)
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
        given_prompts=_hash_from_json(data, "given_prompts", str(path)),
        shots=_shots_from_json(data, video, str(path)) if schema >= SPAN_SCHEMA else (),
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


def _iter_json(result: VideoResult) -> Iterator[str]:
    """Yield the text of a result in parts: a long result needs no memory for its complete text."""
    head = {
        "schema": SCHEMA,
        "model": _model_to_json(result.model),
        "config": result.config,
        "given_masks": result.given_masks,
        "given_names": result.given_names,
        "given_detections": result.given_detections,
        "given_prompts": result.given_prompts,
        "video": video_to_json(result.video),  # `result_head` reads up to the frame names of the video
        "shots": [list(shot) for shot in result.shots],
        "categories": [{"id": category.id, "name": category.name} for category in result.categories],  # last
    }
    yield f"{_dumps(head)[:-1]}{INSTANCES_KEY.decode()}"
    for number, instance in enumerate(result.instances):
        yield "," if number else ""
        yield f"{_dumps(_instance_to_json(instance))[:-1]}{MASKS_KEY.decode()}"
        yield from _iter_masks(instance.span.span)
        yield "]}"
    yield "]}\n"


def _iter_masks(masks: Iterable[Rle | None]) -> Iterator[str]:
    entries, separator = iter(masks), ""
    while part := list(islice(entries, CHUNK)):
        yield separator + _dumps(part)[1:-1]
        separator = ","


def _dumps(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def _instance_to_json(instance: InstanceSequence) -> dict[str, Any]:
    """Return an instance without its masks."""
    return {
        "id": instance.id,
        "category_id": instance.category_id,
        "score": instance.score,
        "confident": instance.confident,
        "category_scores": {str(category): score for category, score in instance.category_scores.items()},
        "key_frame": instance.key_frame,
        "first_frame": instance.first_frame,
        "last_frame": instance.last_frame,
    }


def _instance_from_json(
    entry: dict[str, Any], video: VideoInfo, categories: set[int], where: str, *, has_span: bool
) -> InstanceSequence:
    key_frame = take_field(entry, "key_frame", int, where)
    problem = f"'key_frame' is {key_frame}, the video has {video.num_frames} frames"
    require(0 <= key_frame < video.num_frames, where, problem, hint="Use the index of a frame, counted from 0.")
    return InstanceSequence(
        id=take_field(entry, "id", int, where),
        category_id=_category_id_from_json(entry, categories, where),
        score=float(take_field(entry, "score", float, where)),
        category_scores=_category_scores_from_json(entry, categories, where),
        key_frame=key_frame,
        segmentations=_segmentations_from_json(entry, video, where, has_span=has_span),
        confident=take_flag(entry, "confident", where, default=True),
    )


def _segmentations_from_json(entry: dict[str, Any], video: VideoInfo, where: str, *, has_span: bool) -> Segmentations:
    """Convert the masks. Before `SPAN_SCHEMA`, there is one entry for each frame of the video."""
    masks = take_field(entry, "segmentations", list, where)
    first, num_masks, frames = 0, video.num_frames, f"the video has {video.num_frames} frames"
    if has_span:
        first, last = _span_from_json(entry, video, where)
        num_masks, frames = last + 1 - first, f"'first_frame' is {first}, 'last_frame' is {last}"
    problem, hint = f"'segmentations' has {len(masks)} entries, {frames}", "Use one mask or null per frame."
    require(len(masks) == num_masks, where, problem, hint=hint)
    parsed = parse_segmentations(masks, video.height, video.width, where)
    return segmentations_of(parsed, num_frames=video.num_frames, first=first)


def _span_from_json(entry: dict[str, Any], video: VideoInfo, where: str) -> tuple[int, int]:
    """Return the first and the last frame. The last frame of an instance without masks is before the first frame."""
    if entry.get("first_frame", 0) is None and entry.get("last_frame", 0) is None:
        return 0, -1
    first, last = take_field(entry, "first_frame", int, where), take_field(entry, "last_frame", int, where)
    problem = f"'first_frame' is {first}, 'last_frame' is {last}, the video has {video.num_frames} frames"
    require(0 <= first <= last < video.num_frames, where, problem, hint="Use frame indices, counted from 0.")
    return first, last


def _shots_from_json(data: dict[str, Any], video: VideoInfo, where: str) -> tuple[Shot, ...]:
    """Convert the shots. Each one begins after the end of the previous shot, and the last one ends with the video."""
    shots: list[Shot] = []
    hint = "Use [first frame, last frame] of each shot, from frame 0 to the last frame, without gaps."
    for index, item in enumerate(take_field(data, "shots", list, where)):
        start = shots[-1][1] + 1 if shots else 0
        is_pair = isinstance(item, list) and len(item) == 2 and all(type(frame) is int for frame in item)
        is_next = is_pair and item[0] == start and start <= item[1] < video.num_frames
        require(is_next, f"{where}: shots[{index}]", f"the entry is {shown(item)}", hint=hint)
        shots.append((item[0], item[1]))
    ends = shots[-1][1] + 1 if shots else 0
    require(ends == video.num_frames, where, f"'shots' end before frame {ends} of {video.num_frames}", hint=hint)
    return tuple(shots)


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

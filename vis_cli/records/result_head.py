"""The first part of NAME.json: source, model and settings of a result, without the masks.

Used by `commands.outputs`, which reads this part of all results in a folder.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vis_cli.errors import VisError
from vis_cli.files.limits import KIB
from vis_cli.files.reading import open_regular
from vis_cli.records.json_fields import read_json_object, take_field
from vis_cli.records.part import VideoPart
from vis_cli.records.result_json import SCHEMAS, model_from_json
from vis_cli.records.types import ModelInfo, SourceIdentity
from vis_cli.records.video_json import LONG_FIELD, part_from_json, source_from_json
from vis_cli.settings import rename_old

HEAD_BYTES = 128 * KIB  # at the start of a file; the head is shorter, even with two paths of 4,096 characters
# Text that `write_result` writes after the head (schema 2 and 1), and text that completes the JSON of the head.
ENDS = ((f',"{LONG_FIELD}":'.encode(), b"}}"), (b',"categories":', b"}"))


@dataclass(frozen=True, slots=True)
class ResultHead:
    """Source and production of one result."""

    path: Path  # of the JSON file
    video_path: Path  # as given by the user
    source: SourceIdentity | None  # None if the file contains no fingerprint
    model: ModelInfo
    config: dict[str, Any]  # under the current names of the settings
    given_masks: str | None
    given_names: str | None
    given_detections: str | None
    given_prompts: str | None
    part: VideoPart | None = None  # of the video; None: the complete video

    @property
    def is_imported(self) -> bool:
        """Return whether `vis import` made the result. It has no settings."""
        return not self.config


def read_head(path: Path) -> ResultHead | None:
    """Read the head of a result. Return None for other files, and for damaged or unreadable files.

    To read a folder of many results fast, a file by `write_result` is read only up to the end of the head. Call
    `read_result` to get the error of a damaged file.
    """
    try:
        with open_regular(path) as file:
            start = file.read(HEAD_BYTES)
        data = _parse_start(start)
        if data is None and b'"schema"' in start:  # rewritten by another program
            data = read_json_object(path)
        return None if data is None or data.get("schema") not in SCHEMAS else _head_from_json(data, path)
    except (VisError, OSError, RecursionError):
        return None


def read_num_frames(start: bytes) -> int | None:
    """Return the number of frames of a video from the first bytes of a result. None: they have another form."""
    data = _parse_start(start)
    if data is None or not isinstance(video := data.get("video"), dict):
        return None
    num_frames = video.get("num_frames")
    return num_frames if isinstance(num_frames, int) else None


def _parse_start(start: bytes) -> dict[str, Any] | None:
    """Parse only the head. Its end cannot be inside a string, because JSON escapes quotes in strings."""
    for end, closing in ENDS:
        head, found, _ = start.partition(end)
        if found:
            try:
                data = json.loads(head + closing)
            except (ValueError, RecursionError):
                continue
            return data if isinstance(data, dict) else None
    return None


def _head_from_json(data: dict[str, Any], path: Path) -> ResultHead:
    where = str(path)
    video = take_field(data, "video", dict, where)
    return ResultHead(
        path=path,
        video_path=Path(take_field(video, "path", str, f"{where}: video")),
        source=source_from_json(video, f"{where}: video"),
        model=model_from_json(take_field(data, "model", dict, where), f"{where}: model"),
        config=rename_old(take_field(data, "config", dict, where)),
        given_masks=_text_or_none(data.get("given_masks")),
        given_names=_text_or_none(data.get("given_names")),
        given_detections=_text_or_none(data.get("given_detections")),
        given_prompts=_text_or_none(data.get("given_prompts")),
        part=part_from_json(video, take_field(video, "num_frames", int, f"{where}: video"), f"{where}: video"),
    )


def _text_or_none(value: object) -> str | None:
    return value if isinstance(value, str) else None

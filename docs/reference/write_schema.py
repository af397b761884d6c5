"""Writes docs/reference/result.schema.json, the JSON schema of NAME.json: `python docs/reference/write_schema.py`.

The classes describe what `vis segment` writes. `tests/test_result_schema.py` validates results with them. The fields of
`config` come from `vis_cli/settings.py`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, create_model

from vis_cli.records.result_json import SCHEMA
from vis_cli.setting_fields import Setting, settings_of
from vis_cli.settings import BEFORE_SETTING, SegmentSettings

Index = Annotated[int, Field(ge=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]


class Entry(BaseModel):
    """An object without other fields. An integer is not a string, and a string is not a number."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Model(Entry):
    """Model that produced the result."""

    name: str
    sha256: Annotated[str, Field(description="Hash of the weights file.")]
    parts: Annotated[list[Model], Field(description="Detector and propagator of a composed model.")] = []


class Part(Entry):
    """Part of the video that the result covers. Frame i of the result is frame start_frame + every * i of the video."""

    start_frame: Index
    end_frame: Annotated[int, Field(ge=1, description="Number of the first frame after the part.")]
    every: Annotated[int, Field(ge=1)]
    ends_with_video: bool
    start: str | None
    end: str | None


class Video(Entry):
    """Source of the result. The size is the size of the displayed video, after rotation."""

    name: str
    path: Annotated[str, Field(description="Path as given.")]
    absolute_path: str | None
    kind: Literal["file", "folder"] | None
    size: Annotated[int | None, Field(description="Bytes of the file, or of all images of the folder.")]
    fingerprint: Annotated[str | None, Field(description="Hash that identifies the content.")]
    stream: Annotated[int, Field(ge=0, description="Index of the video stream, if --stream selected it.")] = 0
    width: Annotated[int, Field(ge=1)]
    height: Annotated[int, Field(ge=1)]
    fps: Annotated[float, Field(ge=0, description="Frames per second. 0: unknown.")]
    num_frames: Index
    part: Annotated[Part | None, Field(description="Missing if the result covers the complete video.")] = None
    frame_names: Annotated[list[str] | None, Field(description="File names of the images of a folder.")]
    timestamps: Annotated[list[float] | None, Field(description="Timestamp of each frame in seconds.")]


class Category(Entry):
    """Category of a dataset."""

    id: int
    name: str


class Mask(Entry):
    """Mask of one frame: run-length encoding (RLE) of COCO."""

    size: Annotated[list[int], Field(min_length=2, max_length=2, description="Height and width of the video.")]
    counts: Annotated[str, Field(min_length=1, description="Run lengths as pycocotools compresses them.")]


class Instance(Entry):
    """One object."""

    id: Annotated[int, Field(ge=1)]
    category_id: Annotated[int | None, Field(description="null: an object that the user gave without a name.")]
    score: Fraction
    confident: bool
    category_scores: Annotated[dict[str, Fraction], Field(description="Scores of categories by category id.")]
    key_frame: Annotated[int, Field(ge=0, description="Index of the frame from which the masks were propagated.")]
    first_frame: Annotated[int | None, Field(ge=0, description="First frame that shows the object.")]
    last_frame: Annotated[int | None, Field(ge=0, description="Last frame that shows the object.")]
    segmentations: Annotated[
        list[Mask | None],
        Field(description="One entry per frame from first_frame to last_frame. null: the frame does not show it."),
    ]


def _config() -> type[Entry]:
    """Return the class of `config`: one field per setting of the method."""
    fields: dict[str, Any] = {
        name: (_kind(setting), Field(BEFORE_SETTING.get(name, ...), description=setting.help))
        for name, setting in settings_of(SegmentSettings).items()
    }
    config: type[Entry] = create_model("Config", __base__=Entry, __doc__="Every setting of the method.", **fields)
    return config


def _kind(setting: Setting) -> Any:
    limits = Field(ge=setting.low, le=setting.high, gt=setting.above)
    kind: Any = Literal[setting.choices] if setting.choices else setting.kind
    kind = Annotated[kind, limits] if kind in (int, float) else kind
    return kind | None if setting.optional else kind


class NoConfig(Entry):
    """Config of an imported result: no model has run."""


class Result(Entry):
    """Result of one video: NAME.json of `vis segment`."""

    schema_: Annotated[Literal[SCHEMA], Field(alias="schema")]
    model: Model
    config: _config() | NoConfig  # type: ignore[valid-type]
    given_masks: Annotated[str | None, Field(description="Hash of the masks of --masks.")]
    given_names: Annotated[str | None, Field(description="Hash of the names of --names.")]
    given_detections: Annotated[str | None, Field(description="Hash of the detections of --detections.")]
    given_prompts: Annotated[str | None, Field(description="Prompts as options, such as --only person.")]
    video: Video
    shots: Annotated[
        list[Annotated[list[Index], Field(min_length=2, max_length=2)]],
        Field(description="Indices of the first and the last frame of each shot."),
    ]
    categories: list[Category]
    instances: list[Instance]


def schema() -> str:
    """Return the schema as JSON."""
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return json.dumps(head | Result.model_json_schema(), indent=1) + "\n"


if __name__ == "__main__":
    Path(__file__).with_name("result.schema.json").write_text(schema(), encoding="utf-8")

"""docs/reference/result.schema.json describes what `vis segment` writes, and the reader accepts it."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from tests.commands.conftest import Network, RunVis, network, run_vis  # noqa: F401 (fixtures)
from tests.engine.fakes import FakeNetwork, draw_frame, moving_boxes
from tests.records.result_factory import make_instance, make_mask, make_result
from tests.records.video_factory import make_images, make_video, rewrite, write_image
from vis_cli.engine.segmenter import segment_video
from vis_cli.records.types import ModelInfo
from vis_cli.zoo.weights import LoadedModel

FOLDER = Path(__file__).parents[1] / "docs/reference"
SCRIPT = runpy.run_path(str(FOLDER / "write_schema.py"))
RESULT: type[BaseModel] = SCRIPT["Result"]
SIZE = (32, 24)


def validate(path: Path) -> dict[str, Any]:
    """Return a result that fits the schema."""
    text = path.read_text(encoding="utf-8")
    RESULT.model_validate_json(text)
    data: dict[str, Any] = json.loads(text)
    return data


def make_full_result(path: Path) -> dict[str, Any]:
    """Write a result with two instances, one of which has no frame and no category, and return its data."""
    mask = make_mask(["......", "###...", "###...", "......"])
    instances = [make_instance(1, [mask, None, mask]), make_instance(9, [None] * 3, category_id=None)]
    make_result(instances, num_frames=3, frame_names=("a", "b", "c")).save(path)
    data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    data["config"] = {}
    return data


def test_the_schema_is_as_the_script_writes_it() -> None:
    assert (FOLDER / "result.schema.json").read_text(encoding="utf-8") == SCRIPT["schema"](), (
        "run write_schema.py again"
    )


def test_results_of_the_commands_fit(
    tmp_path: Path,
    run_vis: RunVis,  # noqa: F811
    network: Network,  # noqa: F811
) -> None:
    network.num_unlikely = 1
    clip, frames = make_video(tmp_path, "clip.mp4", num_frames=6, size=SIZE), tmp_path / "frames"
    make_images(frames, ("00000.jpg", "00001.jpg"), SIZE)
    out = tmp_path / "out"
    assert run_vis("segment", clip, frames, "-o", out, "--no-render", "--only", "cat").code == 0
    part, streams = ("--start", "1", "--every", "2"), ("--stream", "0")
    assert run_vis("segment", clip, "-o", out / "part", "--no-render", *part, *streams).code == 0
    names = [validate(path)["video"]["name"] for path in (out / "clip.json", out / "frames.json")]
    assert names == ["clip", "frames"]
    video = validate(out / "part" / "clip.json")["video"]
    assert (video["part"]["every"], video["stream"]) == (2, 0)
    split = tmp_path / "split.json"
    assert run_vis("export", out / "clip.json", "--to", "coco-video", "-o", split).code == 0
    imported = tmp_path / "imported.json"
    assert run_vis("import", split, "--from", "coco-video", "--video", clip, "-o", imported).code == 0
    assert validate(imported)["config"] == {}


def test_a_result_of_the_engine_fits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = LoadedModel(FakeNetwork(), ModelInfo("fake", "0" * 64, (ModelInfo("part", "1" * 64),)))
    monkeypatch.setattr("vis_cli.engine.segmenter.load_network", lambda model, detector, device: loaded)
    (tmp_path / "drawn").mkdir()
    for index, boxes in enumerate(moving_boxes(3)):
        write_image(tmp_path / "drawn" / f"{index}.png", draw_frame(index, boxes))
    rewrite(tmp_path / "drawn", tmp_path / "clip.mp4")
    segment_video(str(tmp_path / "clip.mp4")).save(tmp_path / "clip.json")
    data = validate(tmp_path / "clip.json")
    assert len(data["instances"]) == 2
    assert data["config"]["num_key_frames"] == 4


def paths(value: object, prefix: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Return the path of each field of each object, from the first entry of each list."""
    if isinstance(value, list):
        return paths(value[0], (*prefix, 0)) if value else []
    if not isinstance(value, dict):
        return []
    return [path for key, item in value.items() for path in ((*prefix, key), *paths(item, (*prefix, key)))]


def test_each_field_is_required_and_no_other_is_allowed(tmp_path: Path) -> None:
    data = make_full_result(tmp_path / "clip.json")
    RESULT.model_validate(data)
    checked = 0
    for path in paths(data):
        if "category_scores" in path[:-1]:  # the keys are ids
            continue
        damaged = json.loads(json.dumps(data))
        entry = damaged
        for key in path[:-1]:
            entry = entry[key]
        value = entry.pop(path[-1])
        with pytest.raises(ValidationError):
            RESULT.model_validate(damaged)
        entry[path[-1]] = value
        entry["other"] = value
        with pytest.raises(ValidationError):
            RESULT.model_validate(damaged)
        checked += 1
    assert checked > 35


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("schema",), 3),
        (("instances", 0, "score"), 1.5),
        (("instances", 0, "id"), "1"),
        (("instances", 0, "segmentations", 0, "size"), [4]),
        (("instances", 0, "segmentations", 0, "counts"), [1, 2]),
        (("video", "width"), 0),
        (("video", "kind"), "camera"),
        (("shots", 0), [0]),
        (("config",), {"num_key_frames": 0}),
    ],
)
def test_other_values_do_not_fit(path: tuple[str | int, ...], value: object, tmp_path: Path) -> None:
    data = make_full_result(tmp_path / "clip.json")
    entry: Any = data
    for key in path[:-1]:
        entry = entry[key]
    entry[path[-1]] = value
    with pytest.raises(ValidationError):
        RESULT.model_validate(data)

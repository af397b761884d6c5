"""Box tracks for Label Studio."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.records.result_factory import make_result
from vis_cli.records.exports.choice import Choice
from vis_cli.records.exports.label_studio import write_label_studio

from .factory import HARD_NAMES, hard_names, two_objects, write


def test_a_box_track_with_a_gap(tmp_path: Path) -> None:
    write(write_label_studio, tmp_path / "t.json", two_objects(), make_result(name="nothing", num_frames=0))
    first, nothing = json.loads((tmp_path / "t.json").read_text())
    assert first["data"] == {"video": "clip", "fps": 23.976}
    (prediction,) = first["predictions"]
    assert prediction["model_version"] == "lite"
    cat, panda = prediction["result"]
    assert {key: cat[key] for key in ("type", "from_name", "to_name", "score")} == {
        "type": "videorectangle",
        "from_name": "box",
        "to_name": "video",
        "score": 0.75,
    }
    assert (cat["value"]["labels"], cat["value"]["framesCount"]) == (["cat"], 4)
    assert cat["value"]["duration"] == pytest.approx(4 / 23.976, abs=1e-6)
    assert [(box["frame"], box["enabled"]) for box in cat["value"]["sequence"]] == [(1, False), (3, True), (4, False)]
    box = panda["value"]["sequence"][0]
    assert [box[key] for key in ("x", "y", "width", "height")] == pytest.approx(
        [100 * 45 / 64, 100 * 25 / 48, 100 * 11 / 64, 100 * 11 / 48], abs=1e-4
    )
    assert box["time"] == pytest.approx(1 / 23.976)
    assert nothing["predictions"][0]["result"] == []


def test_boxes_of_every_third_frame_are_interpolated(tmp_path: Path) -> None:
    write(write_label_studio, tmp_path / "t.json", two_objects(), choice=Choice(every=3))
    (region,) = json.loads((tmp_path / "t.json").read_text())[0]["predictions"][0]["result"]
    assert [(box["frame"], box["enabled"]) for box in region["value"]["sequence"]] == [(1, True), (4, False)]


def test_names(tmp_path: Path) -> None:
    write(write_label_studio, tmp_path / "t.json", hard_names())
    regions = json.loads((tmp_path / "t.json").read_text())[0]["predictions"][0]["result"]
    assert [region["value"]["labels"] for region in regions] == [[name] for name in HARD_NAMES]

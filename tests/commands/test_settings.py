"""`vis settings`: a table, JSON and TOML of all settings."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from tests.records.video_factory import make_video
from vis_cli.settings import PRESETS, RunSettings, SegmentSettings

from .conftest import Network, RunVis

NAMES = [field.name for field in dataclasses.fields(SegmentSettings)]
RUN_NAMES = [field.name for field in dataclasses.fields(RunSettings)]


def test_a_line_per_setting_with_value_range_and_meaning(run_vis: RunVis) -> None:
    outcome = run_vis("settings")
    assert (outcome.code, outcome.err) == (0, "")
    header, *lines = outcome.out.splitlines()
    assert header.split() == ["setting", "value", "allowed", "meaning"]
    assert [line.split()[0] for line in lines if line and line[0] != "["] == [*NAMES, *RUN_NAMES]
    (line,) = (line for line in lines if line.startswith("mask_threshold"))
    assert line.split("  ")[-1].strip() == "Minimum probability of a mask pixel."
    assert line.split()[1:5] == ["0.5", "0", "to", "1"]
    assert "[reduction]" in lines
    (line,) = (line for line in lines if line.startswith("backend"))
    assert line.split()[:5] == ["backend", "auto", "auto,", "torch,", "openvino"]


def test_the_values_are_those_of_the_preset(run_vis: RunVis) -> None:
    data = json.loads(run_vis("settings", "released-davis", "--json").out)
    assert data["preset"] == "released-davis"
    assert {entry["name"]: entry["value"] for entry in data["settings"]} == dataclasses.asdict(
        PRESETS["released-davis"]
    )
    assert [entry["default"] for entry in data["settings"] if entry["name"] == "num_key_frames"] == [4]
    assert all(entry["meaning"] and entry["values"] and entry["step"] for entry in data["settings"])


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_toml_is_a_file_for_segment(preset: str, tmp_path: Path, run_vis: RunVis, network: Network) -> None:
    path = tmp_path / "my.toml"
    path.write_text(run_vis("settings", preset, "--toml").out)
    outcome = run_vis("segment", make_video(tmp_path), "-o", tmp_path / "out", "--settings", path)
    assert (outcome.code, "warning" in outcome.err) == (0, False)
    assert network.loaded[0][1] == PRESETS[preset]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["ovi"], "error: no preset 'ovi'. Did you mean ovis?"),
        (["--json", "--toml"], "error: --json and --toml are both given. Omit one of them."),
    ],
)
def test_wrong_usage(words: list[str], said: str, run_vis: RunVis) -> None:
    outcome = run_vis("settings", *words)
    assert (outcome.code, outcome.out, outcome.err) == (2, "", said)

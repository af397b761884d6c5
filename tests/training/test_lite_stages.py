"""The configs of the stages of `lite` fit together: a stage has the network of its start."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from vis_cli.training.config_file import read_train_config

LITE = Path(__file__).parents[2] / "models" / "lite"
STAGES = sorted(path.stem for path in LITE.glob("*.toml"))


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_has_the_separate_fpn_of_its_start(stage: str) -> None:
    config = read_train_config(LITE / f"{stage}.toml")
    start = config.init.removeprefix("runs/lite-")
    if start in STAGES and read_train_config(LITE / f"{start}.toml").model.detector_fpn:
        assert config.model.detector_fpn


@pytest.mark.parametrize("path", sorted(LITE.rglob("*.toml")), ids=lambda path: path.stem)
def test_a_config_that_starts_from_lite_has_its_separate_fpn(path: Path) -> None:
    config = read_train_config(path)
    if config.init == "lite":
        assert config.model.detector_fpn


def test_models_that_are_averaged_have_the_same_network() -> None:
    commands = re.findall(r"python models/lite/average.py (.+) -o", (LITE / "CARD.md").read_text())
    assert len(commands) == 5
    for command in commands:
        names = [name for name in re.findall(r"runs/lite-([\w-]+)", command) if name in STAGES]
        networks = [read_train_config(LITE / f"{name}.toml").model for name in names]
        assert all(network == networks[0] for network in networks), command

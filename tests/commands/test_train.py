"""`vis train`: thin, so what it hands to the trainer and how it ends."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from vis_cli.errors import VisError

from .conftest import RunVis

Calls = list[tuple[Path, Path, bool]]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    """Replace the trainer by one that notes its arguments."""
    noted: Calls = []

    def train(
        config: Path, out: Path, *, resume: bool, progress: Callable[[int, int, Mapping[str, float]], None]
    ) -> Path:
        noted.append((config, out, resume))
        progress(1, 2, {"loss": 0.5})
        if config.stem == "broken":
            raise VisError("data: no such folder")
        if config.stem == "long":
            raise KeyboardInterrupt
        return out

    monkeypatch.setattr("vis_cli.training.trainer.train", train)
    return noted


def make_config(folder: Path, name: str = "mine") -> Path:
    path = folder / f"{name}.toml"
    path.write_text("")
    return path


def test_the_trainer_gets_what_was_typed(calls: Calls, tmp_path: Path, run_vis: RunVis) -> None:
    config = make_config(tmp_path)
    outcome = run_vis("train", config, "-o", tmp_path / "run", "--resume")
    assert outcome.code == 0
    assert f"use it with --model {tmp_path / 'run'}" in outcome.err
    assert run_vis("train", config).code == 0
    assert calls == [(config, tmp_path / "run", True), (config, Path("runs/mine"), False)]


@pytest.mark.parametrize(
    ("name", "code", "said"), [("broken", 1, "error: data: no such folder"), ("long", 130, "error: interrupted")]
)
def test_how_it_ends(name: str, code: int, said: str, calls: Calls, tmp_path: Path, run_vis: RunVis) -> None:
    outcome = run_vis("train", make_config(tmp_path, name))
    assert outcome.code == code
    assert outcome.err.endswith(said)
    assert "Traceback" not in outcome.err


def test_a_config_that_is_not_there(tmp_path: Path, run_vis: RunVis) -> None:
    outcome = run_vis("train", tmp_path / "no.toml")
    assert outcome.code == 2
    assert "no.toml" in outcome.err

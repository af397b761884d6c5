"""`vis train`: thin, so what it hands to the trainer and how it ends."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.records.davis_factory import write_davis
from tests.training.test_trainer import make_run
from vis_cli.engine.device import choose_device
from vis_cli.errors import VisError
from vis_cli.training.run import Hooks
from vis_cli.training.trainer import Outcome

from .conftest import RunVis

TYPO = """
stepz = 3
[model]
name = "a"
backbone = "r50"
categories = ["cat"]
[[data]]
kind = "davis"
annotations = "train.txt"
"""
Calls = list[tuple[Path, Path, bool, torch.device, Path | None]]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    """Replace the trainer by one that notes its arguments."""
    noted: Calls = []

    def train(
        config: Path, out: Path, *, resume: bool, device: torch.device, data_root: Path | None, hooks: Hooks
    ) -> Outcome:
        noted.append((config, out, resume, device, data_root))
        assert hooks.progress is not None
        hooks.progress(1, 2, {"loss": 0.5, "images_per_second": 3.0})
        if config.stem == "broken":
            raise VisError("data: no such folder")
        if config.stem == "long":
            raise KeyboardInterrupt
        return Outcome(out, 7, finished=config.stem != "stopped")

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
    assert f"Use it with --model {tmp_path / 'run'}" in outcome.err
    assert "step 1 of 2, loss 0.50 images/s 3.00" in outcome.err
    assert run_vis("train", config).code == 0
    assert run_vis("train", config, "--device", "cpu", "--data", tmp_path).code == 0
    here, auto = torch.device("cpu"), choose_device("auto")
    assert calls == [
        (config, tmp_path / "run", True, auto, None),
        (config, Path("runs/mine"), False, auto, None),
        (config, Path("runs/mine"), False, here, tmp_path),
    ]


def test_the_folder_is_not_taken_for_an_included_model(
    calls: Calls, tmp_path: Path, run_vis: RunVis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert (
        "lite: the model is complete. Use it with --model ./lite"
        in run_vis("train", make_config(Path()), "-o", "lite").err
    )


def test_a_run_that_was_asked_to_stop_ends_well(calls: Calls, tmp_path: Path, run_vis: RunVis) -> None:
    outcome = run_vis("train", make_config(tmp_path, "stopped"), "-o", tmp_path / "run")
    assert outcome.code == 0
    assert outcome.err.endswith("stopped and saved after step 7. Use --resume to continue")


def test_a_check_starts_nothing_to_go_on_from(tmp_path: Path, run_vis: RunVis) -> None:
    outcome = run_vis("train", make_config(tmp_path), "--check", "--resume")
    assert outcome.code == 2
    assert "--check and --resume are both given. Omit one of them." in outcome.err


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


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "has no dataset. Add at least one [[data]]."),
        (
            "steps = 3\n[model]\nname = 'x'\nbackbone = 'r50'\ncategories = ['cat']\n[[data]]\n",
            "[[data]] 1: lacks the setting kind. Add kind.",
        ),
        (TYPO, "has no setting stepz. Did you mean steps?"),
        ("not toml", "not valid TOML"),
    ],
)
def test_a_config_that_is_wrong_is_one_line_with_its_file(
    text: str, said: str, tmp_path: Path, run_vis: RunVis
) -> None:
    config = make_config(tmp_path)
    config.write_text(text)
    outcome = run_vis("train", config, "-o", tmp_path / "run")
    assert outcome.code == 1
    line = outcome.err.splitlines()[-1]
    assert line.startswith(f"error: {config}: ")
    assert said in line
    assert not (tmp_path / "run").exists()


def test_a_folder_is_no_config(tmp_path: Path, run_vis: RunVis) -> None:
    assert run_vis("train", tmp_path).code == 2


@pytest.mark.parametrize("check", [(), ("--check",)])
def test_vis_train_starts_nothing_that_it_cannot_validate(
    check: tuple[str, ...], tmp_path: Path, run_vis: RunVis
) -> None:
    write_davis(tmp_path / "DAVIS")
    table = '[validation]\nkind = "davis"\nimages = "DAVIS"\nsequences = ["eel"]\n'
    outcome = run_vis("train", make_run(tmp_path, tables=table), "-o", tmp_path / "out", *check)
    assert outcome.code == 1
    assert "error: [validation]: eel: the sequence is not in val of" in outcome.err
    assert not (tmp_path / "out").exists()

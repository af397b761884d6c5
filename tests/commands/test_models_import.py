"""`vis models import` and `vis models info`: from a released file to a model folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.network.factories import make_model
from tests.zoo.released_factory import hollow_state, write_checkpoint
from vis_cli.zoo.folder import read_summary
from vis_cli.zoo.weights import save_model

from .conftest import RunVis

FLAGS = ("--as", "r50", "--dataset", "ytvis2019")


def test_an_imported_checkpoint_is_a_model_with_a_card(tmp_path: Path, run_vis: RunVis) -> None:
    path = write_checkpoint(tmp_path / "r50.pth", hollow_state("r50"))
    outcome = run_vis("models", "import", path, *FLAGS, "-o", tmp_path / "r50")
    assert (outcome.code, outcome.out) == (0, "")
    assert (
        "imported 369 tensors, omitted 12 tensors of an unused mask head and 53 counters of batch norms" in outcome.err
    )
    summary = read_summary(tmp_path / "r50")
    assert summary.config.box_convention == "legacy"
    assert summary.provenance["imported from"] == "r50.pth"
    again = run_vis("models", "import", path, *FLAGS, "-o", tmp_path / "r50")
    assert again.code == 2
    assert "it contains a model. Use another -o DIR, or --overwrite" in again.err
    info = run_vis("models", "info", tmp_path / "r50")
    assert (info.code, info.err) == (0, "")
    for text in ("ResNet", "AP 40.8", "40 tennis_racket", "legacy", "640x360", "r50.pth", "parameters"):
        assert (text in info.out) == (text != "ResNet"), text
    assert info.out.count("AP 40.8 on YouTube-VIS 2019 val") == 2  # of its provenance and of its card
    assert "`--preset released-ytvis --set reduction=category-aware --score-threshold 0.001`." in info.out


def test_what_cannot_be_imported_is_one_line_and_leaves_nothing(tmp_path: Path, run_vis: RunVis) -> None:
    path = write_checkpoint(tmp_path / "davis.pth", hollow_state("r50", num_classes=1))
    outcome = run_vis("models", "import", path, *FLAGS, "-o", tmp_path / "r50")
    assert outcome.code == 1
    assert outcome.err == (
        f"error: cannot import {path}: it has 1 class, but ytvis2019 has 40 classes. Use --dataset davis-uvos."
    )
    assert not (tmp_path / "r50").exists()


@pytest.mark.parametrize("flags", [("--as", "r34", "--dataset", "ytvis2019"), ("--as", "r50", "--dataset", "ovis")])
def test_unknown_names_are_wrong_usage(flags: tuple[str, ...], tmp_path: Path, run_vis: RunVis) -> None:
    (tmp_path / "r50.pth").touch()
    outcome = run_vis("models", "import", tmp_path / "r50.pth", *flags, "-o", tmp_path / "r50")
    assert outcome.code == 2
    assert flags[1] in outcome.err or flags[3] in outcome.err


def test_what_is_no_checkpoint(tmp_path: Path, run_vis: RunVis) -> None:
    assert run_vis("models", "import", tmp_path, *FLAGS, "-o", tmp_path / "r50").code == 2
    (tmp_path / "notes.pth").write_text("not a checkpoint")
    outcome = run_vis("models", "import", tmp_path / "notes.pth", *FLAGS, "-o", tmp_path / "r50")
    assert outcome.code == 1
    assert outcome.err.count("\n") <= 1
    assert f"cannot read {tmp_path / 'notes.pth'}: it is truncated or not a checkpoint." in outcome.err


def test_info_of_a_model_without_a_card(tmp_path: Path, run_vis: RunVis) -> None:
    save_model(tmp_path / "mine", make_model(), {"trained_with": "my.toml", "steps": "7"})
    outcome = run_vis("models", "info", tmp_path / "mine")
    assert outcome.code == 0
    rows = dict([cell.strip() for cell in line.split("│")[1:-1]] for line in outcome.out.splitlines() if "│" in line)
    assert rows["categories"] == "1 cat, 2 dog, 3 object"
    assert (rows["trained with"], rows["steps"], rows["box convention"]) == ("my.toml", "7", "modern")
    assert "No results: the folder has no model card" in outcome.out


def test_info_of_the_shipped_model_gives_its_figures(run_vis: RunVis) -> None:
    outcome = run_vis("models", "info", "lite")
    assert outcome.code == 0
    assert "## Results" in outcome.out
    assert "unsupervised" in outcome.out
    assert "## Speed and memory" not in outcome.out


@pytest.mark.parametrize("heading", ["## Results", "## What it reaches"])
def test_info_prints_the_results_of_cards_of_all_versions(tmp_path: Path, run_vis: RunVis, heading: str) -> None:
    save_model(tmp_path / "mine", make_model(), {})
    (tmp_path / "mine" / "CARD.md").write_text(
        f"# mine\n\nMade for tests.\n\n{heading}\n\nJ&F 50.\n\n## Licence\n\nNone.\n"
    )
    outcome = run_vis("models", "info", tmp_path / "mine")
    assert f"{heading}\n\nJ&F 50." in outcome.out
    assert "Licence" not in outcome.out


def test_info_of_no_model_suggests_one(run_vis: RunVis) -> None:
    outcome = run_vis("models", "info", "lit")
    assert outcome.code == 1
    assert "Did you mean lite?" in outcome.err
    err = run_vis("models", "info", "unknown").err
    assert "Use one of: coco-r50, coco-r50-v2, lite, picodet-s, torchvision:" in err
    assert ". A folder with" in err

"""`vis models`: the zoo as a table."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.network.factories import make_model
from vis_cli.network.weights import save_model

from .conftest import RunVis


@pytest.fixture
def zoo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("vis_cli.network.weights.zoo_dir", lambda: tmp_path)
    return tmp_path


def test_each_model_is_a_row_on_stdout(zoo: Path, run_vis: RunVis) -> None:
    model = make_model()
    for name in ("lite", "other"):
        save_model(zoo / name, model, {})
    (zoo / "lite" / "CARD.md").write_text("# lite\n\nMade for a CPU.\n\nMore.\n")
    outcome = run_vis("models")
    assert (outcome.code, outcome.err) == (0, "")
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in outcome.out.splitlines() if "│" in line]
    parameters = sum(tensor.numel() for key, tensor in model.state_dict().items() if "num_batches" not in key)
    size = f"{parameters / 1e6:.1f} M"
    assert rows == [["lite", size, "cat, dog, object", "Made for a CPU."], ["other", size, "cat, dog, object", ""]]


def test_a_damaged_model_is_one_line(zoo: Path, run_vis: RunVis) -> None:
    (zoo / "lite").mkdir()
    (zoo / "lite" / "weights.safetensors").write_bytes(b"\x10" * 50)
    outcome = run_vis("models")
    assert outcome.code == 1
    assert outcome.err.startswith(f"error: {zoo / 'lite' / 'weights.safetensors'} is not a readable weights file")

"""Model folders: a round trip, and every way a weights file can be wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tests.network.factories import make_config, make_model
from vis_cli.errors import VisError
from vis_cli.network.weights import find_model, load_model, read_summary, save_model


def test_a_saved_model_loads_and_computes_the_same(tmp_path: Path) -> None:
    model = make_model()
    save_model(tmp_path / "tiny", model, {"from": "test"})
    loaded = load_model(str(tmp_path / "tiny"))
    image = torch.rand(1, 3, 32, 32) * 255
    with torch.inference_mode():
        expected, actual = model.encode_frames(image).pyramid[0], loaded.model.encode_frames(image).pyramid[0]
    torch.testing.assert_close(actual, expected, rtol=0.05, atol=0.05)
    assert loaded.info.name == "tiny"
    assert len(loaded.info.sha256) == 64
    assert not loaded.model.training
    summary = read_summary(tmp_path / "tiny")
    assert summary.config == model.config
    assert summary.provenance == {"from": "test"}
    assert summary.num_parameters > 4_000_000


def test_a_model_is_as_readable_as_any_file(tmp_path: Path) -> None:
    save_model(tmp_path / "tiny", make_model(), {})
    (tmp_path / "plain").touch()
    assert (tmp_path / "tiny" / "weights.safetensors").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_unknown_model_suggests_the_nearest(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("vis_cli.network.weights.zoo_dir", lambda: tmp_path)
    save_model(tmp_path / "lite", make_model(), {})
    assert find_model("lite") == tmp_path / "lite"
    with pytest.raises(VisError, match="no model is named lit; did you mean lite"):
        load_model("lit")


def test_folder_without_weights(tmp_path: Path) -> None:
    with pytest.raises(VisError, match=r"has no weights\.safetensors"):
        load_model(str(tmp_path))


def test_corrupt_weights(tmp_path: Path) -> None:
    (tmp_path / "weights.safetensors").write_bytes(b"not weights at all")
    with pytest.raises(VisError, match="not a readable weights file"):
        load_model(str(tmp_path))


def test_truncated_weights(tmp_path: Path) -> None:
    save_model(tmp_path, make_model(), {})
    path = tmp_path / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(VisError, match="not a readable weights file"):
        load_model(str(tmp_path))


def test_weights_of_another_schema(tmp_path: Path) -> None:
    save_file({"x": torch.zeros(1)}, tmp_path / "weights.safetensors", {"schema": "other"})
    with pytest.raises(VisError, match="schema 'other'"):
        load_model(str(tmp_path))


def test_weights_that_lack_their_config(tmp_path: Path) -> None:
    save_file({"x": torch.zeros(1)}, tmp_path / "weights.safetensors", {"schema": "vis-model-1"})
    with pytest.raises(VisError, match="damaged metadata"):
        load_model(str(tmp_path))


def test_weights_whose_config_is_out_of_range(tmp_path: Path) -> None:
    config = make_config().to_json().replace('"key_channels": 8', '"key_channels": 0')
    save_file({"x": torch.zeros(1)}, tmp_path / "weights.safetensors", {"schema": "vis-model-1", "config": config})
    with pytest.raises(VisError, match=r"damaged metadata .*key_channels is 0"):
        load_model(str(tmp_path))


def test_weights_that_do_not_fit_their_config(tmp_path: Path) -> None:
    metadata = {"schema": "vis-model-1", "config": make_model().config.to_json()}
    save_file({"x": torch.zeros(1)}, tmp_path / "weights.safetensors", metadata)
    with pytest.raises(VisError, match="weights of its own config"):
        load_model(str(tmp_path))

"""Model folders: a round trip, and every way a weights file can be wrong."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.network.factories import make_config, make_model
from vis_cli.errors import VisError
from vis_cli.zoo import included_files
from vis_cli.zoo.folder import WEIGHTS_NAME, find_model, read_summary
from vis_cli.zoo.weights import load_model, require_size, save_model

pytestmark = pytest.mark.usefixtures("narrow_backbone")
METADATA = {"schema": "vis-model-1", "config": make_config().to_json()}


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
    stored = load_file(tmp_path / "tiny" / WEIGHTS_NAME)
    assert summary.num_parameters == sum(value.numel() for value in stored.values())


def test_a_model_is_as_readable_as_any_file(tmp_path: Path) -> None:
    save_model(tmp_path / "tiny", make_model(), {})
    (tmp_path / "plain").touch()
    assert (tmp_path / "tiny" / "weights.safetensors").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_unknown_model_suggests_the_nearest(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("vis_cli.zoo.folder.zoo_dir", lambda: tmp_path)
    save_model(tmp_path / "lite", make_model(), {})
    assert find_model("lite") == tmp_path / "lite"
    with pytest.raises(VisError, match=r"no model is named lit\. Did you mean lite"):
        load_model("lit")


@pytest.mark.parametrize("path", ["./lite", "lite/", "../own/lite"])
def test_a_path_is_not_the_name_of_a_shipped_model(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, path: str) -> None:
    monkeypatch.setattr("vis_cli.zoo.folder.zoo_dir", lambda: tmp_path / "zoo")
    for parent in ("zoo", "own"):
        save_model(tmp_path / parent / "lite", make_model(), {})
    monkeypatch.chdir(tmp_path / "own")
    assert find_model(path).resolve() == tmp_path / "own" / "lite"
    assert find_model("lite") == tmp_path / "zoo" / "lite"


def test_folder_without_weights(tmp_path: Path) -> None:
    with pytest.raises(VisError, match=r"has no weights\.safetensors"):
        load_model(str(tmp_path))


@pytest.mark.parametrize("damage", ["cut", "schema", "config", "tensors", "not finite", "no network"])
@pytest.mark.parametrize("included", [False, True])
def test_damaged_weights_of_an_included_model_need_a_new_installation(
    damage: str, included: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vis_cli.zoo.folder.zoo_dir", lambda: tmp_path)
    monkeypatch.setattr(included_files, "zoo_dir", lambda: tmp_path if included else tmp_path / "other")
    save_model(tmp_path / "lite", make_model(), {})
    path, name = tmp_path / "lite" / WEIGHTS_NAME, "fpn.inner_blocks.0.0.bias"
    state, config = load_file(path), METADATA["config"]
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-10])
    elif damage == "tensors":
        save_file({"x": torch.zeros(1)}, path, METADATA)
    elif damage == "not finite":
        save_file(state | {name: torch.full_like(state[name], torch.nan)}, path, METADATA)
    elif damage == "no network":
        huge = json.dumps(json.loads(config) | {"fpn_channels": 8192, "mask_channels": 8192, "box_channels": 8192})
        save_file(state, path, METADATA | {"config": huge})
    else:
        save_file(state, path, METADATA | {damage: "{"})
    with pytest.raises(VisError) as caught:
        load_model("lite")
    hint = included_files.REINSTALL if included else included_files.FETCH
    assert str(caught.value).endswith(f". {hint}")
    assert included_files.FETCH in hint or "train" not in str(caught.value)


def test_missing_weights_of_an_included_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vis_cli.zoo.folder.zoo_dir", lambda: tmp_path / "zoo")
    monkeypatch.setattr(included_files, "zoo_dir", lambda: tmp_path / "zoo")
    save_model(tmp_path / "zoo" / "lite", make_model(), {})
    (tmp_path / "zoo" / "lite" / "CARD.md").touch()
    (tmp_path / "zoo" / "lite" / WEIGHTS_NAME).unlink()
    with pytest.raises(VisError, match=r"lite/weights\.safetensors: the weights of lite are missing\. The file is"):
        load_model("lite")
    monkeypatch.chdir(tmp_path)
    save_model(Path("lite"), make_model(), {})  # a folder of the user with this name
    assert find_model("lite") == Path("lite")


def test_corrupt_weights(tmp_path: Path) -> None:
    (tmp_path / "weights.safetensors").write_bytes(b"not weights at all")
    with pytest.raises(VisError, match="is not a readable weights file"):
        load_model(str(tmp_path))


def test_weights_that_cannot_be_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The remedy is not to train the model again."""
    save_model(tmp_path, make_model(), {})
    error = PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    monkeypatch.setattr("vis_cli.zoo.header.open_regular", Mock(side_effect=error))
    with pytest.raises(VisError, match=r"weights\.safetensors: Permission denied\. Use a file that you may read\.$"):
        load_model(str(tmp_path))


def test_truncated_weights(tmp_path: Path) -> None:
    save_model(tmp_path, make_model(), {})
    path = tmp_path / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(VisError, match="is not a readable weights file"):
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


def test_equal_models_give_equal_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        save_model(tmp_path / name, make_model(), {"from": "test", "by": "hand", "at": "noon"})
    assert (tmp_path / "a" / WEIGHTS_NAME).read_bytes() == (tmp_path / "b" / WEIGHTS_NAME).read_bytes()
    text = (tmp_path / "a" / WEIGHTS_NAME).read_bytes()
    header = json.loads(text[8 : 8 + int.from_bytes(text[:8], "little")])
    assert list(header["__metadata__"]) == ["config", "provenance", "schema"]
    assert list(header) == sorted(header)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_weights_that_are_not_finite_are_neither_written_nor_loaded(value: float, tmp_path: Path) -> None:
    model = make_model()
    save_model(tmp_path / "good", model, {})
    with torch.no_grad():
        model.fpn.inner_blocks[0][0].bias[3] = value
    with pytest.raises(VisError, match=r"cannot write .*fpn\.inner_blocks\.0\.0\.bias has values that are not finite"):
        save_model(tmp_path / "bad", model, {})
    assert not (tmp_path / "bad").exists()
    state = load_file(tmp_path / "good" / WEIGHTS_NAME) | {"fpn.inner_blocks.0.0.bias": torch.full((16,), value)}
    save_file(state, tmp_path / "good" / WEIGHTS_NAME, METADATA)
    with pytest.raises(VisError, match=r"cannot load .*fpn\.inner_blocks\.0\.0\.bias has values that are not finite"):
        load_model(str(tmp_path / "good"))


def test_values_above_the_range_of_float16_are_kept(tmp_path: Path) -> None:
    model = make_model()
    with torch.no_grad():
        model.fpn.inner_blocks[0][0].bias[3] = 1e5
    save_model(tmp_path, model, {})
    assert load_model(str(tmp_path)).model.fpn.inner_blocks[0][0].bias[3] == 1e5
    assert load_file(tmp_path / WEIGHTS_NAME)["fpn.inner_blocks.1.0.bias"].dtype == torch.float16


@pytest.mark.parametrize(
    ("metadata", "cause"),
    [
        ({"config": "null"}, "not an object"),
        ({"config": "[" * 100_000}, "nested too deeply"),
        ({"config": "{"}, "damaged metadata"),
        ({"config": "[1]"}, "not an object"),
        ({"box_convention": ".."}, r"box_convention is '\.\.', but must be modern or legacy"),
        ({"box_convention": 3}, "box_convention is 3"),
        ({"box_channels": float("inf")}, "box_channels is inf"),
        ({"box_channels": True}, "box_channels is True"),
        ({"box_channels": 10**400}, "box_channels is 10000"),
        ({"box_channels": 10**9}, "box_channels is 1000000000"),
        ({"mask_convs": 10**6}, "mask_convs is 1000000"),
        ({"pixel_mean": [0, 0]}, r"pixel_mean is \[0, 0\]"),
        ({"pixel_mean": [float("nan"), 0, 0]}, "pixel_mean is"),
        ({"pixel_std": [10**400, 1, 1]}, "pixel_std is"),
        ({"backbone": "../r50"}, r"no backbone is named '\.\./r50'"),
        ({"backbone": 5}, "backbone is 5"),
        ({"name": None}, "name is None"),
        ({"extra": 1}, "it has no field extra"),
        ({"categories": []}, "categories has 0 names"),
        ({"categories": [{"id": "1", "name": "a"}]}, "a category is"),
        ({"categories": [{"id": 1, "name": 5}]}, "a category is"),
        ({"categories": [7]}, "a category is 7"),
        ({"provenance": "[1]"}, "the provenance must map strings to strings"),
        ({"provenance": '{"steps": 5}'}, "the provenance must map strings to strings"),
        ({"provenance": "{"}, "damaged metadata"),
        ({"schema": "\x1b[31m"}, r"has schema '\\\\x1b\[31m'"),
    ],
)
def test_damaged_metadata_is_one_line(metadata: dict[str, Any], cause: str, tmp_path: Path) -> None:
    config = json.loads(METADATA["config"])
    if not metadata.keys() & METADATA.keys() and "provenance" not in metadata:
        metadata = {"config": json.dumps(config | metadata)}
    save_file({"x": torch.zeros(1)}, tmp_path / WEIGHTS_NAME, METADATA | metadata)
    with pytest.raises(VisError, match=cause) as caught:
        load_model(str(tmp_path))
    assert len(str(caught.value)) < 1000


def test_large_sizes_in_metadata_allocate_nothing(tmp_path: Path) -> None:
    config = json.loads(METADATA["config"]) | {"fpn_channels": 8192, "box_channels": 8192}  # 13 GB
    save_file({"x": torch.zeros(1)}, tmp_path / WEIGHTS_NAME, METADATA | {"config": json.dumps(config)})
    with pytest.raises(VisError, match=r"does not hold the weights of its own config.*missing"):
        load_model(str(tmp_path))


@pytest.mark.parametrize("change", [torch.Tensor.int, lambda value: value[0], lambda value: value.reshape(-1, 1)])
def test_a_tensor_of_another_kind_is_named(change: Callable[[torch.Tensor], torch.Tensor], tmp_path: Path) -> None:
    save_model(tmp_path, make_model(), {})
    state = load_file(tmp_path / WEIGHTS_NAME)
    state["fpn.inner_blocks.0.0.bias"] = change(state["fpn.inner_blocks.0.0.bias"]).clone()
    save_file(state, tmp_path / WEIGHTS_NAME, METADATA)
    with pytest.raises(VisError, match=r"1 (of another shape|without decimals) \(fpn\.inner_blocks\.0\.0\.bias\)"):
        load_model(str(tmp_path))


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / WEIGHTS_NAME
    for content, size, cause in [
        (b"", 4 * 2**30, "is not a readable weights file"),
        (b"", 9 * 2**30, "the limit is 8,589,934,592"),
        ((2**30).to_bytes(8, "little"), 4 * 2**30, "its header has 1,073,741,824 bytes, the limit is 16 MiB"),
    ]:
        path.write_bytes(content)
        os.truncate(path, size)
        with pytest.raises(VisError, match=cause):
            read_summary(tmp_path)


def test_a_network_with_too_many_parameters_is_rejected() -> None:
    require_size(make_config())
    with pytest.raises(VisError, match=r"has [0-9,]+ parameters, the limit is 268,435,456"):
        require_size(make_config(fpn_channels=8192, box_channels=1024))

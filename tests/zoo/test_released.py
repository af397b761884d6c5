"""Released checkpoints: every tensor accounted for, and every way a file can be another one than was said."""

from __future__ import annotations

import os
import pickle
import re
import subprocess
import zipfile
from collections import OrderedDict
from pathlib import Path

import pytest
import torch

from tests.zoo.released_factory import hollow_state, hollow_value, released_shapes, seeded_state, write_checkpoint
from vis_cli.errors import VisError
from vis_cli.zoo.released import COUNTER, ReleasedBackbone, import_released, released_config, released_key

BACKBONES: tuple[ReleasedBackbone, ...] = ("r50", "r101", "x101")
# docs/explanation/authors-implementation.md#fact-51
NUM_PARAMETERS = {"r50": 68_995_824, "r101": 87_987_952, "x101": 126_894_064}
NUM_KEYS = {"r50": 434, "r101": 740, "x101": 740}
DEAD_PARAMETERS = 4 * (256 * 256 * 9 + 256) + 256 * 256 * 4 + 256 + 41 * 256 + 41  # the mask head in the prop head


class Code:
    """Run a command when unpickled."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[object, tuple[str, ...]]:
        return subprocess.getoutput, (self.command,)


@pytest.mark.parametrize("backbone", BACKBONES)
def test_every_tensor_is_accounted_for(backbone: ReleasedBackbone, tmp_path: Path) -> None:
    path = write_checkpoint(tmp_path / "released.pth", hollow_state(backbone))
    imported = import_released(path, backbone, "ytvis2019")
    assert imported.num_mapped + imported.num_unused + imported.num_counters == NUM_KEYS[backbone]
    assert imported.num_unused == 12
    state = {key: value for key, value in imported.model.state_dict().items() if not key.endswith(COUNTER)}
    assert len(state) == imported.num_mapped
    for key, value in state.items():
        assert float(value.flatten()[0]) == pytest.approx(hollow_value(released_key(key))), key
    learned = sum(parameter.numel() for parameter in imported.model.parameters())
    assert learned + DEAD_PARAMETERS == NUM_PARAMETERS[backbone]


@pytest.mark.slow
@pytest.mark.parametrize("backbone", BACKBONES)
def test_every_weight_is_taken_as_it_is(backbone: ReleasedBackbone, tmp_path: Path) -> None:
    seeded = seeded_state(backbone)
    imported = import_released(write_checkpoint(tmp_path / "released.pth", seeded), backbone, "ytvis2019")
    state = {key: value for key, value in imported.model.state_dict().items() if not key.endswith(COUNTER)}
    assert all(torch.equal(value, seeded[released_key(key)]) for key, value in state.items())
    assert len({released_key(key) for key in state}) == imported.num_mapped


@pytest.mark.parametrize("old_format", [True, False])
def test_a_davis_checkpoint_has_one_category(old_format: bool, tmp_path: Path) -> None:
    state = hollow_state("r101", num_classes=1)
    path = write_checkpoint(tmp_path / "davis.pth", state, old_format=old_format)
    config = import_released(path, "r101", "davis-uvos").model.config
    assert [category.name for category in config.categories] == ["instance"]
    assert (config.short_side, config.long_side, config.box_convention) == (480, 854, "legacy")


def test_categories_are_numbered_as_their_data_sets_number_them() -> None:
    named = {dataset: released_config("r50", dataset).categories for dataset in ("ytvis2019", "ytvis2021")}
    assert all([category.id for category in found] == list(range(1, 41)) for found in named.values())
    assert (named["ytvis2019"][0].name, named["ytvis2019"][39].name) == ("person", "tennis_racket")
    assert (named["ytvis2021"][0].name, named["ytvis2021"][39].name) == ("airplane", "zebra")


@pytest.mark.parametrize("way", ["pickle", "state_dict", "new format"])
def test_code_in_a_checkpoint_is_refused_and_not_run(way: str, tmp_path: Path) -> None:
    path, trace = tmp_path / "evil.pth", tmp_path / "was_run"
    code = Code(f"touch {trace}")
    if way == "pickle":
        path.write_bytes(pickle.dumps({"state_dict": code}))
    else:
        torch.save(
            {"state_dict": OrderedDict(x=torch.zeros(1)), "meta": code},
            path,
            _use_new_zipfile_serialization=way == "new format",
        )
    with pytest.raises(VisError, match=r"evil\.pth: it contains objects that can run code\. No code was run") as caught:
        import_released(path, "r50", "ytvis2019")
    assert not trace.exists()
    assert "weights_only" not in str(caught.value)


@pytest.mark.parametrize("old_format", [True, False])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.99])
def test_a_truncated_file(old_format: bool, share: float, tmp_path: Path) -> None:
    path = write_checkpoint(tmp_path / "cut.pth", hollow_state("r50"), old_format=old_format)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(VisError, match=r"cut\.pth: it is truncated or not a checkpoint"):
        import_released(path, "r50", "ytvis2019")


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"\x80\x02"])
def test_a_file_that_is_something_else(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "notes.pth"
    path.write_bytes(content)
    with pytest.raises(VisError, match="truncated or not a checkpoint"):
        import_released(path, "r50", "ytvis2019")


@pytest.mark.parametrize("content", [[1, 2], {"model": {}}, {"state_dict": 7}])
def test_a_file_without_tensors(content: object, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "other.pth")
    with pytest.raises(VisError, match="it has no state_dict, so it is not a checkpoint"):
        import_released(tmp_path / "other.pth", "r50", "ytvis2019")


@pytest.mark.parametrize(("real", "said"), [("r101", "r50"), ("r50", "r101"), ("x101", "r101"), ("r101", "x101")])
def test_another_backbone_is_named(real: str, said: ReleasedBackbone, tmp_path: Path) -> None:
    path = write_checkpoint(tmp_path / "released.pth", hollow_state(real))
    with pytest.raises(VisError, match=f"not a {said} checkpoint of the authors: .*Use --as {real}\\.$"):
        import_released(path, said, "ytvis2019")


def test_another_model(tmp_path: Path) -> None:
    path = write_checkpoint(tmp_path / "resnet.pth", OrderedDict({"conv1.weight": torch.zeros(64, 3, 7, 7)}))
    with pytest.raises(
        VisError, match=r"\d+ missing \(backbone\.conv1\.weight, .* more\), 1 left over \(conv1\.weight\)$"
    ):
        import_released(path, "r50", "ytvis2019")


@pytest.mark.parametrize(
    ("real", "said", "words"),
    [
        (1, "ytvis2019", "it has 1 class, but ytvis2019 has 40 classes. Use --dataset davis-uvos."),
        (40, "davis-uvos", "it has 40 classes, but davis-uvos has 1 class. Use --dataset ytvis2019 or ytvis2021."),
        (80, "ytvis2021", "it has 80 classes, but ytvis2021 has 40 classes. The dataset is unknown."),
    ],
)
def test_a_checkpoint_of_another_data_set(real: int, said: str, words: str, tmp_path: Path) -> None:
    path = write_checkpoint(tmp_path / "released.pth", hollow_state("r50", num_classes=real))
    with pytest.raises(VisError, match=words):
        import_released(path, "r50", said)  # type: ignore[arg-type]


def test_missing_surplus_and_misshapen_tensors_are_named(tmp_path: Path) -> None:
    state = hollow_state("r50")
    del state["neck.fpn_convs.2.conv.bias"]
    state["neck.fpn_convs.4.conv.bias"] = torch.zeros(256)
    state["prop_head.atn_key.bias"] = torch.zeros(65)
    with pytest.raises(VisError) as caught:
        import_released(write_checkpoint(tmp_path / "odd.pth", state), "r50", "ytvis2019")
    assert "1 missing (neck.fpn_convs.2.conv.bias), 1 left over (neck.fpn_convs.4.conv.bias)" in str(caught.value)
    assert "1 of another shape (prop_head.atn_key.bias [65] instead of [64])" in str(caught.value)
    assert "--as" not in str(caught.value)


def test_shapes_are_those_of_the_released_models() -> None:
    for backbone in BACKBONES:
        sizes = [
            torch.Size(shape).numel() for key, shape in released_shapes(backbone) if "running" not in key and shape
        ]
        assert sum(sizes) == NUM_PARAMETERS[backbone]


NESTED = torch.nested.nested_tensor([torch.zeros(2), torch.zeros(3)])


@pytest.mark.parametrize(
    ("key", "value", "cause"),
    [
        (b"x", torch.zeros(1), "b'x' is a name of type bytes"),
        (7, torch.zeros(1), "7 is a name of type int"),
        (("a", 1), torch.zeros(1), "is a name of type tuple"),
        (None, torch.zeros(1), "None is a name of type NoneType"),
        ("x", 1, "'x' is not a tensor"),
        ("x", NESTED, "'x' is not a dense tensor"),
        ("x", torch.zeros(2, 2).to_sparse(), "'x' is not a dense tensor"),
        ("x", torch.zeros(2, device="meta"), "'x' has no values"),
        ("bbox_head.fc_cls.bias", torch.tensor(1.0), "bbox_head.fc_cls.bias [] instead of [41]"),
        ("backbone.layer1.0.conv2.weight", torch.tensor(1.0), "backbone.layer1.0.conv2.weight [] instead of"),
        ("prop_head.atn_key.bias", torch.zeros(64, dtype=torch.complex64), "of a type that no weights have"),
        ("prop_head.atn_key.bias", torch.full((64,), float("nan")), "prop_head.atn_key.bias has values that are not"),
        ("prop_head.atn_key.bias", torch.full((64,), float("-inf")), "prop_head.atn_key.bias has values that are not"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_entries_that_are_no_weights_are_named(key: object, value: object, cause: str, tmp_path: Path) -> None:
    state = hollow_state("r50")
    state[key] = value  # type: ignore[index,assignment]
    with pytest.raises(VisError, match=re.escape(cause)):
        import_released(write_checkpoint(tmp_path / "odd.pth", state, old_format=False), "r50", "ytvis2019")


def test_a_path_that_is_not_a_regular_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.pth")
    (tmp_path / "zero.pth").symlink_to("/dev/zero")
    (tmp_path / "huge.pth").touch()
    os.truncate(tmp_path / "huge.pth", 9 * 2**30)
    causes = {"pipe": "is a pipe", "zero": "is a device", "huge": "the limit is 8,589,934,592", "gone": "No such file"}
    for name, cause in causes.items():
        with pytest.raises(VisError, match=cause):
            import_released(tmp_path / f"{name}.pth", "r50", "ytvis2019")


def test_a_packed_file_is_not_unpacked(tmp_path: Path) -> None:
    path = write_checkpoint(tmp_path / "plain.pth", OrderedDict(x=torch.zeros(2**20)), old_format=False)
    with zipfile.ZipFile(path) as plain, zipfile.ZipFile(tmp_path / "bomb.pth", "w", zipfile.ZIP_DEFLATED) as bomb:
        for name in plain.namelist():
            bomb.writestr(name, plain.read(name))
    with pytest.raises(VisError, match="not a checkpoint"):
        import_released(tmp_path / "bomb.pth", "r50", "ytvis2019")

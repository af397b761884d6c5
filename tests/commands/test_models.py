"""`vis models`: the zoo as a table."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from tests.network.factories import make_model
from tests.zoo.detectors.onnx_factory import write_onnx, yolox_outputs
from tests.zoo.torchvision_factory import COCO_FILE, use_empty_cache
from vis_cli.records.coco_categories import coco_categories
from vis_cli.zoo.weights import save_model

from .conftest import RunVis

pytestmark = pytest.mark.usefixtures("narrow_backbone")


@pytest.fixture
def zoo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("vis_cli.zoo.folder.zoo_dir", lambda: tmp_path)
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
    *ours, picodet, coco, coco_v2 = rows
    assert ours == [["lite", size, "cat, dog, object", "Made for a CPU."], ["other", size, "cat, dog, object", ""]]
    assert picodet[:3] == ["picodet-s", "1.0 M", "the 80 categories of COCO"]
    assert picodet[3].startswith("A small detector of boxes")
    assert coco[:3] == ["coco-r50", "44.4 M", "the 80 categories of COCO"]
    assert "torchvision downloads it at the first use" in coco[3]
    assert coco_v2[:3] == ["coco-r50-v2", "46.4 M", "the 80 categories of COCO"]
    assert "Recommended if you have a network" in coco_v2[3]


def test_a_model_with_an_included_detector_has_its_categories(zoo: Path, run_vis: RunVis) -> None:
    model = make_model()
    model.config = dataclasses.replace(model.config, detector="picodet-s")
    save_model(zoo / "lite", model, {})
    listed, described = run_vis("models").out, run_vis("models", "info", "lite").out
    assert "cat, dog, object" not in listed  # both are categories of COCO
    assert listed.count("the 80 categories of COCO") == 4
    assert "picodet-s" in described
    assert "90 toothbrush" in " ".join(described.replace("│", " ").split())


def field_names(table: str) -> list[str]:
    rows = [line.split("│")[1].strip() for line in table.splitlines() if line.startswith("│")]
    return [name for name in rows if name]


def test_each_row_has_a_name_of_its_own(tmp_path: Path, run_vis: RunVis) -> None:
    """The provenance of a model can have any keys, also those of other rows."""
    model = make_model()
    model.config = dataclasses.replace(model.config, detector="picodet-s")
    save_model(tmp_path / "mine", model, {"detector": "runs/a", "name": "b", "origin": "images", "num_steps": "3"})
    names = field_names(run_vis("models", "info", tmp_path / "mine").out)
    assert len(names) == len(set(names))
    assert names[-4:] == ["origin: detector", "origin: name", "origin", "num steps"]


def test_the_card_of_an_included_model_describes_its_origin(run_vis: RunVis) -> None:
    printed = run_vis("models", "info", "lite").out
    names = field_names(printed)
    assert (len(names), names.count("detector"), names[-1]) == (len(set(names)), 1, "origin")
    assert "lite/CARD.md" in "".join(printed.replace("│", " ").split())
    assert "ten stages" not in " ".join(printed.partition("## Results")[0].replace("│", " ").split())


def test_the_included_detector_is_described(run_vis: RunVis) -> None:
    outcome = run_vis("models", "info", "picodet-s")
    assert (outcome.code, outcome.err) == (0, "")
    words = " ".join(outcome.out.replace("│", " ").split())
    for text in ("Apache-2.0", "983,891", "90 toothbrush", "27.0"):  # the last is a result of its card
        assert text in words


@pytest.mark.parametrize("is_there", [False, True])
def test_coco_is_described_without_its_weights(
    is_there: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_vis: RunVis
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("nothing is to be fetched or loaded")

    cache = use_empty_cache(tmp_path, monkeypatch)
    monkeypatch.setattr("torch.hub.urlopen", refuse)
    if is_there:
        (cache / COCO_FILE).write_bytes(b"never read")
    outcome = run_vis("models", "info", "coco-r50")
    assert (outcome.code, outcome.err) == (0, "")
    cells = [[cell.strip() for cell in line.split("│")[1:-1]] for line in outcome.out.splitlines() if "│" in line]
    text = "".join(cell.replace(" ", "") for _, cell in cells)  # cells may be broken anywhere
    categories = ",".join(f"{category.id}{category.name}" for category in coco_categories()).replace(" ", "")
    assert categories in text
    assert {"name", "description", "weights", "parameters", "backbone", "input size"} < {cell for cell, _ in cells}
    assert text.startswith("coco-r50torchvision'sCOCOMaskR-CNNdetectsobjects;litepropagatestheirmasks")
    file = cache / COCO_FILE
    fetched = f"notdownloaded;torchvisiondownloadshttps://download.pytorch.org/models/{COCO_FILE}to{file}"
    assert (f"{file}(downloaded)" if is_there else fetched) in text


@pytest.mark.parametrize("is_there", [False, True])
@pytest.mark.parametrize(
    ("name", "file", "finds"),
    [
        (
            "coco-r50-v2",
            "maskrcnn_resnet50_fpn_v2_coco-73cbd019.pth",
            "torchvision's maskrcnn_resnet50_fpn_v2 detects objects; lite propagates the masks",
        ),
        (
            "torchvision:fcos_resnet50_fpn",
            "fcos_resnet50_fpn_coco-99b0c9b7.pth",
            "torchvision's fcos_resnet50_fpn detects boxes; lite predicts their masks; lite propagates the masks",
        ),
    ],
)
def test_torchvision_detectors_are_described_without_their_weights(
    name: str, file: str, finds: str, is_there: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_vis: RunVis
) -> None:
    cache = use_empty_cache(tmp_path, monkeypatch)
    if is_there:
        (cache / file).write_bytes(b"never read")
    outcome = run_vis("models", "info", name)
    assert (outcome.code, outcome.err) == (0, "")
    cells = [[cell.strip() for cell in line.split("│")[1:-1]] for line in outcome.out.splitlines() if "│" in line]
    values: dict[str, str] = {}
    field = ""
    for first, second in cells:
        field = first or field  # the first column is empty where a value continues
        values[field] = values.get(field, "") + second.replace(" ", "")  # values may be broken anywhere
    place = cache / file
    missing = f"notdownloaded;torchvisiondownloadshttps://download.pytorch.org/models/{file}to{place}"
    assert values["weights"] == (f"{place}(downloaded)" if is_there else missing).replace(" ", "")
    assert values["description"] == finds.replace(" ", "")
    aps = {"box AP": "47.4", "mask AP": "41.8"} if name == "coco-r50-v2" else {"box AP": "39.2"}
    expected = {field: f"{ap}onCOCOval2017,astorchvisionreportsit" for field, ap in aps.items()}
    assert {field: value for field, value in values.items() if field.endswith("AP")} == expected
    assert values["licence"].startswith("BSD-3-Clause")
    assert values["categories"].endswith("90toothbrush")


def test_an_unknown_torchvision_detector(run_vis: RunVis) -> None:
    outcome = run_vis("models", "info", "torchvision:retinanet")
    assert outcome.code == 1
    assert outcome.err.startswith("error: no detector is named torchvision:retinanet. Did you mean torchvision:retinan")
    assert "Use one of: coco-r50-v2, torchvision:retinanet_resnet50_fpn_v2, torchvision:fcos_" in outcome.err


def test_a_damaged_model_is_one_line(zoo: Path, run_vis: RunVis) -> None:
    (zoo / "lite").mkdir()
    (zoo / "lite" / "weights.safetensors").write_bytes(b"\x10" * 50)
    outcome = run_vis("models")
    assert outcome.code == 1
    assert outcome.err.startswith(f"error: cannot read {zoo / 'lite' / 'weights.safetensors'}: it is not a readable")


@pytest.mark.parametrize("arguments", [("models",), ("models", "info", "lite")])
def test_a_card_that_is_not_utf_8_is_one_line(arguments: tuple[str, ...], zoo: Path, run_vis: RunVis) -> None:
    save_model(zoo / "lite", make_model(), {})
    (zoo / "lite" / "CARD.md").write_bytes(b"# lite\n\nF\xfcr eine CPU.\n")
    outcome = run_vis(*arguments)
    assert (outcome.code, outcome.out, len(outcome.err.splitlines())) == (1, "", 1)
    assert "CARD.md: byte 9 is not UTF-8" in outcome.err


def test_an_onnx_file_is_described_by_its_graph(tmp_path: Path, run_vis: RunVis) -> None:
    path = write_onnx(tmp_path / "nano.onnx", {"output": yolox_outputs()}, metadata={"License": "Apache-2.0"})
    outcome = run_vis("models", "info", path)
    assert (outcome.code, outcome.err) == (0, "")
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in outcome.out.splitlines() if "│" in line]
    for row in (["name", "nano"], ["input size", "96x64"], ["channel order", "BGR"], ["license", "Apache-2.0"]):
        assert row in rows
    assert "yolox-raw: YOLOX" in outcome.out


def test_an_onnx_file_that_is_missing_is_one_line(tmp_path: Path, run_vis: RunVis) -> None:
    outcome = run_vis("models", "info", tmp_path / "none.onnx")
    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err == f"error: cannot read {tmp_path / 'none.onnx'}: No such file or directory. Check the path."

"""Invalid ONNX files: each is one line that contains the cause, the file and a remedy."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper

from vis_cli.errors import VisError
from vis_cli.zoo.detectors import onnx_checks, onnx_graph
from vis_cli.zoo.detectors.onnx_detector import describe_onnx, load_onnx_detector

from .onnx_factory import (
    INPUT,
    LETTERBOX,
    SQUEEZED,
    detect,
    floats,
    labelled_outputs,
    logits_outputs,
    write_onnx,
    yolox_outputs,
)

FLOAT = TensorProto.FLOAT


def error_of(path: Path, *, runs: bool = False) -> str:
    """Return the line of an error. The file fails when it is loaded, or only when it runs."""
    if runs:
        load_onnx_detector(path)
    with pytest.raises(VisError) as caught:
        detect(path) if runs else load_onnx_detector(path)
    line = str(caught.value)
    assert "\n" not in line
    assert str(path) in line or str(path.with_suffix(".toml")) in line
    assert caught.value.hint.endswith(".")
    return line


def write_yolox(path: Path, **arguments: Any) -> Path:
    return write_onnx(path, {"output": yolox_outputs()}, **arguments)


@pytest.mark.parametrize("fraction", [0.0, 0.3, 0.9, 0.999])
def test_a_truncated_file(fraction: float, tmp_path: Path) -> None:
    path = write_yolox(tmp_path / "m.onnx")
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * fraction)])
    assert "it is truncated or not an ONNX model. Export or copy the file again." in error_of(path)


@pytest.mark.parametrize("content", [b"hello", b"PK\x03\x04" * 100, b"\x89PNG\r\n\x1a\n", bytes(1000)])
def test_a_file_of_another_format(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(content)
    assert "it is truncated or not an ONNX model" in error_of(path)


@pytest.mark.parametrize("text", [b"images", b"output", b"output_value", b"Identity", b"names", b"secret"])
def test_a_string_that_is_not_utf_8(text: bytes, tmp_path: Path) -> None:
    path = write_yolox(tmp_path / "m.onnx", metadata={"names": "secret"})
    path.write_bytes(path.read_bytes().replace(text, b"\xff" * len(text)))
    assert "it is truncated or not an ONNX model" in error_of(path)


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    assert "No such file or directory" in error_of(tmp_path / "none.onnx")
    (tmp_path / "folder.onnx").mkdir()
    assert "the path is a folder" in error_of(tmp_path / "folder.onnx")


def test_a_huge_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_yolox(tmp_path / "m.onnx")
    monkeypatch.setattr(onnx_graph, "MAX_ONNX_BYTES", path.stat().st_size - 1)
    assert "bytes, the limit is" in error_of(path)


@pytest.mark.parametrize("package", ["onnx", "onnxruntime"])
def test_a_missing_package(package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_yolox(tmp_path / "m.onnx")
    monkeypatch.setitem(sys.modules, package, None)
    for call in (load_onnx_detector, describe_onnx):
        expected = f"the package {package} is not installed. Install it: pip install 'vis-cli[onnx]'."
        with pytest.raises(VisError, match=re.escape(expected)):
            call(path)


@pytest.mark.parametrize(
    "outputs",
    [
        {"probabilities": np.zeros((1, 1000), np.float32)},  # a classifier
        {"mask": np.zeros((1, 21, *INPUT), np.float32)},  # a segmentation
        {"output": np.zeros((1, 84, 8400), np.float32)},  # channels first
        {"output": np.zeros((1, 3549, 85), np.float32)},  # grids of another input size
        {"boxes": np.zeros((1, 9, 4), np.float32), "classes": np.zeros((1, 9, 9, 9), np.float32)},
        {"text": np.array(["a"])},
    ],
)
def test_a_graph_that_is_not_a_known_detector(outputs: Mapping[str, NDArray[Any]], tmp_path: Path) -> None:
    line = error_of(write_onnx(tmp_path / "m.onnx", outputs))
    assert "it is not a known kind of detector (outputs: " in line
    assert "Export it as one of these: yolox-raw, yolox-decoded, rt-detr," in line


def test_a_layout_of_the_toml_file_that_the_outputs_contradict(tmp_path: Path) -> None:
    path = write_onnx(tmp_path / "m.onnx", {"probabilities": np.zeros((1, 1000), np.float32)})
    (tmp_path / "m.toml").write_text('layout = "rt-detr"')
    assert "no output is boxes or labels or scores" in error_of(path)


@pytest.mark.parametrize(
    ("shape", "kind", "cause"),
    [
        ((8, 3, *INPUT), FLOAT, "it detects in 8 images at a time. Export the model with batch size 1"),
        ((1, 1, *INPUT), FLOAT, "does not have 3 channels"),
        ((1, 10), FLOAT, "the input images 1x10 float32 is not an image"),
        ((1, 3, *INPUT), TensorProto.INT8, "images 1x3x64x96 int8 has an unsupported type"),
        ((1, 3, *INPUT), TensorProto.INT64, "has an unsupported type"),
        ((1, 3, *INPUT), TensorProto.STRING, "has an unsupported type"),
    ],
)
def test_an_input_that_is_not_one_colour_image(shape: tuple[int, ...], kind: int, cause: str, tmp_path: Path) -> None:
    assert cause in error_of(write_yolox(tmp_path / "m.onnx", inputs={"images": (shape, kind)}))


def test_several_inputs(tmp_path: Path) -> None:
    image = ((1, 3, *INPUT), FLOAT)
    line = error_of(write_yolox(tmp_path / "m.onnx", inputs={"left": image, "right": image}))
    assert "a detector has one input for an image, but this graph has: left 1x3x64x96 float32, right" in line
    assert "this graph has: none" in error_of(write_yolox(tmp_path / "n.onnx", inputs={}))


def test_another_input_size_than_the_graph_supports(tmp_path: Path) -> None:
    path = write_yolox(tmp_path / "m.onnx")
    (tmp_path / "m.toml").write_text("input_size = [96, 64]")
    assert "m.toml: input_size is [96, 64], but the graph has the input images 1x3x64x96 float32" in error_of(path)


@pytest.mark.parametrize("resize", ["fit", "none"])
def test_a_fixed_input_needs_a_fixed_resize(resize: str, tmp_path: Path) -> None:
    path = write_yolox(tmp_path / "m.onnx")
    (tmp_path / "m.toml").write_text(f'resize = "{resize}"')
    assert f"m.toml: resize is {resize}, but the input images 1x3x64x96 float32 has a fixed size" in error_of(path)


def test_dynamic_axes_that_fail_in_the_graph(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The graph reshapes its input to 64x96 pixels, although the axes are declared as dynamic."""
    nodes = [
        helper.make_node("Constant", [], ["size"], value_ints=[1, 3, *INPUT]),
        helper.make_node("Reshape", ["images", "size"], ["reshaped"]),
        helper.make_node("ReduceMean", ["reshaped"], ["mean"], keepdims=0),
        helper.make_node("Add", ["output_value", "mean"], ["output"]),
    ]
    inputs = {"images": ((1, 3, "h", "w"), FLOAT)}
    outputs, shapes = {"output": floats([[*LETTERBOX, 0.5, 0]])}, {"output": (1, "n", 6)}
    path = write_onnx(tmp_path / "m.onnx", outputs, inputs=inputs, shapes=shapes, nodes=nodes)
    line = error_of(path, runs=True)
    assert "cannot run" in line
    assert "with images 1x3x640x640: " in line
    assert "Set another input_size in the TOML file" in line
    assert capfd.readouterr() == ("", "")  # onnxruntime prints nothing itself


def test_an_opset_of_the_future(tmp_path: Path) -> None:
    line = error_of(write_yolox(tmp_path / "m.onnx", opset=999))
    assert "does not support its version (opset 999, IR version 10)" in line
    assert "Export it with a lower opset, or upgrade onnxruntime." in line


def test_custom_operators(tmp_path: Path) -> None:
    node = helper.make_node("NMS", ["output_value"], ["output"], domain="TRT")
    assert "it needs the custom operator TRT.NMS" in error_of(write_yolox(tmp_path / "m.onnx", nodes=[node]))


def test_custom_operators_in_a_branch(tmp_path: Path) -> None:
    value = helper.make_tensor_value_info("inner", FLOAT, None)
    branch = helper.make_graph([helper.make_node("Nms", ["output_value"], ["inner"], domain="mine")], "b", [], [value])
    nodes = [
        helper.make_node("Constant", [], ["truth"], value=helper.make_tensor("t", TensorProto.BOOL, [], [True])),
        helper.make_node("If", ["truth"], ["output"], then_branch=branch, else_branch=branch),
    ]
    listed = [helper.make_node("Identity", ["output_value"], ["output"], bodies=[branch])]
    for own in (nodes, listed):
        assert "it needs the custom operator mine.Nms" in error_of(write_yolox(tmp_path / "m.onnx", nodes=own))


def test_an_operator_that_does_not_exist(tmp_path: Path) -> None:
    path = write_yolox(tmp_path / "m.onnx", nodes=[helper.make_node("Magic", ["output_value"], ["output"])])
    assert re.search(r"onnxruntime [\d.]+ rejects the graph \(.*Magic.*\)", error_of(path))


def write_external(folder: Path, location: str) -> Path:
    folder.mkdir(exist_ok=True)
    return write_yolox(folder / "m.onnx", external=location)


def test_external_data_in_the_folder_is_read(tmp_path: Path) -> None:
    path = write_external(tmp_path / "model", "m.data")
    data = tmp_path / "model" / "m.data"
    assert "its external data 'm.data' does not exist" in error_of(path)
    data.write_bytes(yolox_outputs().tobytes())
    assert detect(path).scores.max() == pytest.approx(0.72)
    first = load_onnx_detector(path).info.sha256
    data.write_bytes(yolox_outputs(label=3).tobytes())
    assert load_onnx_detector(path).info.sha256 != first
    assert dict(describe_onnx(path))["external data"] == "m.data"


@pytest.mark.parametrize("location", ["../m.data", "a/../../m.data", "{root}/m.data", "..\\m.data", "C:m.data", ""])
def test_external_data_outside_of_the_folder(location: str, tmp_path: Path) -> None:
    (tmp_path / "m.data").write_bytes(yolox_outputs().tobytes())
    path = write_external(tmp_path / "model", location.format(root=tmp_path))
    assert "is not in its folder. Export the model again, into one folder." in error_of(path)


def test_external_data_through_a_link_out_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "m.data").write_bytes(yolox_outputs().tobytes())
    path = write_external(tmp_path / "model", "m.data")
    (tmp_path / "model" / "m.data").symlink_to("../m.data")
    assert "'m.data' is a link out of its folder. Copy the data next to the model." in error_of(path)


def test_external_data_in_a_node(tmp_path: Path) -> None:
    tensor = onnx.numpy_helper.from_array(yolox_outputs())
    onnx.external_data_helper.set_external_data(tensor, "../m.data")
    tensor.ClearField("raw_data")
    nodes = [
        helper.make_node("Constant", [], ["outer"], value=tensor),
        helper.make_node("Add", ["output_value", "outer"], ["output"]),
    ]
    assert "is not in its folder" in error_of(write_yolox(tmp_path / "m.onnx", nodes=nodes))


def test_external_data_that_is_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_external(tmp_path / "model", "m.data")
    (tmp_path / "model" / "m.data").write_bytes(yolox_outputs().tobytes())
    monkeypatch.setattr(onnx_checks, "MAX_WEIGHTS_BYTES", 1000)
    assert "its external data has 42,840 bytes, the limit is 1,000" in error_of(path)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("column", [0, 4, 20])
def test_values_that_are_not_finite(value: float, column: int, tmp_path: Path) -> None:
    outputs = yolox_outputs()
    outputs[0, 5, column] = value
    line = error_of(write_onnx(tmp_path / "m.onnx", {"output": outputs}), runs=True)
    assert "m.onnx: frame 3: the output rows contains values that are not finite" in line


def test_a_size_that_overflows(tmp_path: Path) -> None:
    outputs = yolox_outputs()
    outputs[0, 5, 2] = 100.0
    assert "boxes are not finite" in error_of(write_onnx(tmp_path / "m.onnx", {"output": outputs}), runs=True)


def test_labels_outside_of_the_categories(tmp_path: Path) -> None:
    path = write_onnx(tmp_path / "m.onnx", labelled_outputs(label=80))
    assert "a detection has the class 80, but the classes are 0 to 79" in error_of(path, runs=True)
    rows = write_onnx(tmp_path / "r.onnx", {"output": floats([*SQUEEZED, 0.5, -2])})
    assert "a detection has the class -2" in error_of(rows, runs=True)


def test_scores_outside_of_0_to_1(tmp_path: Path) -> None:
    path = write_onnx(tmp_path / "m.onnx", {"output": floats([*SQUEEZED, 16, 0.5])})
    assert "the scores are from 16 to 16, not from 0 to 1" in error_of(path, runs=True)


def test_normalized_boxes_in_a_layout_with_pixels(tmp_path: Path) -> None:
    path = write_onnx(tmp_path / "m.onnx", labelled_outputs(box=(0.25, 0.25, 0.75, 0.75)))
    assert 'Write box_units = "normalized" into the TOML file.' in error_of(path, runs=True)


@pytest.mark.parametrize(
    ("name", "values", "shape", "expected"),
    [
        ("boxes", np.zeros((1, 2, 5), np.float32), (1, 2, "n"), "boxes has the shape (1, 2, 5), expected (N, 4)"),
        ("scores", np.zeros((1, 3), np.float32), (1, "n"), "scores has the shape (1, 3), expected (2)"),
        ("labels", np.zeros((2, 2), np.int64), ("n", 2), "labels has the shape (2, 2), expected (2)"),
    ],
)
def test_outputs_with_wrong_shapes(
    name: str, values: NDArray[Any], shape: tuple[Any, ...], expected: str, tmp_path: Path
) -> None:
    outputs = labelled_outputs() | {name: values}
    path = write_onnx(tmp_path / "m.onnx", outputs, shapes={name: shape})
    assert f"frame 3: the output {expected}" in error_of(path, runs=True)


def test_masks_of_another_size(tmp_path: Path) -> None:
    outputs = labelled_outputs(batch=False) | {"masks": np.zeros((2, 1, 28, 28), np.float32)}
    path = write_onnx(tmp_path / "m.onnx", outputs)
    assert "the output masks has the shape (2, 1, 28, 28), expected (2, 1, 64, 96)" in error_of(path, runs=True)


def test_yolox_with_the_cells_of_another_size(tmp_path: Path) -> None:
    inputs = {"images": ((1, 3, "h", "w"), FLOAT)}
    path = write_yolox(tmp_path / "m.onnx", inputs=inputs, shapes={"output": (1, "n", 85)})
    expected = "the output has 126 rows, but the grids of an input of 640x640 have 8400 cells"
    assert expected in error_of(path, runs=True)


@pytest.mark.parametrize("columns", [2, 79, 81, 100])
def test_a_number_of_classes_without_names(columns: int, tmp_path: Path) -> None:
    line = error_of(write_onnx(tmp_path / "m.onnx", logits_outputs(columns, 1)))
    assert f"the graph has {columns} classes, and its metadata has no names" in line
    assert f'into {tmp_path / "m.toml"}: categories = ["cat", "dog"].' in line

"""Tiny ONNX files for tests: graphs with constant outputs in each known layout, so that every expected box is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from vis_cli.zoo.detectors.onnx_detector import load_onnx_detector
from vis_cli.zoo.detectors.protocol import FoundBoxes, KeyFrame

OPSET, IR_VERSION = 17, 10  # the lowest supported onnxruntime reads both
INPUT = (64, 96)  # height and width
FRAME = (100, 200)  # in a letterbox of INPUT it has exactly 48x96 pixels
BOX = (50.0, 25.0, 150.0, 75.0)  # a box of FRAME
LETTERBOX = (24.0, 12.0, 72.0, 36.0)  # the same box in a letterbox of INPUT
CENTRED = (24.0, 20.0, 72.0, 44.0)  # the same box if the image is in the middle of the letterbox
SQUEEZED = (24.0, 16.0, 72.0, 48.0)  # the same box if the frame is squeezed to INPUT
CELLS = 8 * 12 + 4 * 6 + 2 * 3  # of YOLOX's grids in INPUT

Shape = Sequence[int | str]


def write_onnx(
    path: Path,
    outputs: Mapping[str, NDArray[Any]],
    *,
    inputs: Mapping[str, tuple[Shape, int]] | None = None,
    shapes: Mapping[str, Shape] | None = None,
    metadata: Mapping[str, str] | None = None,
    opset: int = OPSET,
    nodes: Sequence[onnx.NodeProto] = (),
    external: str | None = None,
    weights: Mapping[str, NDArray[Any]] | None = None,
) -> Path:
    """Write a graph with constant outputs.

    Args:
        path: The file.
        outputs: The constants by name.
        inputs: Shape and type of each input. Default: `images`, float32, 1x3x64x96.
        shapes: Declared shapes of outputs; a string is a dynamic axis. Default: the shape of the constant.
        metadata: Metadata of the file.
        opset: Version of the standard operators.
        nodes: Nodes in addition to the constants.
        external: Location of the external data of all constants.
        weights: Further constants.
    """
    tensors = {name: numpy_helper.from_array(np.asarray(values), f"{name}_value") for name, values in outputs.items()}
    if external is not None:
        for tensor in tensors.values():
            onnx.external_data_helper.set_external_data(tensor, external)
            tensor.ClearField("raw_data")
    made = {name for node in nodes for name in node.output}
    copies = [helper.make_node("Identity", [t.name], [name]) for name, t in tensors.items() if name not in made]
    ports = inputs if inputs is not None else {"images": ((1, 3, *INPUT), TensorProto.FLOAT)}
    graph = helper.make_graph(
        [*nodes, *copies],
        "detector",
        [helper.make_tensor_value_info(name, kind, shape) for name, (shape, kind) in ports.items()],
        [
            helper.make_tensor_value_info(name, tensor.data_type, (shapes or {}).get(name, tuple(tensor.dims)))
            for name, tensor in tensors.items()
        ],
        [*tensors.values(), *(numpy_helper.from_array(values, name) for name, values in (weights or {}).items())],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=IR_VERSION)
    helper.set_model_props(model, dict(metadata or {}))
    path.write_bytes(model.SerializeToString())
    return path


def detect(path: Path, *, frame: tuple[int, int] = FRAME, mask_size: tuple[int, int] = (10, 20)) -> FoundBoxes:
    """Load a file and detect in a grey frame."""
    pixels = np.full((*frame, 3), 90, np.uint8)
    return load_onnx_detector(path, device="cpu").detect(KeyFrame(3, pixels), mask_size=mask_size)


def floats(*values: Any) -> NDArray[np.float32]:
    """Return a float32 array."""
    return np.array(values, np.float32)


def yolox_outputs(
    box: Sequence[float] = LETTERBOX, *, label: int = 16, num_classes: int = 80, decoded: bool = False
) -> NDArray[np.float32]:
    """Return YOLOX's output with one detection of score 0.72, in cell (x 1, y 2) of the grid with stride 16."""
    rows = np.zeros((1, CELLS, 5 + num_classes), np.float32)
    centre, size = (np.add(box[:2], box[2:])) / 2, np.subtract(box[2:], box[:2])
    row = 8 * 12 + 2 * 6 + 1
    if decoded:
        rows[0, row, :4] = [*centre, *size]
    else:
        rows[0, row, :4] = [*(centre / 16 - [1, 2]), *np.log(size / 16)]
    rows[0, row, 4], rows[0, row, 5 + label] = 0.9, 0.8
    return rows


def decoded_nodes() -> list[onnx.NodeProto]:
    """Return nodes that end in an Exp before the output, as in the export of decoded YOLOX."""
    return [
        helper.make_node("Exp", ["output_value"], ["powers"]),
        helper.make_node("Log", ["powers"], ["output"]),
    ]


def logits_outputs(
    columns: int, column: int, *, value: float = 4.0, names: tuple[str, str] = ("logits", "pred_boxes")
) -> dict[str, NDArray[np.float32]]:
    """Return class logits and normalized boxes of three queries. The second query has the box of SQUEEZED."""
    logits = np.full((1, 3, columns), -6.0, np.float32)
    logits[0, 1, column] = value
    boxes = floats([[0.1, 0.1, 0.1, 0.1], [0.5, 0.5, 0.5, 0.5], [0.9, 0.9, 0.1, 0.1]])
    return {names[0]: logits, names[1]: boxes}


def labelled_outputs(*, label: int = 0, box: Sequence[float] = SQUEEZED, batch: bool = True) -> dict[str, NDArray[Any]]:
    """Return labels, boxes and scores of two detections. The second has score 0, which is padding."""
    outputs = {
        "labels": np.array([label, 0]),
        "boxes": floats(box, (0, 0, 0, 0)),
        "scores": floats(0.75, 0.0),
    }
    return {name: values[None] if batch else values for name, values in outputs.items()}

"""ONNX files: content, inputs, outputs and metadata.

Used by `onnx_plan`.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

from vis_cli.errors import VisError
from vis_cli.files.limits import MAX_CATEGORIES, MAX_ONNX_BYTES
from vis_cli.files.names import printable
from vis_cli.files.reading import read_bytes
from vis_cli.zoo.detectors.onnx_checks import external_files, is_external, iter_texts, require_known_operators

WEIGHTED = frozenset({"Conv", "ConvInteger", "FusedConv", "Gemm", "MatMul", "MatMulInteger", "QLinearConv"})
LABEL_STEPS = frozenset(
    {"Cast", "Div", "Floor", "Gather", "Identity", "Mod", "Mul", "Reshape", "Squeeze", "Sub", "Where"}
)
INTEGERS = frozenset({"int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"})
NO_TELEMETRY = "ORT_DISABLE_TELEMETRY"
MAX_STEPS = 200  # nodes of one walk back from an output


@dataclass(frozen=True, slots=True)
class Port:
    """An input or output of a graph."""

    name: str
    dtype: str  # as numpy writes it, such as float32
    shape: tuple[int | None, ...] | None  # None is a dynamic axis; None for all is an unknown shape

    def __str__(self) -> str:
        """Return name, shape and type in one string."""
        axes = "unknown shape" if self.shape is None else "x".join("?" if n is None else str(n) for n in self.shape)
        return f"{printable(self.name)} {axes or 'scalar'} {self.dtype}"


@dataclass(frozen=True)
class OnnxGraph:
    """A checked ONNX file."""

    path: Path
    content: bytes
    model: Any  # onnx.ModelProto, without external data
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    external: tuple[Path, ...]  # files with external data, inside of the folder

    @property
    def metadata(self) -> dict[str, str]:
        """Return the metadata that the exporter stored."""
        return {entry.key: entry.value for entry in self.model.metadata_props}

    @property
    def opset(self) -> int:
        """Return the version of the standard operators."""
        return max((entry.version for entry in self.model.opset_import if entry.domain in ("", "ai.onnx")), default=0)

    @cached_property
    def _producers(self) -> dict[str, Any]:
        return {name: node for node in self.model.graph.node for name in node.output}

    @cached_property
    def _constants(self) -> dict[str, Any]:
        found = {tensor.name: tensor for tensor in self.model.graph.initializer}
        for node in self.model.graph.node:
            if node.op_type == "Constant" and node.attribute and node.attribute[0].HasField("t"):
                found[node.output[0]] = node.attribute[0].t
        return found

    def has_before(self, output: str, op_type: str) -> bool:
        """Return whether an operator is between the last layers with weights and an output."""
        return any(node.op_type == op_type for node in self._walk_back(output, stop=WEIGHTED))

    def label_divisor(self, output: str) -> int | None:
        """Return the number of classes by which a graph divides a flat index to get its labels, if it does so."""
        for node in self._walk_back(output, only=LABEL_STEPS):
            if node.op_type in ("Mod", "Div"):
                for name in node.input:
                    value = self._scalar(name)
                    if value is not None and 1 < value <= MAX_CATEGORIES:
                        return value
        return None

    def num_box_classes(self) -> int | None:
        """Return the rows of the class layer of torchvision's box head, background included, if it has its name."""
        rows = [t.dims[0] for t in self.model.graph.initializer if t.name.endswith("box_predictor.cls_score.bias")]
        return int(rows[0]) if len(rows) == 1 else None

    def _scalar(self, name: str) -> int | None:
        tensor = self._constants.get(name)
        if tensor is None or is_external(tensor) or len(tensor.dims) > 1 or list(tensor.dims) not in ([], [1]):
            return None
        value = load_package("onnx").numpy_helper.to_array(tensor).reshape(-1)[0]
        return int(value) if value == int(value) else None

    def _walk_back(
        self, output: str, *, stop: frozenset[str] = frozenset(), only: frozenset[str] | None = None
    ) -> Iterator[Any]:
        waiting, seen = [output], {output}
        for _ in range(MAX_STEPS):
            if not waiting:
                return
            node = self._producers.get(waiting.pop(0))
            if node is None or node.op_type in stop or (only is not None and node.op_type not in only):
                continue
            yield node
            waiting += [name for name in node.input if name not in seen]
            seen.update(node.input)


def load_package(name: str) -> ModuleType:
    """Import onnx or onnxruntime when an ONNX file is used, without the telemetry of onnxruntime.

    Raises:
        VisError: The package is not installed.
    """
    # From 1.29, onnxruntime sends data about models and devices unless this variable is set before its import.
    os.environ.setdefault(NO_TELEMETRY, "1")
    try:
        return importlib.import_module(name)
    except ImportError as error:
        problem = f"cannot read ONNX files: the package {name} is not installed"
        raise VisError(problem, hint="Install it: pip install 'vis-cli[onnx]'.") from error


def read_graph(path: Path) -> OnnxGraph:
    """Read and check an ONNX file. No operator runs, and no external data is loaded.

    Raises:
        VisError: The file is too large, damaged or not an ONNX file, needs operators that onnxruntime does not
            contain, or names external data outside of its folder.
    """
    onnx = load_package("onnx")
    content = read_bytes(path, limit=MAX_ONNX_BYTES)
    model = onnx.ModelProto()
    try:
        model.ParseFromString(content)
    except importlib.import_module("google.protobuf.message").DecodeError as error:
        raise _not_onnx(path) from error
    if not (model.ir_version > 0 and model.opset_import and model.graph.node and model.graph.output):
        raise _not_onnx(path)
    if any(isinstance(text, bytes) for text in iter_texts(model)):  # protobuf returns bytes for damaged UTF-8
        raise _not_onnx(path)
    require_known_operators(model, path)
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = tuple(_port(onnx, value) for value in model.graph.input if value.name not in weights)
    outputs = tuple(_port(onnx, value) for value in model.graph.output)
    return OnnxGraph(path, content, model, inputs, outputs, external_files(model, path))


def _not_onnx(path: Path) -> VisError:
    problem = f"cannot read {path}: it is truncated or not an ONNX model"
    return VisError(problem, hint="Export or copy the file again.")


def _port(onnx: ModuleType, value: Any) -> Port:
    tensor = value.type.tensor_type
    try:
        dtype = str(onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type))
    except KeyError:
        dtype = "unknown type"  # a sequence, for example
    if not tensor.HasField("shape"):
        return Port(value.name, dtype, None)
    return Port(value.name, dtype, tuple(axis.dim_value if axis.dim_value > 0 else None for axis in tensor.shape.dim))

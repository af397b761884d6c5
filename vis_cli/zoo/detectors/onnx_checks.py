"""Checks of an ONNX graph before a library runs it: operators, strings, and the places of external data.

Used by `onnx_graph`. Only onnxruntime reads the external data.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vis_cli.errors import VisError
from vis_cli.files.limits import MAX_WEIGHTS_BYTES
from vis_cli.files.names import printable
from vis_cli.files.reading import real_path

DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml", "com.microsoft"})  # of the operators in onnxruntime itself


def require_known_operators(model: Any, path: Path) -> None:
    """Reject a graph with operators that neither onnxruntime nor the file contains.

    Raises:
        VisError: An operator is unknown.
    """
    own = {(function.domain, function.name) for function in model.functions}
    for node in _nodes(model):
        if node.domain not in DOMAINS and (node.domain, node.op_type) not in own:
            operator = printable(f"{node.domain}.{node.op_type}")
            problem = f"cannot read {path}: it needs the custom operator {operator}, and vis loads no custom operators"
            raise VisError(problem, hint="Export the model with standard operators.")


def external_files(model: Any, path: Path) -> tuple[Path, ...]:
    """Return the files with external data of a graph, after checks of their places.

    Raises:
        VisError: A file is missing, too large or outside of the folder.
    """
    names = {_location(tensor) for tensor in _tensors(model) if is_external(tensor)}
    files = tuple(_require_inside(name, path) for name in sorted(names))
    size = sum(file.stat().st_size for file in files)
    if size > MAX_WEIGHTS_BYTES:
        problem = f"cannot read {path}: its external data has {size:,} bytes, the limit is {MAX_WEIGHTS_BYTES:,}"
        raise VisError(problem, hint="Use a smaller model.")
    return files


def _require_inside(name: str, path: Path) -> Path:
    folder = real_path(path.parent)
    problem = f"cannot read {path}: its external data {printable(name)!r}"
    if not name or "\\" in name or "\0" in name or ".." in name.split("/") or name.startswith("/") or ":" in name:
        raise VisError(f"{problem} is not in its folder", hint="Export the model again, into one folder.")
    file = real_path(folder / name)
    if not file.is_relative_to(folder):
        raise VisError(f"{problem} is a link out of its folder", hint="Copy the data next to the model.")
    if not file.is_file():
        raise VisError(f"{problem} does not exist", hint=f"Copy it to {folder}.")
    return file


def is_external(tensor: Any) -> bool:
    """Return whether the values of a tensor are in another file."""
    return bool(tensor.external_data) or tensor.data_location == tensor.EXTERNAL


def _location(tensor: Any) -> str:
    return next((str(entry.value) for entry in tensor.external_data if entry.key == "location"), "")


def _graphs(model: Any) -> Iterator[Any]:
    """Yield the graph, the functions and all graphs inside of their nodes."""
    waiting = [model.graph, *model.functions]
    waiting += [part for info in model.training_info for part in (info.initialization, info.algorithm)]
    while waiting:
        graph = waiting.pop()
        yield graph
        for attribute in (attribute for node in graph.node for attribute in node.attribute):
            waiting += [*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs]


def iter_texts(model: Any) -> Iterator[str | bytes]:
    """Yield all strings that the checks and messages use."""
    yield from (model.producer_name, model.producer_version)
    for entry in model.metadata_props:
        yield from (entry.key, entry.value)
    for opset in model.opset_import:
        yield opset.domain
    for value in [*model.graph.input, *model.graph.output]:
        yield value.name
    for function in model.functions:
        yield from (function.domain, function.name)
    for node in _nodes(model):
        yield from (node.domain, node.op_type, *node.input, *node.output)
    for tensor in _tensors(model):
        yield tensor.name
        for entry in tensor.external_data:
            yield from (entry.key, entry.value)


def _nodes(model: Any) -> Iterator[Any]:
    for graph in _graphs(model):
        yield from graph.node


def _tensors(model: Any) -> Iterator[Any]:
    for graph in _graphs(model):
        yield from getattr(graph, "initializer", ())
        for sparse in getattr(graph, "sparse_initializer", ()):
            yield from (sparse.values, sparse.indices)
        attributes = [attribute for node in graph.node for attribute in node.attribute]
        attributes += getattr(graph, "attribute_proto", ())
        for attribute in attributes:
            yield from ([attribute.t] if attribute.HasField("t") else [])
            yield from attribute.tensors
            sparse_tensors = [*([attribute.sparse_tensor] if attribute.HasField("sparse_tensor") else [])]
            for sparse in [*sparse_tensors, *attribute.sparse_tensors]:
                yield from (sparse.values, sparse.indices)

"""A session of onnxruntime: provider, threads, and errors of the runtime as one line.

Used by `onnx_detector`. No custom operators are ever registered.
"""

from __future__ import annotations

import os
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vis_cli.errors import VisError
from vis_cli.files.names import printable
from vis_cli.zoo.detectors.onnx_graph import OnnxGraph, load_package

CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
FATAL = 4  # severity of log messages; vis prints the errors itself
ERROR_NAMES = (
    *("EPFail", "EngineError", "Fail", "InvalidArgument", "InvalidGraph", "InvalidProtobuf", "ModelLoaded"),
    *("NoModel", "NoSuchFile", "NotFound", "NotImplemented", "RuntimeException"),
)


_SOURCE = re.compile(r"^\S+\.cc:\d+ (?:.*?\)|\w+) (?=[A-Za-z])")  # file, line and function at the start of a message


class OnnxSession:
    """A loaded graph."""

    def __init__(self, graph: OnnxGraph, device: str) -> None:
        """Load a graph.

        Raises:
            VisError: onnxruntime is not installed or cannot load the graph.
        """
        runtime = load_package("onnxruntime")
        self._path = graph.path
        self._errors = runtime_errors(runtime)
        runtime.set_default_logger_severity(FATAL)
        try:
            self._session = _open_session(runtime, graph, providers(runtime, device), self._errors)
        except self._errors as error:
            raise _cannot_load(graph, runtime.__version__, error) from error
        self.provider: str = self._session.get_providers()[0]

    def run(self, feeds: dict[str, NDArray[np.generic]], names: list[str]) -> list[NDArray[np.generic]]:
        """Return outputs by name.

        Raises:
            VisError: The graph does not accept these inputs, or a node fails.
        """
        try:
            return [np.asarray(values) for values in self._session.run(names, feeds)]
        except self._errors as error:
            sizes = ", ".join(f"{name} {'x'.join(map(str, values.shape))}" for name, values in feeds.items())
            problem = f"cannot run {self._path} with {sizes}: {_cause(error)}"
            raise VisError(problem, hint="Set another input_size in the TOML file, or export it again.") from error


def providers(runtime: Any, device: str) -> list[Any]:
    """Return the execution providers for a device, the CPU last. A missing GPU provider selects the CPU.

    Args:
        runtime: The module onnxruntime.
        device: `auto`, `cpu`, `cuda`, `cuda:<number>` or `mps`.
    """
    wants_cuda = device == "auto" or device.startswith("cuda")
    if not wants_cuda or CUDA not in runtime.get_available_providers():
        return [CPU]
    return [(CUDA, {"device_id": device.partition(":")[2] or "0"}), CPU]


def num_threads() -> int:
    """Return the number of threads of one operator: OMP_NUM_THREADS as for torch, otherwise the usable processors."""
    wanted = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    if wanted.isdecimal() and int(wanted) > 0:
        return int(wanted)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def runtime_errors(runtime: Any) -> tuple[type[Exception], ...]:
    """Return the exceptions of onnxruntime, which have no specific base class."""
    state = runtime.capi.onnxruntime_pybind11_state
    own = tuple(getattr(state, name) for name in ERROR_NAMES if hasattr(state, name))
    return (*own, ValueError, RuntimeError, MemoryError)


def _open_session(runtime: Any, graph: OnnxGraph, selected: list[Any], errors: tuple[type[Exception], ...]) -> Any:
    """Open a session with the first provider that works. The fallback of onnxruntime prints to stdout instead."""
    source = str(graph.path) if graph.external else graph.content
    try:
        if selected != [CPU] and hasattr(runtime, "preload_dlls"):
            runtime.preload_dlls()  # CUDA and cuDNN of the installed torch
        session = runtime.InferenceSession(
            source, sess_options=_options(runtime), providers=selected, enable_fallback=0
        )
    except errors:
        if selected == [CPU]:
            raise
        return _open_session(runtime, graph, [CPU], errors)
    session.disable_fallback()
    return session


def _options(runtime: Any) -> Any:
    options = runtime.SessionOptions()
    options.intra_op_num_threads = num_threads()
    options.inter_op_num_threads = 1
    # Waiting threads that spin would compete with the threads of torch between two key frames.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def _cannot_load(graph: OnnxGraph, version: str, error: Exception) -> VisError:
    text = str(error)
    if "opset" in text or "IR version" in text:
        problem = f"cannot use {graph.path}: onnxruntime {version} does not support its version (opset {graph.opset}, "
        hint = "Export it with a lower opset, or upgrade onnxruntime."
        return VisError(f"{problem}IR version {graph.model.ir_version})", hint=hint)
    problem = f"cannot use {graph.path}: onnxruntime {version} rejects the graph ({_cause(error)})"
    return VisError(problem, hint="Export the model again.")


def _cause(error: Exception) -> str:
    """Return the last part of a message of onnxruntime, without the place in its source code."""
    text = " ".join(str(error).split()).rpartition(" : ")[2]
    text = _SOURCE.sub("", text)
    return printable(text or type(error).__name__).rstrip(".")

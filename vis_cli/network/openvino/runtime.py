"""The library OpenVINO: its import, its threads, and tensors that share their memory with torch."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import sys
import warnings
from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from vis_cli.errors import VisError

TELEMETRY = "openvino_telemetry"
MAX_SIZES = 3  # input sizes of which a part keeps its compiled model


def load_package(name: str) -> ModuleType:
    """Import openvino or nncf. Neither of them sends data about its use.

    Both send an event to their authors when they are imported, unless they cannot import a third package.

    Raises:
        VisError: The package is not installed, or its import fails.
    """
    sys.modules.setdefault(TELEMETRY, None)  # type: ignore[arg-type]  # None: the import raises an ImportError
    try:
        return importlib.import_module(name)
    except ImportError as error:
        if importlib.util.find_spec(name) is None:
            raise _not_installed(name) from error
        problem = f"cannot run the network with OpenVINO: the import of {name} fails: {error}"
        raise VisError(problem, hint="Install it again, or use --set backend=torch.") from error


def version_of(name: str) -> str:
    """Return the version of an installed package. The package is not imported.

    Raises:
        VisError: It is not installed.
    """
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError as error:
        raise _not_installed(name) from error


def convert(module: nn.Module, inputs: tuple[Tensor, ...]) -> Any:
    """Return an OpenVINO model of a module without branches that depend on values or sizes.

    Args:
        module: in evaluation mode; it returns a tensor or a tuple of tensors.
        inputs: an example, each (1, C, h, w). The model accepts other sizes.
    """
    openvino = load_package("openvino")
    shapes = [openvino.PartialShape([1, tensor.shape[1], -1, -1]) for tensor in inputs]
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns about sizes that become constants, and recommends its compiler
        traced = torch.jit.freeze(_trace(module, inputs))
        return openvino.convert_model(traced, example_input=inputs, input=shapes)


def name_outputs(model: Any, names: Mapping[int, str], *, removed: Collection[str] = ()) -> Any:
    """Name the layers that compute some outputs of an OpenVINO model, and return the model.

    Args:
        model: Result of `convert`. It is changed.
        names: Names by the index of the output.
        removed: Names of layers that are no longer outputs.
    """
    for result, name in [(model.results[index], name) for index, name in names.items()]:
        result.input_value(0).get_node().set_friendly_name(name)
        if name in removed:
            model.remove_result(result)
    return model


def split(model: Any, outputs: Sequence[int], inputs: Collection[str]) -> tuple[Any, Any]:
    """Divide an OpenVINO model into two models, so that some outputs are computed only where they are needed.

    Args:
        model: Result of `name_outputs`. It does not change, and all three share their weights.
        outputs: Indices of the outputs of the second model. The first model has the others.
        inputs: Names of the layers that the second model reads. The first model also returns those that are not outputs
            yet, as its last outputs.
    """
    openvino = load_package("openvino")
    first, second = model.clone(), model.clone()
    for result in [first.results[index] for index in outputs]:
        first.remove_result(result)
    known = {result.input_value(0).get_node().get_friendly_name() for result in first.results}
    layers = _layers_by_name(first)
    first.add_results([openvino.op.Result(layers[name].output(0)) for name in inputs if name not in known])
    results, layers, parameters = [second.results[index] for index in outputs], _layers_by_name(second), []
    for source in [layers[name].output(0) for name in inputs]:
        parameters.append(openvino.op.Parameter(source.element_type, source.partial_shape))
        for target in source.get_target_inputs():
            target.replace_source_output(parameters[-1].output(0))
    return first, openvino.Model(results, parameters)


def _layers_by_name(model: Any) -> dict[str, Any]:
    return {layer.get_friendly_name(): layer for layer in model.get_ops()}


def _trace(module: nn.Module, inputs: tuple[Tensor, ...]) -> torch.jit.ScriptModule:
    traced: torch.jit.ScriptModule = torch.jit.trace(module.eval(), inputs, check_trace=False)  # type: ignore[no-untyped-call]
    return traced


class Part:
    """A part of the network. It is compiled at its first use with another input size."""

    def __init__(self, model: Any, *, precision: torch.dtype, inputs: Sequence[torch.dtype]) -> None:
        """Take a converted model.

        Args:
            model: Result of `convert`.
            precision: Number format of its layers and of its outputs, except for outputs (1, h, w), which are float32.
            inputs: Number format of each input.
        """
        self._model = model
        self._precision = precision
        self._inputs = tuple(inputs)
        self._compiled: OrderedDict[tuple[torch.Size, ...], _Compiled] = OrderedDict()

    def __call__(self, *inputs: Tensor) -> list[Tensor]:
        """Return the outputs for inputs (N or 1, C, h, w), each (N, C, h, w) or (N, h, w).

        Rows run one after the other. Their shapes stay the same, because OpenVINO 2026.4 computes wrong sums for models
        with an open number of rows. On a CPU, rows that run together are not faster.
        """
        rows = [x.to(dtype).permute(0, 2, 3, 1).contiguous() for x, dtype in zip(inputs, self._inputs, strict=True)]
        compiled = self._for(tuple(x.shape[1:] for x in rows))
        num = next((len(x) for x in rows if len(x) != 1), 1)
        outputs = compiled.new_outputs(num)
        for row in range(num):
            compiled.run([x[row % len(x)] for x in rows], [out[row] for out in outputs])
        return [out.permute(0, 3, 1, 2) if out.ndim == 4 else out for out in outputs]

    def _for(self, shapes: tuple[torch.Size, ...]) -> _Compiled:
        """Return the model for inputs (h, w, C). The models that were used last are kept."""
        if shapes not in self._compiled:
            model = _with_layout(self._model.clone(), shapes, self._inputs, self._precision)
            self._compiled[shapes] = _Compiled(model, self._precision)
        self._compiled.move_to_end(shapes)
        if len(self._compiled) > MAX_SIZES:
            self._compiled.popitem(last=False)
        return self._compiled[shapes]


class _Compiled:
    """A compiled model with fixed shapes. Channels are the last dimension, as in tensors of torch."""

    def __init__(self, model: Any, precision: torch.dtype) -> None:
        compiled = load_package("openvino").Core().compile_model(model, "CPU", cpu_options(precision))
        self._request = compiled.create_infer_request()
        self._outputs = [
            (tuple(port.shape)[1:], precision if len(port.shape) == 4 else torch.float32) for port in compiled.outputs
        ]

    def new_outputs(self, num: int) -> list[Tensor]:
        """Return tensors for the outputs of `num` rows."""
        return [torch.empty((num, *shape), dtype=dtype, device="cpu") for shape, dtype in self._outputs]

    def run(self, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> None:
        """Compute one row. OpenVINO reads and writes the memory of the tensors."""
        for index, tensor in enumerate(inputs):
            self._request.set_input_tensor(index, _shared(tensor[None]))
        for index, tensor in enumerate(outputs):
            self._request.set_output_tensor(index, _shared(tensor[None]))
        self._request.infer()


def cpu_options(precision: torch.dtype) -> dict[str, object]:
    """Return the options of OpenVINO's CPU plugin.

    It uses as many threads as torch. The threads are not bound to cores: on a shared machine, a bound thread waits for
    the other programs on its core. Threads of OpenVINO sleep while they have no work.
    """
    return {
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1,
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        "ENABLE_HYPER_THREADING": True,  # False would lower the number of threads to the number of physical cores
        "ENABLE_CPU_PINNING": False,
        "INFERENCE_PRECISION_HINT": "bf16" if precision == torch.bfloat16 else "f32",
    }


def _with_layout(
    model: Any, shapes: Sequence[torch.Size], inputs: Sequence[torch.dtype], precision: torch.dtype
) -> Any:
    """Return a model for inputs (1, h, w, C) of fixed shapes, with outputs (1, h, w, C) or (1, h, w)."""
    openvino = load_package("openvino")
    types = {torch.float32: openvino.Type.f32, torch.bfloat16: openvino.Type.bf16}
    last, first = openvino.Layout("NHWC"), openvino.Layout("NCHW")
    model.reshape(
        {
            port: openvino.PartialShape([1, channels, h, w])
            for port, (h, w, channels) in zip(model.inputs, shapes, strict=True)
        }
    )
    steps = openvino.preprocess.PrePostProcessor(model)
    for index, dtype in enumerate(inputs):
        steps.input(index).tensor().set_layout(last).set_element_type(types[dtype])
        steps.input(index).model().set_layout(first)
    for index, port in enumerate(model.outputs):
        if len(port.partial_shape) == 4:
            steps.output(index).model().set_layout(first)
            steps.output(index).tensor().set_layout(last).set_element_type(types[precision])
    return steps.build()


def _shared(tensor: Tensor) -> Any:
    """Return an OpenVINO tensor over the memory of a contiguous tensor."""
    openvino = load_package("openvino")
    if tensor.dtype == torch.bfloat16:
        return openvino.Tensor(tensor.view(torch.int16).numpy(), openvino.Shape(tensor.shape), openvino.Type.bf16)
    return openvino.Tensor(tensor.numpy(), shared_memory=True)


def _not_installed(name: str) -> VisError:
    problem = f"cannot run the network with OpenVINO: the package {name} is not installed"
    return VisError(problem, hint="Install it: pip install 'vis-cli[openvino]'.")

"""Networks from model folders and back: load, save, check the size; used by the engine and the trainer."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from vis_cli.errors import VisError
from vis_cli.files.atomic import atomic_path
from vis_cli.files.limits import MAX_PARAMETERS
from vis_cli.network.config import ModelConfig
from vis_cli.network.seq_mask_rcnn import SeqMaskRCNN
from vis_cli.records.types import ModelInfo
from vis_cli.zoo.folder import CARD_NAME, SCHEMA, WEIGHTS_NAME, find_model, read_summary
from vis_cli.zoo.included_files import remedy
from vis_cli.zoo.weights_file import read_tensors, require_finite, write_tensors

Network_co = TypeVar("Network_co", covariant=True)

COUNTER = "num_batches_tracked"  # of a batch norm; inference never reads it


@dataclass(frozen=True, slots=True)
class LoadedModel(Generic[Network_co]):
    """Hold a network for inference and what names it in results."""

    model: Network_co
    info: ModelInfo


def load_model(name_or_dir: str) -> LoadedModel[SeqMaskRCNN]:
    """Load a model by name or folder, in float32, for inference, on the CPU.

    Raises:
        VisError: no such model, or its weights are corrupt, of another schema or of another shape.
    """
    folder = find_model(name_or_dir)
    summary = read_summary(folder)
    path = folder / WEIGHTS_NAME
    model = _network_without_values(summary.config, path)
    tensors = model.state_dict()
    state = read_tensors(path, {key: value.shape for key, value in tensors.items() if not key.endswith(COUNTER)})
    counters = {key: torch.zeros((), dtype=value.dtype) for key, value in tensors.items() if key.endswith(COUNTER)}
    model.load_state_dict(state | counters, assign=True)
    info = summary.info()
    return LoadedModel(model.eval().requires_grad_(False).to(memory_format=torch.channels_last), info)


class _WithoutRandomValues(TorchFunctionMode):
    """Mode in which layers are not initialized. On the meta device, this would import the compiler of PyTorch."""

    def __torch_function__(
        self,
        func: Callable[..., object],
        types: Iterable[type],
        args: Sequence[object] = (),
        kwargs: Mapping[str, object] | None = None,
    ) -> object:
        """Call a function of torch, or return the tensor that it would initialize."""
        kwargs = kwargs or {}
        if func in (Tensor.normal_, Tensor.uniform_) or getattr(func, "__module__", None) == torch.nn.init.__name__:
            return kwargs["tensor"] if "tensor" in kwargs else args[0]
        return func(*args, **kwargs)


def require_size(config: ModelConfig) -> None:
    """Raise a VisError if a network of this config would have too many parameters; none are allocated."""
    with torch.device("meta"), _WithoutRandomValues():
        number = sum(parameter.numel() for parameter in SeqMaskRCNN(config).parameters())
    if number > MAX_PARAMETERS:
        raise VisError(
            f"the network has {number:,} parameters, the limit is {MAX_PARAMETERS:,}. Use smaller numbers of channels."
        )


def save_model(
    folder: Path, model: SeqMaskRCNN, provenance: dict[str, str], *, precision: torch.dtype = torch.float16
) -> None:
    """Write a model folder's weights, complete or not at all.

    Args:
        folder: made if missing.
        model: its parameters, config and categories are written.
        provenance: where the weights come from, in words.
        precision: number format of the weights in the file; a tensor with values that it cannot hold stays in float32.

    Raises:
        VisError: the folder cannot be written, or a value is not finite.
    """
    whole = {key: value.cpu() for key, value in model.state_dict().items() if not key.endswith(COUNTER)}
    require_finite(whole, folder / WEIGHTS_NAME, verb="write")
    state = {key: _in_precision(value, precision) for key, value in whole.items()}
    metadata = {"schema": SCHEMA, "config": model.config.to_json(), "provenance": json.dumps(provenance)}
    write_tensors(folder / WEIGHTS_NAME, state, metadata)


def save_card(folder: Path, text: str) -> None:
    """Write a model folder's card, complete or not at all.

    Raises:
        VisError: the folder cannot be written.
    """
    with atomic_path(folder / CARD_NAME) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _in_precision(value: Tensor, precision: torch.dtype) -> Tensor:
    converted = value.to(precision) if value.is_floating_point() else value
    return (converted if converted.isfinite().all() else value.float()).contiguous()


def _network_without_values(config: ModelConfig, path: Path) -> SeqMaskRCNN:
    """Return a network whose parameters have shapes only. Random values would be replaced anyway."""
    try:
        with torch.device("meta"), _WithoutRandomValues():
            return SeqMaskRCNN(config)
    except RuntimeError as error:  # sizes whose product has more than 64 bits
        raise VisError(f"{path} has damaged metadata (no network has these sizes)", hint=remedy(path)) from error

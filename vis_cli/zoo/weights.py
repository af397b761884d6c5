"""Model folders: `weights.safetensors` with its metadata, and where the zoo is; used by the engine and the trainer."""

from __future__ import annotations

import difflib
import json
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from vis_cli.errors import VisError
from vis_cli.files.atomic import atomic_path
from vis_cli.files.hashing import sha256_of
from vis_cli.files.limits import MAX_PARAMETERS
from vis_cli.files.names import printable
from vis_cli.files.reading import real_path
from vis_cli.network.backbones import BACKBONES
from vis_cli.network.config import ModelConfig
from vis_cli.network.seq_mask_rcnn import SeqMaskRCNN
from vis_cli.records.types import ModelInfo
from vis_cli.zoo.weights_file import read_header, read_tensors, require_finite, write_tensors

WEIGHTS_NAME = "weights.safetensors"
CARD_NAME = "CARD.md"
SCHEMA = "vis-model-1"
COUNTER = "num_batches_tracked"  # of a batch norm; inference never reads it


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """Hold a model ready for inference and what names it in results."""

    model: SeqMaskRCNN
    info: ModelInfo


@dataclass(frozen=True, slots=True)
class ModelSummary:
    """Describe a model folder without building the network."""

    name: str
    folder: Path
    config: ModelConfig
    num_parameters: int
    provenance: dict[str, str]


def zoo_dir() -> Path:
    """Return the folder of the shipped models: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parents[1]
    inside = package / "models"
    return inside if inside.is_dir() else package.parent / "models"


def list_models() -> list[ModelSummary]:
    """Return the models of the zoo by name."""
    return [read_summary(folder) for folder in sorted(zoo_dir().iterdir()) if (folder / WEIGHTS_NAME).is_file()]


def find_model(name_or_dir: str) -> Path:
    """Return the folder of a model named in the zoo, or given by its path.

    Raises:
        VisError: there is none; the nearest name is suggested.
    """
    for folder in (zoo_dir() / name_or_dir, Path(name_or_dir)):
        if (folder / WEIGHTS_NAME).is_file():
            return folder
    if Path(name_or_dir).is_dir():
        raise VisError(f"model folder {name_or_dir} has no {WEIGHTS_NAME}")
    known = sorted(folder.parent.name for folder in zoo_dir().glob(f"*/{WEIGHTS_NAME}"))
    near = difflib.get_close_matches(name_or_dir, known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"known models: {', '.join(known) or 'none'}."
    raise VisError(f"no model is named {name_or_dir}; {hint} A folder with {WEIGHTS_NAME} works too")


def read_summary(folder: Path) -> ModelSummary:
    """Read a model folder's metadata.

    Raises:
        VisError: the weights file is corrupt or of another schema.
    """
    path = folder / WEIGHTS_NAME
    header = read_header(path)
    schema = header.metadata.get("schema")
    if schema != SCHEMA:
        shown = "no schema" if schema is None else f"schema {printable(schema)!r}"
        raise VisError(f"{path} has {shown}, but this version reads {SCHEMA!r}")
    try:
        config = ModelConfig.from_json(header.metadata["config"])
        if config.backbone not in BACKBONES:
            raise ValueError(f"no backbone is named {printable(config.backbone)!r}")
        provenance = _read_provenance(header.metadata.get("provenance", "{}"))
    except (KeyError, ValueError) as error:
        raise VisError(f"{path} has damaged metadata ({error}); fetch or train it again") from error
    return ModelSummary(real_path(folder).name, folder, config, header.num_values, provenance)


def load_model(name_or_dir: str) -> LoadedModel:
    """Load a model by name or folder, in float32, for inference, on the CPU.

    Raises:
        VisError: no such model, or its weights are corrupt, of another schema or of another shape.
    """
    folder = find_model(name_or_dir)
    summary = read_summary(folder)
    path = folder / WEIGHTS_NAME
    state = read_tensors(path, _shapes(summary.config, path))
    model = SeqMaskRCNN(summary.config)
    model.load_state_dict(state, strict=False)  # complete except for the counters of batch norms
    info = _info(summary)
    return LoadedModel(model.eval().requires_grad_(False).to(memory_format=torch.channels_last), info)


def require_size(config: ModelConfig) -> None:
    """Raise a VisError if a network of this config would have too many parameters; none are allocated."""
    with torch.device("meta"):
        number = sum(parameter.numel() for parameter in SeqMaskRCNN(config).parameters())
    if number > MAX_PARAMETERS:
        raise VisError(
            f"the network has {number:,} parameters, the limit is {MAX_PARAMETERS:,}. Use smaller numbers of channels."
        )


def identify_model(name_or_dir: str) -> tuple[ModelInfo, ModelConfig]:
    """Return the info and the config of a model without building its network.

    Raises:
        VisError: There is no such model, or its weights file is not readable.
    """
    summary = read_summary(find_model(name_or_dir))
    return _info(summary), summary.config


def _info(summary: ModelSummary) -> ModelInfo:
    return ModelInfo(summary.name, sha256_of(summary.folder / WEIGHTS_NAME))


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


def _shapes(config: ModelConfig, path: Path) -> dict[str, torch.Size]:
    """Return the shape of each tensor of a model, from a network without values."""
    try:
        with torch.device("meta"):
            state = SeqMaskRCNN(config).state_dict()
    except RuntimeError as error:  # sizes whose product has more than 64 bits
        raise VisError(f"{path} has damaged metadata (no network has these sizes); fetch or train it again") from error
    return {key: value.shape for key, value in state.items() if not key.endswith(COUNTER)}


def _read_provenance(text: str) -> dict[str, str]:
    try:
        fields = json.loads(text)
    except RecursionError as error:
        raise ValueError("the provenance is nested too deeply") from error
    if not isinstance(fields, dict) or not all(isinstance(value, str) for value in fields.values()):
        raise ValueError("the provenance must map strings to strings")
    return fields

"""Model folders: `weights.safetensors` with its metadata, and where the zoo is; used by the engine and the trainer."""

from __future__ import annotations

import difflib
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from vis_cli.errors import VisError
from vis_cli.files.atomic import atomic_path
from vis_cli.network.config import ModelConfig
from vis_cli.network.seq_mask_rcnn import SeqMaskRCNN
from vis_cli.records.types import ModelInfo

WEIGHTS_NAME = "weights.safetensors"
CARD_NAME = "CARD.md"
SCHEMA = "vis-model-1"


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
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            num = sum(_count(file.get_slice(key).get_shape()) for key in file.keys())  # noqa: SIM118 - not a dict
    except (SafetensorError, OSError) as error:
        raise VisError(f"{path} is not a readable weights file ({error}); fetch or train it again") from error
    if metadata.get("schema") != SCHEMA:
        raise VisError(f"{path} has schema {metadata.get('schema')!r}, but this version reads {SCHEMA!r}")
    try:
        config = ModelConfig.from_json(metadata["config"])
        provenance = json.loads(metadata.get("provenance", "{}"))
    except (KeyError, ValueError) as error:
        raise VisError(f"{path} has damaged metadata ({error}); fetch or train it again") from error
    return ModelSummary(folder.resolve().name, folder, config, num, provenance)


def load_model(name_or_dir: str) -> LoadedModel:
    """Load a model by name or folder, in float32, for inference, on the CPU.

    Raises:
        VisError: no such model, or its weights are corrupt, of another schema or of another shape.
    """
    folder = find_model(name_or_dir)
    summary = read_summary(folder)
    path = folder / WEIGHTS_NAME
    model = SeqMaskRCNN(summary.config)
    try:
        with safe_open(path, framework="pt") as file:
            state = {key: file.get_tensor(key).float() for key in file.keys()}  # noqa: SIM118 - not a dict
        _load_state(model, state)
    except (SafetensorError, RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise VisError(f"{path} does not hold the weights of its own config ({reason})") from error
    info = ModelInfo(summary.name, hashlib.sha256(path.read_bytes()).hexdigest())
    return LoadedModel(model.eval().requires_grad_(False).to(memory_format=torch.channels_last), info)


def save_model(
    folder: Path, model: SeqMaskRCNN, provenance: dict[str, str], *, precision: torch.dtype = torch.float16
) -> None:
    """Write a model folder's weights, complete or not at all.

    Args:
        folder: made if missing.
        model: its parameters, config and categories are written.
        provenance: where the weights come from, in words.
        precision: number format of the weights in the file.

    Raises:
        VisError: the folder cannot be written.
    """
    state = {
        key: (value.to(precision) if value.is_floating_point() else value).contiguous().cpu()
        for key, value in model.state_dict().items()
        if not key.endswith("num_batches_tracked")
    }
    metadata = {"schema": SCHEMA, "config": model.config.to_json(), "provenance": json.dumps(provenance)}
    with atomic_path(folder / WEIGHTS_NAME) as temporary:
        temporary.write_bytes(save(state, metadata))  # save_file would let the owner alone read it


def save_card(folder: Path, text: str) -> None:
    """Write a model folder's card, complete or not at all.

    Raises:
        VisError: the folder cannot be written.
    """
    with atomic_path(folder / CARD_NAME) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _count(shape: list[int]) -> int:
    total = 1
    for side in shape:
        total *= side
    return total


def _load_state(model: SeqMaskRCNN, state: dict[str, torch.Tensor]) -> None:
    missing, unexpected = model.load_state_dict(state, strict=False)
    missing = [key for key in missing if not key.endswith("num_batches_tracked")]
    if missing or unexpected:
        raise ValueError(
            f"{len(missing)} tensors missing, {len(unexpected)} left over, first: {[*missing, *unexpected][0]}"
        )

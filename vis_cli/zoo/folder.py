"""Model folders: where they are and what the header of their weights says; used by `vis models`, without torch."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from vis_cli.errors import VisError
from vis_cli.files.hashing import sha256_of
from vis_cli.files.names import printable
from vis_cli.files.reading import read_error, real_path
from vis_cli.hints import did_you_mean
from vis_cli.network.config import BackboneName, ModelConfig
from vis_cli.records.types import ModelInfo
from vis_cli.zoo.coco import COCO_NAME
from vis_cli.zoo.header import read_header
from vis_cli.zoo.included_detectors import INCLUDED_DETECTORS
from vis_cli.zoo.included_files import remedy, zoo_dir
from vis_cli.zoo.torchvision_names import TORCHVISION_DETECTORS

WEIGHTS_NAME = "weights.safetensors"
CARD_NAME = "CARD.md"
SCHEMA = "vis-model-1"


@dataclass(frozen=True, slots=True)
class ModelSummary:
    """Describe a model folder without building the network."""

    name: str
    folder: Path
    config: ModelConfig
    num_parameters: int
    provenance: dict[str, str]

    def info(self) -> ModelInfo:
        """Return what names the model in results."""
        return ModelInfo(self.name, sha256_of(self.folder / WEIGHTS_NAME))


def list_models() -> list[ModelSummary]:
    """Return the models of the zoo by name."""
    return [read_summary(folder) for folder in sorted(zoo_dir().iterdir()) if (folder / WEIGHTS_NAME).is_file()]


def find_model(name_or_dir: str) -> Path:
    """Return the folder of a model named in the zoo, or given by its path. `./lite` is a path, `lite` is a name.

    Raises:
        VisError: No model has this name, or its folder cannot be read. The message suggests a similar name.
    """
    try:
        folder = _existing_folder(name_or_dir)
    except OSError as error:
        raise read_error(name_or_dir, error) from error
    if folder is not None:
        return folder
    known = sorted(folder.parent.name for folder in zoo_dir().glob(f"*/{WEIGHTS_NAME}"))
    known += [*INCLUDED_DETECTORS, COCO_NAME, *(facts.name for facts in TORCHVISION_DETECTORS)]
    hint = f"{did_you_mean(name_or_dir, known)} A folder with {WEIGHTS_NAME} works too."
    raise VisError(f"no model is named {name_or_dir}", hint=hint)


def _existing_folder(name_or_dir: str) -> Path | None:
    """Return the folder of a model, None if it does not exist.

    Raises:
        VisError: The folder has no weights.
        OSError: A folder cannot be read.
    """
    is_path = os.sep in name_or_dir
    for folder in (Path(name_or_dir),) if is_path else (zoo_dir() / name_or_dir, Path(name_or_dir)):
        if (folder / WEIGHTS_NAME).is_file():
            return folder
    included = zoo_dir() / name_or_dir
    if not is_path and name_or_dir not in INCLUDED_DETECTORS and (included / CARD_NAME).is_file():
        problem = f"the weights of {name_or_dir} are missing"
        raise VisError(problem, where=included / WEIGHTS_NAME, hint=remedy(included))
    if Path(name_or_dir).is_dir():
        raise VisError(f"model folder {name_or_dir} has no {WEIGHTS_NAME}", hint=remedy(Path(name_or_dir)))
    return None


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
        raise VisError(f"{path} has {shown}, but this version reads {SCHEMA!r}", hint=remedy(path))
    try:
        config = ModelConfig.from_json(header.metadata["config"])
        if config.backbone not in get_args(BackboneName):
            raise ValueError(f"no backbone is named {printable(config.backbone)!r}")
        provenance = _read_provenance(header.metadata.get("provenance", "{}"))
    except (KeyError, ValueError) as error:
        raise VisError(f"{path} has damaged metadata ({error})", hint=remedy(path)) from error
    return ModelSummary(real_path(folder).name, folder, config, header.num_values, provenance)


def identify_model(name_or_dir: str) -> tuple[ModelInfo, ModelConfig]:
    """Return the info and the config of a model without building its network.

    Raises:
        VisError: There is no such model, or its weights file is not readable.
    """
    summary = read_summary(find_model(name_or_dir))
    return summary.info(), summary.config


def _read_provenance(text: str) -> dict[str, str]:
    try:
        fields = json.loads(text)
    except RecursionError as error:
        raise ValueError("the provenance is nested too deeply") from error
    if not isinstance(fields, dict) or not all(isinstance(value, str) for value in fields.values()):
        raise ValueError("the provenance must map strings to strings")
    return fields

"""Weights of training runs as small files: export, parts, and the merge with a base model. Used by `gpu`.

`gpu` also starts this file as a command, so that an error in the export does not stop the other measurements:

    python benchmarks/gpu_weights.py RESULTS --export CONFIG.toml RUN
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import sys
import tempfile
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor

from vis_cli.errors import VisError
from vis_cli.network.config import ModelConfig
from vis_cli.network.seq_mask_rcnn import SeqMaskRCNN
from vis_cli.training.checkpoint import last_checkpoint
from vis_cli.training.config import TrainConfig
from vis_cli.training.config_file import read_train_config
from vis_cli.zoo.folder import find_model, read_summary
from vis_cli.zoo.torch_file import load_torch_file
from vis_cli.zoo.weights import COUNTER, load_model, save_model
from vis_cli.zoo.weights_file import write_tensors

MAX_PART_BYTES = 15 * 2**20
SUFFIX = ".safetensors"
DETECTOR = "detector"  # start of the names of the tensors that depend on the categories


@dataclass(frozen=True, slots=True)
class Trained:
    """Trained parameters of a run."""

    name: str  # stem of the config
    config: ModelConfig
    steps: str
    tensors: dict[str, Tensor]


def main() -> None:
    """Export the runs of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder of the weights")
    parser.add_argument("--export", nargs=2, type=Path, action="append", default=[], metavar=("CONFIG.toml", "RUN"))
    args = parser.parse_args()
    failed = False
    for config, run in args.export:
        try:
            export_weights(config, run, args.out)
        except (VisError, OSError) as error:
            print(f"cannot export {run}: {error}", file=sys.stderr)
            failed = True
    raise SystemExit(int(failed))


def export_weights(config_path: Path, run: Path, out: Path) -> Path:
    """Write the trained parameters of the newest checkpoint, averaged and in half precision.

    Raises:
        VisError: The run has no checkpoint, or the config or a value cannot be used.
    """
    config, path = read_train_config(config_path), last_checkpoint(run)
    if path is None:
        raise VisError("no checkpoint")
    content = load_torch_file(path)
    tensors = {
        name: in_half_precision(value)
        for name, value in (content["model"] | content["average"]).items()
        if is_trained(name, config)
    }
    metadata = {"config": config.model.to_json(), "steps": str(content["step"])}
    write_tensors(out / f"{config_path.stem}{SUFFIX}", tensors, metadata)
    return out / f"{config_path.stem}{SUFFIX}"


def is_trained(name: str, config: TrainConfig) -> bool:
    """Return whether a run trains a tensor, including the running statistics of a trained batch norm."""
    is_selected = not config.train_only or name.startswith(config.train_only)
    is_frozen = bool(config.freeze) and name.startswith(config.freeze)
    return is_selected and not is_frozen and not name.endswith(COUNTER)


def in_half_precision(value: Tensor) -> Tensor:
    """Return a tensor in half precision, or unchanged if half precision cannot hold a value."""
    half = value.half() if value.is_floating_point() else value
    return (half if half.isfinite().all() else value).contiguous()


def split(path: Path) -> dict[str, Any]:
    """Replace a file by parts of at most MAX_PART_BYTES: NAME.000, NAME.001 and so on. Return size and checksum."""
    content = path.read_bytes()
    for old in path.parent.glob(f"{path.name}.[0-9][0-9][0-9]"):
        old.unlink()
    parts = [content[start : start + MAX_PART_BYTES] for start in range(0, len(content), MAX_PART_BYTES)]
    for number, part in enumerate(parts):
        part_path(path, number).write_bytes(part)
    path.unlink()
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest(), "num_parts": len(parts)}


def part_path(path: Path, number: int) -> Path:
    """Return the path of a part of a file."""
    return path.with_name(f"{path.name}.{number:03d}")


def join_parts(path: Path, expected: dict[str, Any]) -> bytes:
    """Return the content of a file in parts, after a check of size and checksum.

    Raises:
        SystemExit: A part is missing or damaged.
    """
    paths = [part_path(path, number) for number in range(expected["num_parts"])]
    if missing := [part for part in paths if not part.exists()]:
        raise SystemExit(f"cannot join {path.name}: {missing[0]} is missing. Copy all parts into one folder.")
    content = b"".join(part.read_bytes() for part in paths)
    if len(content) != expected["bytes"] or hashlib.sha256(content).hexdigest() != expected["sha256"]:
        raise SystemExit(f"cannot join {path.name}: a part is damaged ({len(content)} bytes). Copy the parts again.")
    return content


def join_weights(
    folder: Path, out: Path, parts: dict[str, dict[str, Any]], *, base: str | None, only: Collection[str], average: bool
) -> None:
    """Merge the weights in the folder of the results and a base model to a model folder.

    Args:
        folder: Folder of the parts.
        out: Model folder to write.
        parts: Size, checksum and number of parts of each file.
        base: Name or folder of the model that the runs started from. None: the runs contain all parameters.
        only: Stems of the configs of the runs to merge. Empty: all.
        average: Count the base as one more run in each mean.

    Raises:
        SystemExit: A part is missing or damaged, or the runs and the base do not belong together.
    """
    names = [Path(name).stem for name in parts]
    if unknown := sorted(set(only) - set(names)):
        raise SystemExit(f"cannot join {unknown[0]}: {folder} contains {', '.join(names) or 'no weights'}.")
    chosen = {name: entry for name, entry in parts.items() if not only or Path(name).stem in only}
    trained = [read_trained(name, join_parts(folder / name, entry)) for name, entry in chosen.items()]
    if not trained:
        raise SystemExit(f"cannot join {folder}: it contains no weights.")
    model = load_model(base).model if base is not None else SeqMaskRCNN(trained[0].config)
    _require_same_network(model, trained, complete=base is None)
    merge(model, [run.tensors for run in trained], average=average)
    model.config = dataclasses.replace(model.config, calibration=None)  # it is valid for the weights of the base only
    save_model(out, model, _provenance(base, trained))


def read_trained(name: str, content: bytes) -> Trained:
    """Return the trained parameters in a file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata()
            tensors = {key: file.get_tensor(key).clone() for key in file.keys()}  # noqa: SIM118 - not a dict
    return Trained(Path(name).stem, ModelConfig.from_json(metadata["config"]), metadata["steps"], tensors)


@torch.no_grad()
def merge(model: SeqMaskRCNN, trained: Sequence[dict[str, Tensor]], *, average: bool) -> None:
    """Replace each tensor that runs trained by the mean of these runs. Other tensors of the model do not change.

    Args:
        model: The base model.
        trained: Trained tensors of each run.
        average: Count the base as one more run.
    """
    for name, own in model.state_dict().items():
        values = [tensors[name].double() for tensors in trained if name in tensors]
        if values:
            own.copy_(torch.stack([*values, own.double()] if average else values).mean(dim=0))


def _require_same_network(model: SeqMaskRCNN, trained: Sequence[Trained], *, complete: bool) -> None:
    shapes = {name: value.shape for name, value in model.state_dict().items() if not name.endswith(COUNTER)}
    for run in trained:
        other = [name for name, value in run.tensors.items() if shapes.get(name) != value.shape]
        if other:
            raise SystemExit(f"cannot join {run.name}: the base has no {other[0]} of the same shape. Pass its --base.")
        has_detector = any(name.startswith(DETECTOR) for name in run.tensors)
        if has_detector and run.config.categories != model.config.categories:
            raise SystemExit(f"cannot join {run.name}: the base has other categories. Pass its --base.")
    missing = shapes.keys() - {name for run in trained for name in run.tensors}
    if complete and missing:
        raise SystemExit(
            f"cannot join: no run trained {min(missing)}. Pass --base, the model that the runs started from."
        )


def _provenance(base: str | None, trained: Sequence[Trained]) -> dict[str, str]:
    runs = ", ".join(f"{run.name} ({run.steps} steps)" for run in trained)
    if base is None:
        return {"trained_with": runs}
    origin = read_summary(find_model(base)).provenance.get("origin")
    return {"base": base, "trained_with": runs} | ({"origin": origin} if origin else {})


if __name__ == "__main__":
    main()

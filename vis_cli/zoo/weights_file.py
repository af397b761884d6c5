"""The weights file of a model (safetensors): equal tensors give equal bytes, and damaged files give one line.

Used by `weights`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from vis_cli.errors import VisError
from vis_cli.files.atomic import atomic_path
from vis_cli.files.names import printable
from vis_cli.zoo.header import DAMAGED, LENGTH_BYTES, Header, first_line, read_header
from vis_cli.zoo.included_files import FETCH, REINSTALL, remedy

ALIGNMENT = 8  # bytes; the format pads its header with spaces
FLOATS = frozenset({"F16", "BF16", "F32", "F64"})
NAMES_SHOWN = 3


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write a weights file, complete or not at all; its bytes are a function of the arguments' values only.

    Raises:
        VisError: The file cannot be written.
    """
    content = memoryview(save(dict(tensors), dict(metadata)))
    end = LENGTH_BYTES + int.from_bytes(content[:LENGTH_BYTES], "little")
    header = json.loads(bytes(content[LENGTH_BYTES:end]))  # the library writes its metadata in a random order
    text = json.dumps(header, sort_keys=True, separators=(",", ":")).encode("ascii")
    text += b" " * (-len(text) % ALIGNMENT)
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        file.write(len(text).to_bytes(LENGTH_BYTES, "little"))
        file.write(text)
        file.write(content[end:])


def read_tensors(path: Path, wanted: Mapping[str, torch.Size]) -> dict[str, Tensor]:
    """Read exactly the wanted tensors as float32.

    Args:
        path: Weights file.
        wanted: Shape of each tensor by its name.

    Raises:
        VisError: The file has other tensors or other shapes, or a value is not finite, or memory is short.
    """
    header = read_header(path)
    _require_same(path, header, wanted)
    try:
        with safe_open(path, framework="pt") as file:
            state = {name: file.get_tensor(name).float() for name in wanted}
    except MemoryError as error:
        raise VisError(f"cannot load {path}: {header.num_values:,} values do not fit into memory.") from error
    except (OSError, *DAMAGED) as error:
        raise VisError(f"cannot load {path}: {first_line(error)}", hint=remedy(path)) from error
    require_finite(state, path)
    return state


def require_finite(tensors: Mapping[str, Tensor], path: Path, *, verb: str = "load") -> None:
    """Raise a VisError that names the tensors with NaN or infinite values."""
    wrong = [name for name, value in tensors.items() if value.is_floating_point() and not _is_finite(value)]
    if wrong:
        raise VisError(
            f"cannot {verb} {path}: {listed(wrong)} has values that are not finite (NaN or infinite)",
            hint=f"Use weights of an earlier step. {FETCH}" if remedy(path) == FETCH else REINSTALL,
        )


def _is_finite(value: Tensor) -> bool:
    """Return whether all values are finite. Their sum is faster to check, but can overflow."""
    return bool(value.sum().isfinite() or value.isfinite().all())


def listed(names: list[str]) -> str:
    """Return the first names of a list for a message."""
    shown = ", ".join(printable(name) for name in names[:NAMES_SHOWN])
    return shown if len(names) <= NAMES_SHOWN else f"{shown} and {len(names) - NAMES_SHOWN} more"


def _require_same(path: Path, header: Header, wanted: Mapping[str, torch.Size]) -> None:
    problems = {
        "missing": [name for name in wanted if name not in header.shapes],
        "left over": [name for name in header.shapes if name not in wanted],
        "of another shape": [
            name for name, shape in header.shapes.items() if name in wanted and shape != tuple(wanted[name])
        ],
        "without decimals": [name for name, kind in header.types.items() if name in wanted and kind not in FLOATS],
    }
    told = [f"{len(names)} {problem} ({listed(names)})" for problem, names in problems.items() if names]
    if told:
        raise VisError(
            f"cannot load {path}: it does not hold the weights of its own config: of its tensors {', '.join(told)}",
            hint=remedy(path),
        )

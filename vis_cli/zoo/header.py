"""The header of a weights file (safetensors), read without torch; used by `folder` and `weights_file`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open

from vis_cli.errors import VisError
from vis_cli.files.limits import MAX_HEADER_BYTES, MAX_WEIGHTS_BYTES, MIB
from vis_cli.files.names import printable
from vis_cli.files.reading import open_regular, read_error
from vis_cli.zoo.included_files import remedy

LENGTH_BYTES = 8  # before the header, little-endian
DAMAGED = (
    SafetensorError,
    RuntimeError,
    ValueError,
    OverflowError,
    KeyError,
)  # what safetensors raises of a damaged file


@dataclass(frozen=True, slots=True)
class Header:
    """Hold what a weights file contains, without its values."""

    metadata: dict[str, str]
    shapes: dict[str, tuple[int, ...]]
    types: dict[str, str]  # "F16" and others, by the same names

    @property
    def num_values(self) -> int:
        """Count the values of all tensors."""
        return sum(math.prod(shape) for shape in self.shapes.values())


def read_header(path: Path) -> Header:
    """Read what a weights file contains.

    The library checks the header in full. It reads no values, and with the framework "numpy" it imports no torch.

    Raises:
        VisError: The file is damaged, too large, or not a regular file.
    """
    try:
        _require_bounded(path)
        with safe_open(path, framework="numpy") as file:
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 - not a dict
            shapes = {name: tuple(part.get_shape()) for name, part in slices.items()}
            types = {name: str(part.get_dtype()) for name, part in slices.items()}
            return Header(file.metadata() or {}, shapes, types)
    except OSError as error:
        raise read_error(path, error) from error
    except DAMAGED as error:
        raise VisError(
            f"cannot read {path}: it is not a readable weights file ({first_line(error)})", hint=remedy(path)
        ) from error


def first_line(error: Exception) -> str:
    """Return the first line of an error's message, or its type."""
    return printable((str(error).splitlines() or [type(error).__name__])[0])


def _require_bounded(path: Path) -> None:
    """Check the sizes of the file and of its header before the library reads them."""
    with open_regular(path) as file:
        size = file.seek(0, 2)
        if size > MAX_WEIGHTS_BYTES:
            raise VisError(f"cannot read {path}: it has {size:,} bytes, the limit is {MAX_WEIGHTS_BYTES:,}.")
        file.seek(0)
        length = int.from_bytes(file.read(LENGTH_BYTES), "little")
        if MAX_HEADER_BYTES < length <= size:
            raise VisError(
                f"cannot read {path}: its header has {length:,} bytes, the limit is {MAX_HEADER_BYTES // MIB} MiB."
            )

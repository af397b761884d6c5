"""Reader for files of `torch.save` that runs no code and limits sizes.

The messages of PyTorch are not printed. They advise to load a file that contains code with `weights_only=False`, which
runs the code.
"""

from __future__ import annotations

import pickle
import struct
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vis_cli.errors import VisError
from vis_cli.files.limits import MAX_MEMBERS, MAX_WEIGHTS_BYTES, SHOWN_CHARACTERS
from vis_cli.files.names import printable
from vis_cli.files.reading import open_regular

DAMAGE = (  # exceptions of torch for a file that is truncated, changed or not a checkpoint
    RuntimeError,
    OSError,
    EOFError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    AssertionError,
    ImportError,
    NotImplementedError,
    ArithmeticError,
    RecursionError,
    pickle.UnpicklingError,
    struct.error,
    zipfile.BadZipFile,
)
WORDS_FOR_CODE = (
    "allowed global",
    "unsupported GLOBAL",
    "reduce for",
    "allowlisted",
)  # in messages of torch about rejected objects
ZIP_START = b"PK"


class HoldsCodeError(VisError):
    """A file contains more than tensors and plain values."""


def load_torch_file(path: Path) -> Any:
    """Return the tensors and plain values of a file of `torch.save`, on the CPU, without running code.

    Raises:
        HoldsCodeError: The file contains an object that can run code.
        VisError: The file is damaged, is something else, is too large, or does not fit into memory.
    """
    _require_bounded(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's, about the age of the format
            return torch.load(path, weights_only=True, map_location="cpu")
    except pickle.UnpicklingError as error:
        if _may_hold_code(path, str(error)):
            raise HoldsCodeError(
                f"cannot read {path}: it contains objects that can run code. No code was run. "
                "Use a checkpoint from its authors."
            ) from error
        raise VisError(_unreadable(path)) from error
    except MemoryError as error:
        raise VisError(f"cannot read {path}: its tensors do not fit into memory.") from error
    except DAMAGE as error:
        if "can't allocate memory" in str(error):
            raise VisError(
                f"cannot read {path}: its tensors do not fit into memory, or the file is damaged."
            ) from error
        raise VisError(_unreadable(path)) from error


def take_tensors(value: Any, path: Path, what: str) -> dict[str, Tensor]:
    """Return a mapping of names to plain tensors: dense, on the CPU, with real numbers.

    Args:
        value: Part of a loaded file.
        path: The file, for the message.
        what: The part, for the message.

    Raises:
        VisError: The value is not such a mapping.
    """
    if not isinstance(value, Mapping):
        raise VisError(f"cannot read {path}: {what} is not a table of tensors. Pass another checkpoint.")
    for name, tensor in value.items():
        cause = _not_plain(name, tensor)
        if cause is not None:
            shown = printable(repr(name), limit=SHOWN_CHARACTERS)
            raise VisError(f"cannot read {path}: {what}: {shown} {cause}. Pass another checkpoint.")
    return dict(value)


def _not_plain(name: Any, tensor: Any) -> str | None:
    if not isinstance(name, str):
        return f"is a name of type {type(name).__name__}, not a string"
    if not isinstance(tensor, Tensor):
        return "is not a tensor"
    if tensor.is_nested or tensor.layout != torch.strided or tensor.is_quantized:
        return "is not a dense tensor"
    if tensor.device.type != "cpu":
        return "has no values"
    if tensor.is_complex() or tensor.dtype == torch.bool or tensor.element_size() > 8:
        return "has values of a type that no weights have"
    return None


def _require_bounded(path: Path) -> None:
    """Check that the path is a regular file, and that no part of it unpacks to more than the file's own size."""
    try:
        with open_regular(path) as file:
            size = file.seek(0, 2)
            if size > MAX_WEIGHTS_BYTES:
                raise VisError(f"cannot read {path}: it has {size:,} bytes, the limit is {MAX_WEIGHTS_BYTES:,}.")
            file.seek(0)
            if file.read(len(ZIP_START)) != ZIP_START:
                return
            members = zipfile.ZipFile(file).infolist()
    except OSError as error:
        raise VisError(f"cannot read {path}: {error.strerror or error}.") from error
    except (zipfile.BadZipFile, ValueError, NotImplementedError, struct.error, OverflowError) as error:
        raise VisError(_unreadable(path)) from error
    packed = any(member.compress_type != zipfile.ZIP_STORED for member in members)
    if packed or len(members) > MAX_MEMBERS or sum(member.file_size for member in members) > size:
        raise VisError(_unreadable(path))


def _may_hold_code(path: Path, reason: str) -> bool:
    """Return if an error of torch is about an object that can run code, and not about damage."""
    with path.open("rb") as file:
        is_pickle = file.read(1) == pickle.PROTO
    return any(words in reason for words in WORDS_FOR_CODE) or (is_pickle and "Unsupported operand" in reason)


def _unreadable(path: Path) -> str:
    return f"cannot read {path}: it is truncated or not a checkpoint. Use an intact copy."

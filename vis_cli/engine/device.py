"""Device and number format of the network; used by `segmenter`."""

from __future__ import annotations

import torch

from vis_cli.errors import VisError
from vis_cli.network.precision import has_native_bfloat16
from vis_cli.settings import INT8, Precision


def choose_device(name: str) -> torch.device:
    """Return the device of a name.

    Args:
        name: `auto`, `cpu`, `cuda`, `cuda:<number>` or `mps`. `auto` selects the fastest device of the machine.

    Raises:
        VisError: The name is unknown, or the machine does not have this device.
    """
    if name == "auto":
        return torch.device(_best_device())
    try:
        device = torch.device(name)
    except RuntimeError:
        hint = "Use auto, cpu, cuda, cuda:<number> or mps."
        raise VisError(f"is {name!r}", field="device", hint=hint) from None
    if not _is_there(device):
        raise VisError(f"cannot use device {name}: torch does not find it", hint="Use --device auto or cpu.")
    return device


def choose_precision(name: Precision, device: torch.device) -> torch.dtype:
    """Return the number format of a name. `auto` is bfloat16 on a device that computes it natively, else float32.

    int8 is the format of the frame encoder only. All other layers then use the format of `auto`.
    """
    if name not in ("auto", INT8):
        named: dict[Precision, torch.dtype] = {
            "float32": torch.float32,
            "bfloat16": torch.bfloat16,
            "float16": torch.float16,
        }
        return named[name]
    return torch.bfloat16 if has_native_bfloat16(device) else torch.float32


def autocast(device: torch.device, precision: torch.dtype) -> torch.autocast:
    """Return the context in which layers run in `precision`. It changes nothing for float32."""
    return torch.autocast(device.type, dtype=precision, enabled=precision != torch.float32)


def _best_device() -> str:
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _is_there(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.is_available() and (device.index or 0) < torch.cuda.device_count()
    return device.type == "cpu" or (device.type == "mps" and torch.backends.mps.is_available())

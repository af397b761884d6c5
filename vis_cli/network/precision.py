"""The one test for bfloat16 hardware; used by the engine and the trainer where a precision is "auto"."""

from __future__ import annotations

from pathlib import Path

import torch

CPU_INFO = Path("/proc/cpuinfo")
BFLOAT16_FLAGS = {"avx512_bf16", "amx_bf16"}  # instructions that make bfloat16 faster than float32, not slower


def has_native_bfloat16(device: torch.device) -> bool:
    """Return whether a device computes bfloat16 without emulation; False for devices other than CUDA and CPUs."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return device.type == "cpu" and _cpu_has_bfloat16()


def _cpu_has_bfloat16() -> bool:
    if not CPU_INFO.exists():
        return False
    flags = next((line for line in CPU_INFO.read_text().splitlines() if line.startswith("flags")), "")
    return not BFLOAT16_FLAGS.isdisjoint(flags.split())

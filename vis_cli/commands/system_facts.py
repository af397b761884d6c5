"""Facts about a machine for a bug report: versions, hardware, codecs and models, without names of users and hosts.

Used by `report_system`.
"""

from __future__ import annotations

import os
import platform
import re
import sys
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

import av

from vis_cli import __version__
from vis_cli.errors import VisError
from vis_cli.files.limits import MIB
from vis_cli.records.audio import MP4_AUDIO, WEBM_AUDIO
from vis_cli.records.video_formats import H264, VideoFormat

Facts = Mapping[str, str]

PACKAGES = (
    *("torch", "torchvision", "timm", "av", "numpy", "opencv-python-headless", "pycocotools", "pillow", "safetensors"),
    *("scenedetect-headless", "scipy", "matplotlib", "typer", "rich", "pydantic"),
)
EXTRA_PACKAGES = ("onnx", "onnxruntime", "onnxruntime-gpu", "openvino", "opencv-python", "pyarrow", "pandas")
INSTRUCTIONS = (  # of a CPU, which decide the speed: their names in /proc/cpuinfo
    *("avx", "fma", "avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8"),
    *("asimd", "bf16", "sve", "i8mm"),
)
DECODERS = ("h264", "hevc", "av1", "vp9", "mpeg4", "mpeg2video", "prores", "mjpeg")
VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "CUDA_VISIBLE_DEVICES")  # that change speed or devices
CPU_INFO = Path("/proc/cpuinfo")
NONE, MISSING = "none", "not installed"


def system_facts() -> dict[str, Facts]:
    """Return the facts by section. A package that cannot be imported is a fact, not an error."""
    return {
        "versions": _versions(),
        "system": _system(),
        "devices": _devices(),
        "FFmpeg": _ffmpeg(),
        "models": _models(),
        "environment": {name: os.environ.get(name, "not set") for name in VARIABLES},
    }


def _versions() -> Facts:
    known = {"vis": __version__, "Python": f"{platform.python_version()} ({platform.python_implementation()})"}
    packages = {name: _version(name) for name in PACKAGES}
    extras = {name: found for name in EXTRA_PACKAGES if (found := _version(name)) != MISSING}
    return known | packages | extras


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return MISSING


def _system() -> Facts:
    flags = set(_cpu_info("flags", "Features").split())
    usable = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count()
    return {
        "operating system": _operating_system(),
        "kernel": f"{platform.system()} {platform.release()}",
        "machine": platform.machine(),
        "CPU": _cpu_info("model name") or platform.processor() or "unknown",
        "cores": f"{os.cpu_count()}, of which vis can use {usable}",
        "instructions": ", ".join(name for name in INSTRUCTIONS if name in flags) or "unknown",
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / MIB / 1024:.1f} GiB",
    }


def _operating_system() -> str:
    if sys.platform == "darwin":
        return f"macOS {platform.mac_ver()[0]}"
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return platform.system()


def _cpu_info(*names: str) -> str:
    """Return the first value of one of the names in /proc/cpuinfo, or an empty string."""
    text = CPU_INFO.read_text(encoding="utf-8", errors="replace") if CPU_INFO.exists() else ""
    match = re.search(rf"^(?:{'|'.join(names)})\s*:\s*(.*)$", text, flags=re.MULTILINE)
    return match[1].strip() if match else ""


def _devices() -> Facts:
    return {"cuda": _guarded(_cuda), "mps": _guarded(_mps), "torch threads": _guarded(_threads)}


def _guarded(describe: Callable[[], str]) -> str:
    """Return a fact of torch. The message of an error contains paths, so only its type is reported."""
    try:
        return describe()
    except (ImportError, OSError, RuntimeError) as error:
        return f"torch fails ({type(error).__name__})"


def _cuda() -> str:
    import torch

    if torch.version.cuda is None:
        return "torch is built without CUDA"
    names = [torch.cuda.get_device_properties(index) for index in range(torch.cuda.device_count())]
    found = ", ".join(f"{item.name} ({item.total_memory / MIB / 1024:.0f} GiB)" for item in names)
    return f"CUDA {torch.version.cuda}: {found or 'no GPU'}"


def _mps() -> str:
    import torch

    return "available" if torch.backends.mps.is_available() else "not available"


def _threads() -> str:
    import torch

    return f"{torch.get_num_threads()}, {torch.backends.cpu.get_cpu_capability()}"


def _ffmpeg() -> Facts:
    libraries = ", ".join(f"{name} {'.'.join(map(str, numbers))}" for name, numbers in av.library_versions.items())
    encoders = (*_encoders(), "png")
    return {
        "libraries": libraries,
        "encoders": ", ".join(name for name in encoders if _has_codec(name, "w")) or NONE,
        "missing encoders": ", ".join(name for name in encoders if not _has_codec(name, "w")) or NONE,
        "decoders": ", ".join(name for name in DECODERS if _has_codec(name, "r")) or NONE,
    }


def _encoders() -> list[str]:
    """Return the encoders that `vis` uses, by the formats that it writes."""
    from vis_cli.records import video_formats

    formats = [H264, *(value for value in vars(video_formats).values() if isinstance(value, VideoFormat))]
    return sorted({item.encoder for item in formats} | {MP4_AUDIO.encoder, WEBM_AUDIO.encoder})


def _has_codec(name: str, mode: Literal["r", "w"]) -> bool:
    try:
        av.codec.Codec(name, mode)
    except ValueError:  # PyAV: UnknownCodecError
        return False
    return True


def _models() -> Facts:
    from vis_cli.zoo.detectors import picodet_detector
    from vis_cli.zoo.folder import list_models
    from vis_cli.zoo.included_detectors import PICODET_NAME, PICODET_PARAMETERS

    picodet = f"{PICODET_PARAMETERS:,} parameters" if picodet_detector.picodet_file().is_file() else MISSING
    try:
        models = {model.name: f"{model.num_parameters:,} parameters" for model in list_models()}
    except (VisError, OSError) as error:
        models = {"error": type(error).__name__}
    return models | {PICODET_NAME: picodet}

"""Limits of a worker process: time by the length of its video, and memory. Used by `local_workers` and `ray_actor`."""

from __future__ import annotations

import os
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from vis_cli.files.limits import KIB, MIB

FRAME_BYTES = KIB  # a video of unknown length gets the time of one frame per KiB
CORES_PER_WORKER = 4  # of the default number of workers, without a GPU
CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one video."""

    seconds: float  # of a video, in addition to the time of its frames
    frame_seconds: float  # of a frame
    memory_mb: int  # of the worker process

    def seconds_for(self, num_frames: int | None, num_bytes: int | None) -> float:
        """Return the time limit of a video."""
        frames = num_frames if num_frames is not None else (num_bytes or 0) // FRAME_BYTES
        return self.seconds + self.frame_seconds * frames


def memory_of(pid: int) -> int:
    """Return the resident memory of a process in bytes, 0 if the process has ended."""
    with suppress(OSError, ValueError, IndexError):
        pages = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")
    if Path("/proc/self/statm").exists():  # on macOS it does not exist
        return 0
    found = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return int(found.stdout.strip() or 0) * KIB


def memory_share(num_workers: int) -> int:
    """Return the memory of this machine, or of its container, per worker in MiB."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    with suppress(OSError, ValueError):  # no container, or no limit ("max")
        total = min(total, int(CGROUP_LIMIT.read_text(encoding="ascii")))
    return max(1, total // MIB // num_workers)


def num_cores() -> int:
    """Return the number of CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def num_gpus() -> int:
    """Return the number of visible NVIDIA GPUs, without loading CUDA."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return len([name for name in visible.split(",") if name.strip() not in ("", "-1")])
    folder = Path("/proc/driver/nvidia/gpus")
    return len(list(folder.iterdir())) if folder.is_dir() else 0

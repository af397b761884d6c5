"""Measure speed and peak memory of `vis segment`, with start-up and overlay, on a short and on a long clip.

benchmarks/README.md describes the output.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

SAMPLE = Path(__file__).parents[1] / "sample_videos" / "launchpad.mp4"
MIN_SPEED = 1.5  # minimum frames per second on two cores
MAX_GROWTH = 1.5  # maximum ratio of peak memory, long clip to short clip
MAX_MEMORY = 3.0  # maximum GB
BYTES_PER_UNIT = 1 if sys.platform == "darwin" else 1024  # unit of ru_maxrss


@dataclass(frozen=True, slots=True)
class Run:
    """Time and peak memory of one call of `vis segment`."""

    num_frames: int
    seconds: float
    peak_gb: float

    @property
    def speed(self) -> float:
        """Return frames per second, including start-up and loading of the model."""
        return self.num_frames / self.seconds


def main() -> None:
    """Run both clips, and print the results and their ratios to the limits."""
    args, options = parse_args()
    if args.cores is not None:
        os.sched_setaffinity(0, set(sorted(os.sched_getaffinity(0))[: args.cores]))
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        runs = [measure(args.video, count, folder, options) for count in (args.short, args.long)]
    report = summarize(*runs)
    print_report(report)
    if args.json is not None:
        args.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def parse_args() -> tuple[argparse.Namespace, list[str]]:
    """Parse the command line. Return the options of this script, and all other options for `vis segment`."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog="All other options are passed to `vis segment`.", allow_abbrev=False
    )
    parser.add_argument(
        "--video", type=Path, default=SAMPLE, help="video, repeated forward and backward in time to both lengths"
    )
    parser.add_argument("--short", type=int, default=60, help="number of frames of the short clip")
    parser.add_argument("--long", type=int, default=600, help="number of frames of the long clip")
    parser.add_argument("--cores", type=int, help="number of processor cores to use (Linux)")
    parser.add_argument("--json", type=Path, help="JSON file for the results")
    return parser.parse_known_args()


def measure(video: Path, num_frames: int, folder: Path, options: list[str]) -> Run:
    """Call `vis segment` on a clip of `num_frames` frames, in a separate process."""
    clip = folder / f"clip-{num_frames}.mp4"
    write_clip(video, num_frames, clip)
    command = [sys.executable, "-m", "vis_cli", "segment", str(clip), "-o", str(folder / "out"), "--quiet", *options]
    start = time.perf_counter()
    process = subprocess.Popen(command)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(f"cannot measure: {' '.join(command)} ended with exit code {process.returncode}")
    return Run(num_frames, seconds, usage.ru_maxrss * BYTES_PER_UNIT / 1e9)


def write_clip(video: Path, num_frames: int, path: Path) -> None:
    """Write `num_frames` frames of a video, repeated forward and backward in time."""
    with av.open(str(video)) as source:
        frames = [frame.to_ndarray(format="rgb24") for frame in itertools.islice(source.decode(video=0), num_frames)]
    height, width = frames[0].shape[:2]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=24)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for frame in itertools.islice(repeat_frames(frames), num_frames):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode(None))


def repeat_frames(frames: list[NDArray[np.uint8]]) -> Iterator[NDArray[np.uint8]]:
    """Yield the frames forward and backward without end. The first and the last frame are not repeated."""
    return itertools.cycle(frames + frames[-2:0:-1])


def summarize(short: Run, long: Run) -> dict[str, Any]:
    """Return the results and their ratios to the limits."""
    marginal = (long.num_frames - short.num_frames) / (long.seconds - short.seconds)
    return {
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "runs": [{**asdict(run), "frames_per_second": run.speed} for run in (short, long)],
        "frames_per_second_without_start": marginal,
        "speed_to_floor": short.speed / MIN_SPEED,
        "memory_growth": long.peak_gb / short.peak_gb,
        "memory_to_limit": max(short.peak_gb, long.peak_gb) / MAX_MEMORY,
    }


def print_report(report: dict[str, Any]) -> None:
    """Print each result with its limit."""
    for run in report["runs"]:
        cost = f"{run['seconds']:7.1f} s {run['frames_per_second']:6.2f} frames/s {run['peak_gb']:6.2f} GB peak"
        print(f"{run['num_frames']:5d} frames {cost}")
    print(f"without start-up: {report['frames_per_second_without_start']:.2f} frames/s on {report['cores']} cores")
    print(f"speed of the short clip: {report['speed_to_floor']:.2f} times the minimum of {MIN_SPEED} frames/s")
    print(f"peak memory, long to short clip: {report['memory_growth']:.2f} (limit {MAX_GROWTH})")
    print(f"peak memory: {report['memory_to_limit']:.2f} times the limit of {MAX_MEMORY} GB")


if __name__ == "__main__":
    main()

"""Measures `vis segment` end to end: frames a second and peak memory, on a short and on a ten times longer clip.

Run by hand; see README.md beside it.
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
LEAST_SPEED = 1.5  # frames a second on two cores
MOST_GROWTH = 1.5  # of peak memory, from the short clip to the long one
MOST_MEMORY = 3.0  # GB
BYTES_A_UNIT = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss


@dataclass(frozen=True, slots=True)
class Run:
    """Hold what one call of `vis segment` cost."""

    num_frames: int
    seconds: float
    peak_gb: float

    @property
    def speed(self) -> float:
        """Return frames a second, start-up and model loading included."""
        return self.num_frames / self.seconds


def main() -> None:
    """Run both clips, print the figures and their ratios to what is allowed."""
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
    """Read the command line; options that are not this script's are those of `vis segment`."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog="Other options go to `vis segment`.", allow_abbrev=False
    )
    parser.add_argument("--video", type=Path, default=SAMPLE, help="played forth and back to the lengths wanted")
    parser.add_argument("--short", type=int, default=60, help="frames of the short clip")
    parser.add_argument("--long", type=int, default=600, help="frames of the long clip")
    parser.add_argument("--cores", type=int, help="use only so many processor cores (Linux)")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    return parser.parse_known_args()


def measure(video: Path, num_frames: int, folder: Path, options: list[str]) -> Run:
    """Call `vis segment` on a clip of `num_frames` frames, in a process of its own."""
    clip = folder / f"clip-{num_frames}.mp4"
    write_clip(video, num_frames, clip)
    command = [sys.executable, "-m", "vis_cli", "segment", str(clip), "-o", str(folder / "out"), "--quiet", *options]
    start = time.perf_counter()
    process = subprocess.Popen(command)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(f"{' '.join(command)} ended with exit code {process.returncode}")
    return Run(num_frames, seconds, usage.ru_maxrss * BYTES_A_UNIT / 1e9)


def write_clip(video: Path, num_frames: int, path: Path) -> None:
    """Play a video forth and back until `num_frames` frames are written."""
    with av.open(str(video)) as source:
        frames = [frame.to_ndarray(format="rgb24") for frame in itertools.islice(source.decode(video=0), num_frames)]
    height, width = frames[0].shape[:2]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=24)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for frame in itertools.islice(forth_and_back(frames), num_frames):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode(None))


def forth_and_back(frames: list[NDArray[np.uint8]]) -> Iterator[NDArray[np.uint8]]:
    """Give the frames for ever, without a jump and without showing a turning point twice."""
    return itertools.cycle(frames + frames[-2:0:-1])


def summarize(short: Run, long: Run) -> dict[str, Any]:
    """Return the figures and their ratios."""
    marginal = (long.num_frames - short.num_frames) / (long.seconds - short.seconds)
    return {
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "runs": [{**asdict(run), "frames_per_second": run.speed} for run in (short, long)],
        "frames_per_second_without_start": marginal,
        "speed_to_floor": short.speed / LEAST_SPEED,
        "memory_growth": long.peak_gb / short.peak_gb,
        "memory_to_limit": max(short.peak_gb, long.peak_gb) / MOST_MEMORY,
    }


def print_report(report: dict[str, Any]) -> None:
    """Print the figures, each with its limit."""
    for run in report["runs"]:
        cost = f"{run['seconds']:7.1f} s {run['frames_per_second']:6.2f} frames/s {run['peak_gb']:6.2f} GB at most"
        print(f"{run['num_frames']:5d} frames {cost}")
    print(f"without start-up: {report['frames_per_second_without_start']:.2f} frames/s on {report['cores']} cores")
    print(f"speed of the short clip: {report['speed_to_floor']:.2f} times the floor of {LEAST_SPEED} frames/s")
    print(f"memory, long to short: {report['memory_growth']:.2f} (limit {MOST_GROWTH})")
    print(f"memory, of the limit of {MOST_MEMORY} GB: {report['memory_to_limit']:.2f}")


if __name__ == "__main__":
    main()

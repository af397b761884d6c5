"""Compare the speed of `vis segment` on a CPU with an earlier version, with other loads and with YOLO, as ratios.

benchmarks/README.md describes the output. Runs alternate, and each ratio is a ratio of medians.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import speed

# Settings of 79386aa. Pass its weights, too: other weights find other objects, which take other times.
EQUIVALENT = tuple(
    word
    for value in (
        "window=none",
        "cuts=false",
        "score_frames=all",
        "score_source=eq2",
        "calibrate=false",
        "containment=1",
        "overlap=keep",
        "detection_score_threshold=0.5",
    )
    for word in ("--set", value)
)
NUM_BUSY = 2
BUSY = "while True: pass"
# Ends the process when the first frame has passed the network. The stage "read" is the decoding.
FIRST_FRAME = """
import os, sys
from vis_cli import console
def update(self, stage, done, total):
    if stage != "read" and done:
        os._exit(0)
console.BatchProgress.update = update
from vis_cli.app import main
main()
"""
YOLO = """
import sys
from ultralytics import YOLO
for _ in YOLO("yolo11n-seg.yaml", verbose=False).predict(sys.argv[1], imgsz=640, stream=True, verbose=False):
    pass
"""


class Bench:
    """Commands that this script measures, and the measured seconds and gigabytes by the name of the run."""

    def __init__(self, args: argparse.Namespace, folder: Path, options: Sequence[str]) -> None:
        """Write the clips."""
        self.args, self.folder, self.options = args, folder, options
        self.seconds: dict[str, list[float]] = {}
        self.peak_gb: dict[str, list[float]] = {}
        self.clips = {count: folder / f"clip-{count}.mp4" for count in {args.short, args.long}}
        for count, clip in self.clips.items():
            speed.write_clip(args.video, count, clip)

    def segment(self, num_frames: int, *options: str, python: str = sys.executable) -> list[str]:
        """Return the command of `vis segment`."""
        clip, out = str(self.clips[num_frames]), str(self.folder / "out")
        return [python, "-m", "vis_cli", "segment", clip, "-o", out, "--overwrite", "--quiet", *options, *self.options]

    def alternate(self, commands: Mapping[str, list[str]]) -> None:
        """Run each command as often as `--repeats` says, in turn."""
        for _ in range(self.args.repeats):
            for name, command in commands.items():
                self.run(name, command)

    def run(self, name: str, command: Sequence[str], **variables: str) -> None:
        """Run a command once, with environment variables. The Python of this script imports this checkout."""
        path = str(Path(__file__).parents[1]) if command[0] == sys.executable else ""
        environment = {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "", **variables}
        start = time.perf_counter()
        process = subprocess.Popen(command, cwd=self.folder, env=environment, stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        self.seconds.setdefault(name, []).append(time.perf_counter() - start)
        self.peak_gb.setdefault(name, []).append(usage.ru_maxrss * speed.BYTES_PER_UNIT / 1e9)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            raise SystemExit(f"cannot measure: {' '.join(command)} ended with exit code {process.returncode}")

    def median(self, name: str) -> float:
        """Return the median seconds of a run."""
        return statistics.median(self.seconds[name])

    def ratio(self, slow: str, fast: str) -> float:
        """Return how many times as fast the second run is."""
        return self.median(slow) / self.median(fast)


def main() -> None:
    """Run the selected parts, and print their ratios."""
    args, options = parse_args()
    if args.cores is not None:
        os.sched_setaffinity(0, set(sorted(os.sched_getaffinity(0))[: args.cores]))
    report: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as temporary:
        bench = Bench(args, Path(temporary), options)
        for part in args.parts:
            for name, value in PARTS[part](bench):
                report[name] = value
                print(f"{name:72s} {value:8.2f}", flush=True)
        if args.json is not None:
            data = {"ratios": report, "seconds": bench.seconds, "peak_gb": bench.peak_gb}
            args.json.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")


def parse_args() -> tuple[argparse.Namespace, list[str]]:
    """Parse the command line. Return the options of this script, and all other options for `vis segment`."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog="All other options are passed to `vis segment`.", allow_abbrev=False
    )
    parser.add_argument("parts", nargs="*", default=list(PARTS), help=f"what to measure: {', '.join(PARTS)}")
    parser.add_argument("--baseline", metavar="PYTHON", help="Python of a venv with an earlier version")
    parser.add_argument("--yolo", metavar="PYTHON", help="Python of a venv with ultralytics")
    parser.add_argument("--video", type=Path, default=speed.SAMPLE, help="video, repeated to both lengths")
    parser.add_argument("--short", type=int, default=60, help="number of frames of the short clip")
    parser.add_argument("--long", type=int, default=600, help="number of frames of the long clip")
    parser.add_argument("--repeats", type=int, default=3, help="number of runs of each command")
    parser.add_argument("--cores", type=int, help="number of processor cores to use (Linux)")
    parser.add_argument("--json", type=Path, help="JSON file for all measured values")
    args, options = parser.parse_known_args()
    if unknown := set(args.parts) - PARTS.keys():
        parser.error(f"no part {', '.join(sorted(unknown))}. The parts are {', '.join(PARTS)}.")
    return args, options


def compare_versions(bench: Bench) -> Iterator[tuple[str, float]]:
    """Compare with the earlier version, without overlay, and yield speed and peak memory."""
    for count in sorted(bench.clips):
        ours, same, old = (f"{name} {count}" for name in ("default", "equivalent", "baseline"))
        commands = {
            ours: bench.segment(count, "--no-render"),
            same: bench.segment(count, "--no-render", *EQUIVALENT),
        }
        if bench.args.baseline is not None:
            commands[old] = bench.segment(count, "--no-render", python=bench.args.baseline)
        bench.alternate(commands)
        for name in commands:
            yield f"{name} frames: frames/s", count / bench.median(name)
            yield f"{name} frames: peak memory, GB", max(bench.peak_gb[name])
        if bench.args.baseline is not None:
            yield f"{count} frames: speed / speed of the baseline, equivalent settings", bench.ratio(old, same)
            yield f"{count} frames: speed / speed of the baseline, default settings", bench.ratio(old, ours)


def compare_overlay(bench: Bench) -> Iterator[tuple[str, float]]:
    """Compare runs with and without overlay video."""
    for count in sorted(bench.clips):
        drawn, bare = f"with overlay {count}", f"without overlay {count}"
        bench.alternate({drawn: bench.segment(count), bare: bench.segment(count, "--no-render")})
        yield f"{count} frames: time with overlay / time without", bench.ratio(drawn, bare)


def compare_load(bench: Bench) -> Iterator[tuple[str, float]]:
    """Compare runs alone and next to busy processes. `active` lets threads wait actively, as torch does by default."""
    count = bench.args.short
    command = bench.segment(count, "--no-render")
    for _ in range(bench.args.repeats):
        bench.run("alone", command)
        with busy_processes():
            bench.run("next to busy processes", command)
    yield f"speed next to {NUM_BUSY} busy processes / speed alone", bench.ratio("alone", "next to busy processes")
    for _ in range(bench.args.repeats):
        bench.run("active, alone", command, OMP_WAIT_POLICY="active")
        with busy_processes():
            bench.run("active, next to busy processes", command, OMP_WAIT_POLICY="active")
    ratio = bench.ratio("active, alone", "active, next to busy processes")
    yield f"the same if threads wait actively (OMP_WAIT_POLICY=active), {NUM_BUSY} processes", ratio
    yield "alone: speed / speed if threads wait actively", bench.ratio("active, alone", "alone")


@contextmanager
def busy_processes() -> Iterator[None]:
    """Run processes that use all their time on a processor core."""
    processes = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(NUM_BUSY)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def measure_start(bench: Bench) -> Iterator[tuple[str, float]]:
    """Measure the start of commands. Each command runs once before, so that its files are in the cache."""
    videos = f"{speed.SAMPLE.parent}/*.mp4"
    commands = {
        "vis models": [sys.executable, "-m", "vis_cli", "models"],
        "vis --help": [sys.executable, "-m", "vis_cli", "--help"],
        "vis segment --help": [sys.executable, "-m", "vis_cli", "segment", "--help"],
        "first frame of the demo": [sys.executable, "-c", FIRST_FRAME, "segment", videos, "-o", str(bench.folder)],
    }
    for command in commands.values():
        bench.run("warm-up", command)
    bench.alternate(commands)
    for name in commands:
        yield f"{name}: seconds", bench.median(name)


def compare_yolo(bench: Bench) -> Iterator[tuple[str, float]]:
    """Compare with YOLO11n-seg at 640 on every frame without a tracker. Its weights are random."""
    if bench.args.yolo is None:
        return
    count = bench.args.short
    yolo = [bench.args.yolo, "-c", YOLO, str(bench.clips[count])]
    bench.run("warm-up of yolo", yolo)
    bench.alternate({"vis": bench.segment(count, "--no-render"), "yolo": yolo})
    yield "yolo: frames/s", count / bench.median("yolo")
    yield "speed / speed of YOLO11n-seg", bench.ratio("yolo", "vis")


PARTS: dict[str, Callable[[Bench], Iterator[tuple[str, float]]]] = {
    "versions": compare_versions,
    "overlay": compare_overlay,
    "load": compare_load,
    "start": measure_start,
    "yolo": compare_yolo,
}

if __name__ == "__main__":
    main()

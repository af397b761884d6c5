"""Compare the backends torch and openvino: each static part of the network, and `vis segment` without overlay.

benchmarks/README.md describes the output.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import torch
from speed import SAMPLE, write_clip
from vis_process import run_vis

from vis_cli.engine.backend import choose_backend
from vis_cli.engine.device import autocast, choose_precision
from vis_cli.engine.frames import network_size, resize_frame
from vis_cli.messages import NoMessages
from vis_cli.network import openvino
from vis_cli.network.accelerate import accelerate
from vis_cli.network.memory import MemoryBank, MemoryRule
from vis_cli.network.protocol import VideoNetwork
from vis_cli.records.video import open_video
from vis_cli.settings import RunSettings
from vis_cli.zoo.weights import load_model

CPU = torch.device("cpu")
BACKENDS = {"torch": "backend=torch", "openvino": "backend=openvino", "int8": "precision=int8"}  # name -> `--set`
Times: TypeAlias = dict[str, dict[str, list[float]]]  # part -> backend -> times
ALL_PARTS = frozenset({"memory", "decoder"})


def main() -> None:
    """Measure, and print the times and their ratios to torch."""
    args = parse_args()
    if args.cores is not None:
        os.sched_setaffinity(0, set(sorted(os.sched_getaffinity(0))[: args.cores]))
        torch.set_num_threads(args.cores)
    report: dict[str, Any] = {"threads": torch.get_num_threads(), "precision": args.precision}
    if args.repeats > 0:
        report["parts"], report["parts_cpu"] = measure_parts(args)
    if args.runs > 0:
        report["commands"] = measure_commands(args)
    print_report(report)
    if args.json is not None:
        args.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="lite", help="name or folder of a model")
    parser.add_argument("--backends", nargs="+", choices=BACKENDS, default=["torch", "openvino"])
    parser.add_argument("--precision", choices=["auto", "float32", "bfloat16"], default="auto")
    parser.add_argument("--objects", type=int, default=4, help="number of objects that are memorized and decoded")
    parser.add_argument("--repeats", type=int, default=10, help="measurements of each part; 0: none")
    parser.add_argument("--runs", type=int, default=3, help="runs of the command per backend; 0: none")
    parser.add_argument("--frames", type=int, default=60, help="number of frames of the clip of the command")
    parser.add_argument("--cores", type=int, help="number of processor cores to use (Linux)")
    parser.add_argument("--json", type=Path, help="JSON file for the results")
    return parser.parse_args()


def measure_parts(args: argparse.Namespace) -> tuple[Times, Times]:
    """Return wall time and CPU time of each part in milliseconds. The backends take turns."""
    openvino.faster_parts = lambda precision: ALL_PARTS  # type: ignore[assignment]  # also the parts that torch computes
    precision = choose_precision(args.precision, CPU)
    with torch.inference_mode(), autocast(CPU, precision):
        calls = {name: part_calls(make_network(args, name), args.objects) for name in args.backends}
        parts = list(next(iter(calls.values())))
        wall: Times = {part: {name: [] for name in calls} for part in parts}
        cpu: Times = {part: {name: [] for name in calls} for part in parts}
        for repeat in range(args.repeats + 1):  # the first one compiles
            for part in parts:
                for name in calls:
                    start, cpu_start = time.perf_counter(), time.process_time()
                    calls[name][part]()
                    if repeat > 0:
                        wall[part][name].append((time.perf_counter() - start) * 1000)
                        cpu[part][name].append((time.process_time() - cpu_start) * 1000)
    return wall, cpu


def make_network(args: argparse.Namespace, backend: str) -> VideoNetwork:
    """Return the model on a backend."""
    plain = load_model(args.model).model
    settings = {"openvino": {"backend": "openvino"}, "int8": {"precision": "int8"}, "torch": {"backend": "torch"}}
    run = RunSettings(**({"precision": args.precision} | settings[backend]))  # type: ignore[arg-type]
    options = choose_backend(run, CPU, NoMessages())
    fast = accelerate(plain, CPU)
    return fast if options is None else openvino.use_openvino(plain, fast, options)


def part_calls(network: VideoNetwork, num_objects: int) -> dict[str, Callable[[], object]]:
    """Return a call of each part, at the input size of the model."""
    frame = next(iter(open_video(SAMPLE).iter_frames()))
    config = network.config
    size = network_size(frame.shape[:2], short_side=config.short_side, long_side=config.long_side)
    image = torch.from_numpy(resize_frame(frame, size)).permute(2, 0, 1)[None].float()
    masks = torch.rand(num_objects, *size, generator=torch.Generator().manual_seed(0))
    features = network.encode_frames(image)
    query = network.encode_query(features)
    memory = MemoryBank(network.memorize(features, masks), MemoryRule())
    return {
        "encode": lambda: network.encode_query(network.encode_frames(image)),
        "memorize": lambda: network.memorize(features, masks),
        "read and decode": lambda: network.propagate(query, [memory]),
    }


def measure_commands(args: argparse.Namespace) -> dict[str, list[dict[str, float]]]:
    """Return wall and CPU seconds of `vis segment --no-render` by backend. The backends take turns."""
    costs: dict[str, list[dict[str, float]]] = {name: [] for name in args.backends}
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder, "clip.mp4")
        write_clip(SAMPLE, args.frames, clip)
        for run in range(args.runs + 1):  # the first one fills the cache of converted networks
            for name in args.backends:
                options = ["--model", args.model, "--no-render", "--overwrite", "--set", BACKENDS[name]]
                if name != "int8":
                    options += ["--precision", args.precision]
                cost = run_vis(name, ["segment", str(clip), "-o", str(Path(folder, "out")), *options])
                if run > 0:
                    costs[name].append({"seconds": cost.seconds, "cpu_seconds": cost.cpu_seconds, "gb": cost.peak_gb})
    return costs


def print_report(report: dict[str, Any]) -> None:
    """Print minimum and median of each time, and its ratio to the first backend."""
    print(f"{report['threads']} threads, precision {report['precision']}")
    for field, unit in (("parts", "ms"), ("parts_cpu", "ms of CPU time")):
        for part, times in report.get(field, {}).items():
            print_times(part, times, unit)
    commands = report.get("commands", {})
    for field, unit in (("seconds", "s"), ("cpu_seconds", "s of CPU time"), ("gb", "GB")):
        if commands:
            print_times("vis segment", {name: [run[field] for run in runs] for name, runs in commands.items()}, unit)


def print_times(title: str, times: dict[str, list[float]], unit: str) -> None:
    """Print one line per backend."""
    first = next(iter(times.values()))
    for name, values in times.items():
        low, middle = min(values), statistics.median(values)
        ratios = f"ratio {min(first) / low:.2f}, {statistics.median(first) / middle:.2f}"
        print(f"{title:16} {name:9} minimum {low:8.2f}, median {middle:8.2f} {unit}; {ratios}")


if __name__ == "__main__":
    main()

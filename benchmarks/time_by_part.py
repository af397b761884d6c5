"""Measure where the time of a segmentation goes, and draw the figure of docs/explanation/speed.md.

    python benchmarks/time_by_part.py --frames 60
    python benchmarks/time_by_part.py --frames 60 --figure docs/explanation/time_by_part.png

The methods of the network and of the engine are wrapped with a clock. Work in a second thread is measured there, so the
sum of the parts can exceed the time of the run. benchmarks/README.md describes the output.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from speed import SAMPLE

from vis_cli.engine import propose
from vis_cli.engine.segmenter import Segmenter
from vis_cli.records.video import open_video
from vis_cli.settings import find_preset
from vis_cli.zoo.detectors.boxes_and_masks import BoxesAndMasks

WARM_UP = 4  # frames of a first run, which is not measured


class Clock:
    """Seconds of each part, in all threads."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self.calls: dict[str, int] = defaultdict(int)

    def wrap(self, owner: Any, name: str, part: str) -> None:
        """Measure a method or a function of a class, an object or a module."""
        function: Callable[..., Any] = getattr(owner, name)

        def measured(*args: Any, **options: Any) -> Any:
            start = time.perf_counter()
            result = function(*args, **options)
            self.seconds[part] += time.perf_counter() - start
            self.calls[part] += 1
            return result

        setattr(owner, name, measured)


def main() -> None:
    """Segment the first frames of a video and print the time of each part."""
    args = parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    frames = read_frames(args.video, args.frames)
    segmenter = Segmenter(args.model, config=find_preset(args.preset))
    clock = Clock()
    wrap_parts(segmenter, clock)
    segmenter.segment(frames[:WARM_UP])
    clock.seconds.clear()
    clock.calls.clear()
    start = time.perf_counter()
    result = segmenter.segment(frames)
    total = time.perf_counter() - start
    per_frame = {part: 1e3 * seconds / len(frames) for part, seconds in clock.seconds.items()}
    per_frame["other"] = max(0.0, 1e3 * total / len(frames) - sum(per_frame.values()))
    print(
        f"{args.model}, {len(frames)} frames, {len(result.instances)} instances, {torch.get_num_threads()} threads, ",
        end="",
    )
    print(f"torch {torch.__version__}: {len(frames) / total:.2f} frames/s")
    for part, milliseconds in sorted(per_frame.items(), key=lambda item: -item[1]):
        print(f"{part:24s} {milliseconds:7.1f} ms and {clock.calls[part] / len(frames):5.2f} calls per frame")
    if args.figure is not None:
        draw(per_frame, args.figure)


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--video", type=Path, default=SAMPLE)
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--model", default="lite")
    parser.add_argument("--preset", default="default")
    parser.add_argument("--threads", type=int, help="threads of torch; default: all cores")
    parser.add_argument("--figure", type=Path, help="draw a bar for each part; needs matplotlib")
    return parser.parse_args()


def read_frames(path: Path, num_frames: int) -> NDArray[np.uint8]:
    """Return the first frames of a video, (T, H, W, 3)."""
    frames = []
    for frame in open_video(path).iter_frames():
        frames.append(np.array(frame))
        if len(frames) == num_frames:
            break
    return np.stack(frames)


def wrap_parts(segmenter: Segmenter, clock: Clock) -> None:
    """Measure the parts of the method. No part contains another one."""
    network: Any = segmenter._network
    clock.wrap(network, "detect", "detection in key frames")
    if isinstance(network, BoxesAndMasks):
        network = network.network  # its box head is a part of the detection
    else:
        clock.wrap(network, "class_probs", "classes (Eq. 2)")
    clock.wrap(network.backbone, "forward", "backbone")
    clock.wrap(network, "_build_finest_level", "FPN")
    clock.wrap(network.fpn, "forward", "FPN")
    if network.config.detector_fpn:
        clock.wrap(network.detector_fpn, "forward", "FPN of the detector")
    clock.wrap(network, "encode_query", "query and skip encoder")
    clock.wrap(network, "memorize", "memory encoder")
    clock.wrap(network.prop_head, "read", "memory readout")
    clock.wrap(network.prop_head, "decode", "mask decoder")
    clock.wrap(propose, "encode_probs", "RLE")
    clock.wrap(propose, "pack_probs", "stored probabilities")


def draw(per_frame: dict[str, float], path: Path) -> None:
    """Draw one bar for each part."""
    from matplotlib.figure import Figure

    parts = sorted(per_frame.items(), key=lambda item: item[1])
    figure = Figure(figsize=(7, 3.6), layout="constrained")
    axes = figure.subplots()
    bars = axes.barh([part for part, _ in parts], [milliseconds for _, milliseconds in parts], color="#4477aa")
    axes.bar_label(bars, fmt="%.0f", padding=3)
    axes.set_xlabel("milliseconds per frame")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path)


if __name__ == "__main__":
    main()

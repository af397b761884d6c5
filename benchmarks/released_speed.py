"""Compare time per frame and peak memory of the paper's r50 with the authors' implementation, on a CPU.

The weights are random. The detector runs, but five disjoint ellipses per key frame replace its detections, so each run
does the same work. The authors' implementation was measured on another machine. Each measurement therefore runs a
second time without `accelerate` and the reuse of buffers, which gives a ratio on one machine.

With --device, the script measures only the time per frame. benchmarks/README.md describes the output.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
import torch

from vis_cli.engine import segmenter as segmenter_module
from vis_cli.engine.segmenter import Segmenter
from vis_cli.network.seq_mask_rcnn import SeqMaskRCNN
from vis_cli.network.structures import Detections, FrameFeatures
from vis_cli.records.types import ModelInfo
from vis_cli.records.video import open_video
from vis_cli.settings import PRESETS, RunSettings
from vis_cli.zoo.released import released_config
from vis_cli.zoo.weights import LoadedModel

WIDTH, HEIGHT = 640, 360
NUM_OBJECTS = 5
NUM_KEY_FRAMES = 5
# Authors' implementation, 2 cores with AVX-512, float32, 16 frames. Memory stride -> (seconds per frame, peak GiB).
RELEASED = {1: (15.2, 2.73), 5: (9.5, 2.51)}
RELEASED_ENCODE = 0.33  # its seconds for backbone and FPN, to compare the speed of the machines
FLOORS, AIM = {1: 3.5, 5: 3.0}, 5.0  # minimum ratio to the authors' implementation by memory stride, and target
MEASURED = ("seconds_per_frame", "cpu_seconds_per_frame", "encode_seconds", "peak_gib")
BYTES_PER_UNIT = 1 if sys.platform == "darwin" else 1024  # unit of ru_maxrss


class FiveEllipses(SeqMaskRCNN):
    """Network that runs its detector and returns the same five ellipses in each key frame."""

    def detect(self, features: FrameFeatures, **options: object) -> Detections:
        """Run the detector and return NUM_OBJECTS disjoint ellipses."""
        super().detect(features, **(options | {"score_threshold": 0.0}))  # type: ignore[arg-type]  # up to 10 masks
        masks = torch.from_numpy(np.stack([ellipse(number, features.image_size) for number in range(NUM_OBJECTS)]))
        boxes, labels = torch.zeros(NUM_OBJECTS, 4), torch.arange(1, NUM_OBJECTS + 1)
        scores = torch.linspace(0.9, 0.5, NUM_OBJECTS)
        class_probs = torch.zeros(NUM_OBJECTS, self.config.num_classes + 1)
        class_probs[range(NUM_OBJECTS), labels] = scores
        detections = (boxes, scores, labels, class_probs, masks)
        return Detections(*(part.to(features.pyramid[0].device) for part in detections))


def ellipse(number: int, size: tuple[int, int]) -> np.ndarray:
    """Return the ellipse of an object as float32 (h, w) of 0 and 1."""
    height, width = size
    centre = (int(width * (number + 0.5) / NUM_OBJECTS), height // 2)
    axes = (int(0.4 * width / NUM_OBJECTS), height // 4)
    return cv2.ellipse(np.zeros(size, np.float32), centre, axes, 0, 0, 360, 1.0, cv2.FILLED)


def main() -> None:
    """Measure each memory stride in a separate process, and print the results next to the authors' implementation."""
    args = parse_args()
    if args.stride is not None:
        print(json.dumps(measure(args)))
        return
    reports = []
    for stride in RELEASED:
        words = [f"--{name}={getattr(args, name)}" for name in ("frames", "threads", "precision", "device")]
        words.append(f"--stride={stride}")
        if args.device != "cpu":
            reports.append(ours := run_apart(words))
            seconds = ours["seconds_per_frame"]
            print(f"memory stride {stride}, on {args.device}: {seconds:.3f} s per frame, {1 / seconds:.1f} frames/s")
            continue
        ours, plain = (run_apart([*words, *more]) for more in ([], ["--plain"]))
        print_report(ours, plain)
        reports.append(ours | {f"plain_{name}": plain[name] for name in MEASURED})
    if args.json is not None:
        args.json.write_text(json.dumps(reports, indent=1) + "\n", encoding="utf-8")


def run_apart(words: list[str]) -> dict[str, float]:
    """Measure in a separate process, so that the peak memory belongs to this run only."""
    done = subprocess.run([sys.executable, __file__, *words], check=True, capture_output=True, text=True)
    report: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return report


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=16, help="number of frames of the video")
    parser.add_argument("--threads", type=int, default=2, help="number of threads of torch")
    parser.add_argument("--precision", default="float32", help="float32, bfloat16 or auto")
    parser.add_argument("--device", default="cpu", help="cpu, cuda or another device of torch")
    parser.add_argument("--stride", type=int, choices=RELEASED, help="measure only this memory stride, print JSON")
    parser.add_argument(
        "--plain", action="store_true", help="with --stride: without accelerate and the reuse of buffers"
    )
    parser.add_argument("--json", type=Path, help="JSON file for the results")
    return parser.parse_args()


def measure(args: argparse.Namespace) -> dict[str, float]:
    """Segment a video of moving colour gradients, and return time and peak memory."""
    torch.set_num_threads(args.threads)
    if args.plain:
        segmenter_module.accelerate = lambda network, device: network.to(device).to(memory_format=torch.channels_last)
        segmenter_module.tune_malloc = bool  # changes nothing
    torch.manual_seed(0)
    network = FiveEllipses(released_config("r50", "ytvis2019")).eval().requires_grad_(False)
    config = dataclasses.replace(
        PRESETS["released-ytvis"], num_key_frames=NUM_KEY_FRAMES, memory_stride=args.stride, score_threshold=0.0
    )
    run = RunSettings(device=args.device, precision=args.precision)  # type: ignore[arg-type]
    segmenter = Segmenter(LoadedModel(network, ModelInfo("r50", "random")), config=config, run=run)
    with tempfile.TemporaryDirectory() as folder:
        write_frames(Path(folder), args.frames)
        if args.device != "cpu":
            segmenter.segment(open_video(Path(folder)))  # a GPU loads its kernels at the first use
        encode_seconds = time_encode(network)
        start, cpu_start = time.perf_counter(), time.process_time()
        segmenter.segment(open_video(Path(folder)))
        seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu_start
        encode_seconds = (encode_seconds + time_encode(network)) / 2
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * BYTES_PER_UNIT / 2**30
    return {
        "stride": args.stride,
        "frames": args.frames,
        "seconds_per_frame": seconds / args.frames,
        "cpu_seconds_per_frame": cpu_seconds / args.frames,
        "encode_seconds": encode_seconds,
        "peak_gib": peak,
    }


@torch.inference_mode()
def time_encode(network: SeqMaskRCNN, runs: int = 5) -> float:
    """Return the median seconds of backbone and FPN of the plain network for one frame."""
    seconds = []
    frame = torch.zeros(1, 3, HEIGHT, WIDTH, device=next(network.parameters()).device)
    for _ in range(runs + 1):  # the first run is a warm-up
        start = time.perf_counter()
        network.encode_frames(frame).c2.sum().item()  # waits for the GPU
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[1:])


def write_frames(folder: Path, num_frames: int) -> None:
    """Write a colour gradient that moves by 4 pixels per frame."""
    across, down = np.meshgrid(np.linspace(0, 255, WIDTH), np.linspace(0, 255, HEIGHT))
    image = np.stack([across, down, 255 - across], axis=-1).astype(np.uint8)
    for index in range(num_frames):
        cv2.imwrite(str(folder / f"{index:05d}.png"), np.roll(image, 4 * index, axis=1))


def print_report(ours: dict[str, float], plain: dict[str, float]) -> None:
    """Print the results of one memory stride, and their ratios to the authors' implementation and to plain PyTorch."""
    stride = int(ours["stride"])
    seconds, gib = RELEASED[stride]
    ratio, cpu_ratio = (plain[name] / ours[name] for name in ("seconds_per_frame", "cpu_seconds_per_frame"))
    released = seconds / ours["seconds_per_frame"]
    scaled = released * ours["encode_seconds"] / RELEASED_ENCODE
    print(f"memory stride {stride}, {ours['frames']} frames, {NUM_KEY_FRAMES} key frames:")
    print(f"  {ours['seconds_per_frame']:6.2f} s per frame, {ours['cpu_seconds_per_frame']:.2f} s of processor time")
    print(f"  {plain['seconds_per_frame']:6.2f} s per frame with plain PyTorch, {ratio:.2f} times as long")
    print(f"  {plain['cpu_seconds_per_frame']:6.2f} s of processor time with it, {cpu_ratio:.2f} times as long")
    print(f"  {seconds:6.2f} s per frame of the authors' implementation on its machine")
    print(f"  {released:6.2f} times as fast as that (minimum {FLOORS[stride]}, target {AIM})")
    print(
        f"  {ours['encode_seconds']:6.2f} s for backbone and FPN with plain PyTorch, {RELEASED_ENCODE} s on its machine"
    )
    print(f"  {scaled:6.2f} times as fast if both machines had the same speed")
    print(
        f"  {ours['peak_gib']:6.2f} GiB peak memory, {plain['peak_gib']:.2f} with plain PyTorch, {gib} of the authors"
    )


if __name__ == "__main__":
    main()

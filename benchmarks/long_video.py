"""Measure time and peak memory of `vis segment` with windows, by the length of the video.

    ONE="--box 0:86,8,160,90 --also-detect --set detection_score_threshold=0.99"
    python benchmarks/long_video.py --short-side 96 --no-render $ONE
    python benchmarks/long_video.py --frames --interrupted 20000 --short-side 64 --no-render $ONE

One scene is repeated forward and backward in time. The options in ONE give one object, and no detection has a score
that starts another one. Thus the number of live objects is constant. The second command interrupts a run in the
middle, resumes it, and compares its result with a run that is not interrupted. Then it measures the commands that read
the result. benchmarks/README.md describes the output.
"""

from __future__ import annotations

import argparse
import itertools
import json
import signal
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import av
import cv2
from speed import SAMPLE, repeat_frames
from vis_process import Cost, run_vis

SIZE = (160, 90)  # width and height of the clips
LENGTHS = (300, 1200, 4800)
MAX_TIME_RATIO = 4.2  # for four times as many frames
MAX_MEMORY_RATIO = 1.1
MAX_GB = 2.0  # of each command


def main() -> None:
    """Measure the lengths and the interrupted run, and print one line per command."""
    args, options = parse_args()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job of a shell ignores it, also in `vis`
    costs: list[Cost] = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for num_frames in args.frames:
            clip = write_clip(args.video, num_frames, folder / f"clip-{num_frames}.mp4")
            command = ["segment", str(clip), "-o", str(folder / "out"), *options]
            costs.append(measure(f"{num_frames} frames", command))
        for short, long in itertools.pairwise(costs):
            print(f"{long.name} / {short.name}: {long.seconds / short.seconds:.2f} times the time, ", end="")
            print(f"{long.cpu_seconds / short.cpu_seconds:.2f} times the CPU time (limit {MAX_TIME_RATIO}), ", end="")
            print(f"{long.peak_gb / short.peak_gb:.2f} times the memory ", end="")
            print(f"(limit {MAX_MEMORY_RATIO})")
        if args.interrupted:
            costs += measure_interrupted(args.video, args.interrupted, folder, options)
    if args.json is not None:
        args.json.write_text(json.dumps([asdict(cost) for cost in costs], indent=1) + "\n", encoding="utf-8")


def parse_args() -> tuple[argparse.Namespace, list[str]]:
    """Parse the command line. Return the options of this script, and all other options for `vis segment`."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="All other options are passed to `vis segment`.",
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--video", type=Path, default=SAMPLE, help="video that is repeated forward and backward in time"
    )
    parser.add_argument("--frames", type=int, nargs="*", default=LENGTHS, help="numbers of frames")
    parser.add_argument("--interrupted", type=int, default=0, help="number of frames of the interrupted run; 0: none")
    parser.add_argument("--json", type=Path, help="JSON file for the results")
    return parser.parse_known_args()


def measure_interrupted(video: Path, num_frames: int, folder: Path, options: Sequence[str]) -> list[Cost]:
    """Compare an interrupted run with a complete run, and measure the commands that read the result."""
    clip = write_clip(video, num_frames, folder / "clip.mp4")
    complete, resumed = folder / "complete" / "clip.json", folder / "resumed" / "clip.json"
    segment = ["segment", str(clip), *options]
    sizes: list[int] = []  # of the finished masks in bytes, during the complete run

    def record() -> bool:
        sizes.append(mask_bytes(complete))
        return False

    def is_in_the_middle() -> bool:
        return mask_bytes(resumed) >= max(sizes[len(sizes) // 2], 1)

    costs = [measure(f"{num_frames} frames, not interrupted", [*segment, "-o", str(complete.parent)], stop=record)]
    costs.append(measure("interrupted in the middle", [*segment, "-o", str(resumed.parent)], stop=is_in_the_middle))
    costs.append(measure("resumed", [*segment, "-o", str(resumed.parent)]))
    print(f"equal results: {resumed.read_bytes() == complete.read_bytes()}, {resumed.stat().st_size / 1e6:.1f} MB")
    truth, source = folder / "truth.json", str(resumed)
    costs += [
        measure("render", ["render", source, "-o", str(folder / "overlay.mp4")]),
        measure("export --to coco-video", ["export", source, "--to", "coco-video", "-o", str(truth)]),
        measure("eval", ["eval", source, "--annotations", str(truth)]),
        measure("export-json", ["export-json", source, "--format", "davis", "-o", str(folder / "davis")]),
    ]
    return costs


def mask_bytes(result: Path) -> int:
    """Return the size of the finished masks of a running process."""
    try:
        return (result.with_name(f".{result.name}.part") / "masks").stat().st_size
    except FileNotFoundError:
        return 0


def measure(name: str, arguments: Sequence[str], *, stop: Callable[[], bool] = lambda: False) -> Cost:
    """Run `vis` in a separate process, and print its cost. Send SIGINT once `stop` returns True."""
    cost = run_vis(name, arguments, stop=stop)
    times = f"{cost.seconds:8.1f} s, {cost.cpu_seconds:8.1f} s of CPU time"
    print(f"{name:28} {times}, {cost.peak_gb:6.2f} GB peak (limit {MAX_GB:g})", flush=True)
    return cost


def write_clip(video: Path, num_frames: int, path: Path) -> Path:
    """Write `num_frames` small frames of a video, repeated forward and backward in time."""
    with av.open(str(video)) as source:
        decoded = (frame.to_ndarray(format="rgb24") for frame in source.decode(video=0))
        frames = [
            cv2.resize(frame, SIZE, interpolation=cv2.INTER_AREA) for frame in itertools.islice(decoded, num_frames)
        ]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=24)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        for frame in itertools.islice(repeat_frames(frames), num_frames):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode(None))
    return path


if __name__ == "__main__":
    main()

"""Measure `vis report` and `vis export` on a long result with many instances, and the page in Chromium.

    python benchmarks/report.py
    python benchmarks/report.py --instances 200 --json report.json

The result has random masks: 20 sequences with gaps, repeated with other times. The page is opened if Playwright and a
Chromium are installed. benchmarks/README.md describes the output.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import shutil
import tempfile
import time
from itertools import islice
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from speed import SAMPLE, repeat_frames
from vis_process import run_vis

from vis_cli.records.result_json import write_result
from vis_cli.records.rle import Rle, encode_mask
from vis_cli.records.source_identity import identify_source
from vis_cli.records.types import Category, InstanceSequence, ModelInfo, VideoInfo, VideoResult

SIZE = (640, 360)  # width and height
FPS = 25
SHAPES = 20  # different sequences; more instances repeat them with other times
GAP_FRAMES, GAP_PERIOD = 97, 11  # every 11th period of 97 frames shows no object
NUM_SEEKS = 20
MAX_SECONDS, MAX_GB = 20.0, 1.0  # of `vis report` with 5,000 frames x 20 instances on two idle cores
SEEK = """async ([frames]) => {
    const field = document.getElementById("frame"), canvas = document.getElementById("masks"), times = [];
    for (const frame of frames) {
        const start = performance.now();
        field.value = frame;
        field.dispatchEvent(new Event("input"));
        while (canvas.dataset.frame !== String(frame)) await new Promise((resolve) => setTimeout(resolve, 1));
        times.push(performance.now() - start);
    }
    return times;
}"""
PLAY = """async (seconds) => {
    const canvas = document.getElementById("masks"), shown = new Set();
    const observer = new MutationObserver(() => shown.add(canvas.dataset.frame));
    observer.observe(canvas, { attributes: true });
    document.getElementById("play").click();
    await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
    document.getElementById("play").click();
    observer.disconnect();
    return shown.size / seconds;
}"""
FILTER = """() => {
    const start = performance.now(), field = document.getElementById("filter-score");
    field.value = 0.5;
    field.dispatchEvent(new Event("input"));
    return performance.now() - start;
}"""


def main() -> None:
    """Make a video and a result, run the commands, and open the page."""
    args = parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        result = make_result(write_clip(args.frames, folder / "clip.mp4"), args.frames, args.instances)
        write_result(result, folder / "clip.json")
        size = (folder / "clip.json").stat().st_size / 1e6
        print(f"{args.frames} frames x {args.instances} instances, NAME.json {size:.1f} MB, {os.cpu_count()} cores")
        outputs = {"csv": "t.csv", "cvat": "t.xml"}
        report: dict[str, Any] = {"frames": args.frames, "instances": args.instances, "commands": []}
        for kind, name in outputs.items():
            arguments = ["export", str(folder / "clip.json"), "--to", kind, "-o", str(folder / name)]
            report["commands"].append(measure(f"export --to {kind}", arguments))
        page = folder / "page.html"
        report["commands"].append(measure("report", ["report", str(folder / "clip.json"), "-o", str(page)]))
        print(f"limit of report with 5000 frames x 20 instances: {MAX_SECONDS:g} s, {MAX_GB:g} GB")
        print(f"page {page.stat().st_size / 1e6:.1f} MB")
        report["page_mb"] = page.stat().st_size / 1e6
        report["browser"] = open_page(page, args.frames)
    if args.json is not None:
        args.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=5000, help="number of frames")
    parser.add_argument("--instances", type=int, default=20, help="number of instances")
    parser.add_argument("--json", type=Path, help="JSON file for the results")
    return parser.parse_args()


def write_clip(num_frames: int, path: Path) -> Path:
    """Write frames of a sample video, repeated forward and backward in time, as H.264 with B-frames."""
    with av.open(str(SAMPLE)) as source:
        frames = [cv2.resize(frame.to_ndarray(format="rgb24"), SIZE) for frame in source.decode(video=0)]
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=FPS, options={"preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        for frame in islice(repeat_frames(frames), num_frames):
            output.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        output.mux(stream.encode(None))
    return path


def make_result(video: Path, num_frames: int, num_instances: int) -> VideoResult:
    """Return a result with moving blobs."""
    rng = np.random.default_rng(0)
    shapes = [_sequence(rng, num_frames) for _ in range(min(SHAPES, num_instances))]
    names = ("person", "dog", "cat", "car", "bicycle", "giraffe")
    instances = []
    for index in range(num_instances):
        shift = index // SHAPES * 233 % num_frames
        masks = shapes[index % SHAPES][shift:] + shapes[index % SHAPES][:shift]
        category, score = int(rng.integers(1, len(names) + 1)), float(rng.uniform(0.1, 0.95))
        instances.append(
            InstanceSequence(index + 1, category, score, {category: score}, 0, tuple(masks), confident=score > 0.3)
        )
    info = VideoInfo(
        "clip",
        video,
        *SIZE,
        float(FPS),
        num_frames,
        source=dataclasses.replace(identify_source(video), path=video),
        timestamps=tuple(frame / FPS for frame in range(num_frames)),
    )
    categories = tuple(Category(number, name) for number, name in enumerate(names, start=1))
    return VideoResult(info, ModelInfo("lite", "ab" * 32), {}, categories, tuple(instances))


def _sequence(rng: np.random.Generator, num_frames: int) -> list[Rle | None]:
    """Return the masks of a blob that moves on an ellipse and changes its outline."""
    width, height = SIZE
    center, radius = rng.uniform((60, 60), (width - 60, height - 60)), float(rng.uniform(15, 70))
    phase, speed, period = float(rng.uniform(0, 2 * np.pi)), float(rng.uniform(0.005, 0.03)), int(rng.integers(11))
    angles = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    masks: list[Rle | None] = []
    for frame in range(num_frames):
        if (frame // GAP_FRAMES + period) % GAP_PERIOD == 0:
            masks.append(None)
            continue
        waves = 0.18 * np.sin(3 * angles + phase + frame * 0.05) + 0.06 * np.sin(9 * angles + frame * 0.2)
        radii = radius * (1 + waves) + rng.normal(0, 0.6, len(angles))
        turn = phase + speed * frame
        outline = center + np.array([80 * np.sin(turn), 50 * np.cos(1.3 * turn)])
        outline = outline + radii[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)
        mask = np.zeros((height, width), np.uint8)
        cv2.fillPoly(mask, [outline.round().astype(np.int32)], 1)
        masks.append(encode_mask(mask.astype(np.bool_)) if mask.any() else None)
    return masks


def measure(name: str, arguments: list[str]) -> dict[str, Any]:
    """Run `vis` in a separate process. Print and return its time, CPU time and peak memory."""
    cost = run_vis(name, arguments)
    times = f"{cost.seconds:7.1f} s, CPU time {cost.cpu_seconds:6.1f} s"
    print(f"{name:18} {times}, {cost.peak_gb:.2f} GB peak", flush=True)
    return dataclasses.asdict(cost)


def open_page(path: Path, num_frames: int) -> dict[str, float] | None:
    """Open a page in headless Chromium. Return times and memory, or None without Playwright or Chromium."""
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        chromium = None
    if chromium is None:
        print("the page is not opened: Playwright or Chromium is not installed")
        return None
    frames = [(500 + 1237 * number) % num_frames for number in range(1, NUM_SEEKS + 1)]
    with sync_playwright() as tools:
        browser = tools.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--enable-precise-memory-info"])
        page = browser.new_page(viewport={"width": 1360, "height": 900})
        page.set_default_timeout(600_000)
        start = time.perf_counter()
        page.goto(path.as_uri())
        page.wait_for_selector("body.ready", state="attached")
        ready = time.perf_counter() - start
        while not page.evaluate("document.getElementById('video').readyState >= 2"):
            page.wait_for_timeout(20)
        found = {"ready_seconds": ready, "video_seconds": time.perf_counter() - start}
        seeks = sorted(page.evaluate(SEEK, [frames]))
        steps = sorted(page.evaluate(SEEK, [list(range(num_frames // 2, num_frames // 2 - NUM_SEEKS, -1))]))
        found |= {"seek_ms": seeks[NUM_SEEKS // 2], "slowest_seek_ms": seeks[-1]}
        found |= {"step_back_ms": steps[NUM_SEEKS // 2], "slowest_step_back_ms": steps[-1]}
        found["filter_ms"] = page.evaluate(FILTER)
        found["frames_per_second"] = page.evaluate(PLAY, 3)
        session = page.context.new_cdp_session(page)
        session.send("HeapProfiler.collectGarbage")
        found["heap_mb"] = page.evaluate("performance.memory.usedJSHeapSize / 1e6")
        browser.close()
    for name, value in found.items():
        print(f"{name:22} {value:8.2f}")
    return found


if __name__ == "__main__":
    main()

"""Measure time and peak memory of `vis eval` on a synthetic split with the size of YouTube-VIS.

For comparison, measure a slow transcription of the scoring rules. benchmarks/README.md describes the output.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # the slow transcription of the rules is a part of the tests

from tests.metrics.literal_youtube_vis import LiteralObject, literal_scores  # noqa: E402
from vis_cli.records.rle import Rle, decode_rle, encode_mask, rle_areas  # noqa: E402

MAX_SECONDS = 60.0  # on two cores, for the complete split
MAX_MEMORY = 2.0  # GB, sum of all processes
HEIGHT, WIDTH = 360, 640
NUM_FRAMES = 36
NUM_VIDEOS = 300
NUM_PREDICTIONS = 100  # per video
NUM_OBJECTS = 4  # per video
NUM_CATEGORIES = 40
NUM_PATHS = 120  # different objects; encoding a million different masks takes longer than scoring them
LITERAL_FRACTION = 0.1  # of the videos, for the slow transcription
SAMPLE_SECONDS = 0.1  # seconds between two measurements of the memory

Sequences = Sequence[list[Rle]]


@dataclass(frozen=True, slots=True)
class Run:
    """Time, peak memory and AP of one call of `vis eval`."""

    num_videos: int
    seconds: float
    peak_gb: float  # counts shared pages once
    ap: float


class DecodedMasks(Sequence[NDArray[np.bool_] | None]):
    """Sequence of masks that decodes a mask at each access, to save memory."""

    def __init__(self, rles: list[Rle]) -> None:
        """Store the encoded masks."""
        self._rles = rles

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self._rles)

    def __getitem__(self, frame: Any) -> Any:
        """Return the (H, W) mask of a frame."""
        return decode_rle(self._rles[frame])


def main() -> None:
    """Create the split, score it, and print time and memory with their limits."""
    args = parse_args()
    if args.cores is not None:
        os.sched_setaffinity(0, set(sorted(os.sched_getaffinity(0))[: args.cores]))
    rng = np.random.default_rng(0)
    paths = [make_path(rng) for _ in range(NUM_PATHS)]
    num_videos = round(NUM_VIDEOS * args.fraction)
    truths, predictions = draw_split(num_videos, rng)
    with tempfile.TemporaryDirectory() as temporary:
        run = measure(truths, predictions, paths, num_videos, Path(temporary), args.cores)
    print_run(run)
    report = asdict(run)
    if not args.no_literal:
        report["literal"] = time_literal(truths, predictions, paths, round(num_videos * LITERAL_FRACTION))
    if args.json is not None:
        args.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--fraction", type=float, default=1.0, help=f"fraction of the {NUM_VIDEOS} videos, above 0 to 1"
    )
    parser.add_argument("--cores", type=int, default=2, help="number of processor cores to use (Linux)")
    parser.add_argument("--no-literal", action="store_true", help="skip the slow transcription of the rules")
    parser.add_argument("--json", type=Path, help="JSON file for the results")
    return parser.parse_args()


def make_path(rng: np.random.Generator) -> list[Rle]:
    """Return the masks of an ellipse with an irregular edge that moves through the frames."""
    place, speed = rng.uniform((150, 90), (490, 270)), rng.uniform(-4, 4, 2)
    axes, angles = rng.uniform((40, 30), (130, 90)), np.linspace(0, 2 * np.pi, 60, endpoint=False)
    rim = rng.uniform(0.9, 1.1, 60)[:, None] * axes * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    rles = []
    for frame in range(NUM_FRAMES):
        mask = np.zeros((HEIGHT, WIDTH), np.uint8)
        cv2.fillPoly(mask, [np.round(place + speed * frame + rim).astype(np.int32)], 1)
        rles.append(encode_mask(mask == 1))
    return rles


def draw_split(num_videos: int, rng: np.random.Generator) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Sample objects and predictions, half of which are near an object. `path` and `delay` define their motion."""
    truths: list[dict[str, Any]] = []
    predictions: list[dict[str, Any]] = []
    for video in range(1, num_videos + 1):
        mine = [draw(video, rng, delay=0) for _ in range(NUM_OBJECTS)]
        truths += mine
        for number in range(NUM_PREDICTIONS):
            entry = draw(video, rng, delay=int(rng.integers(0, 8)))
            if number % 2:
                target = mine[int(rng.integers(NUM_OBJECTS))]
                entry |= {"path": target["path"], "category_id": target["category_id"]}
            predictions.append(entry | {"score": float(rng.random())})
    return truths, predictions


def draw(video: int, rng: np.random.Generator, *, delay: int) -> dict[str, Any]:
    """Sample one object."""
    category = int(rng.integers(1, NUM_CATEGORIES + 1))
    return {"video_id": video, "category_id": category, "path": int(rng.integers(NUM_PATHS)), "delay": delay}


def masks_of(entry: dict[str, Any], paths: Sequences) -> list[Rle]:
    """Return the masks of an object."""
    path = paths[entry["path"]]
    return path[entry["delay"] :] + path[: entry["delay"]]


def measure(
    truths: Sequence[dict[str, Any]],
    predictions: Sequence[dict[str, Any]],
    paths: Sequences,
    num_videos: int,
    folder: Path,
    cores: int | None,
) -> Run:
    """Write val.json and results.json, and score them with `vis eval` in a separate process."""
    write_truth(truths, paths, num_videos, folder / "val.json")
    write_list(({**entry, "segmentations": masks_of(entry, paths)} for entry in predictions), folder / "results.json")
    size = (folder / "results.json").stat().st_size / 1e6
    print(f"{num_videos} videos, {len(predictions)} predictions, results.json of {size:.0f} MB", flush=True)
    command = [sys.executable, "-m", "vis_cli", "eval", str(folder / "results.json")]
    command += ["--annotations", str(folder / "val.json"), "--json", str(folder / "figures.json")]
    command += [] if cores is None else ["--workers", str(cores)]
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    peak = 0
    while process.poll() is None:
        peak = max(peak, tree_bytes(process.pid))
        time.sleep(SAMPLE_SECONDS)
    seconds = time.perf_counter() - start
    if process.returncode != 0:
        raise SystemExit(f"cannot measure: {' '.join(command)} ended with exit code {process.returncode}")
    ap = json.loads((folder / "figures.json").read_text(encoding="utf-8"))["summary"]["ap"]
    return Run(num_videos, seconds, peak / 1e9, ap)


def write_truth(truths: Sequence[dict[str, Any]], paths: Sequences, num_videos: int, path: Path) -> None:
    """Write the objects as a split in YouTube-VIS layout."""
    videos = [
        {
            "id": number,
            "width": WIDTH,
            "height": HEIGHT,
            "file_names": [f"{number:05d}/{f:05d}.jpg" for f in range(NUM_FRAMES)],
        }
        for number in range(1, num_videos + 1)
    ]
    annotations = [
        {**entry, "id": number, "iscrowd": 0, "segmentations": masks_of(entry, paths)}
        for number, entry in enumerate(truths, start=1)
    ]
    categories = [{"id": number, "name": f"category {number}"} for number in range(1, NUM_CATEGORIES + 1)]
    data = {"videos": videos, "annotations": annotations, "categories": categories}
    path.write_text(json.dumps(data), encoding="utf-8")


def write_list(entries: Iterator[dict[str, Any]], path: Path) -> None:
    """Write a JSON list, one entry after another."""
    with path.open("w", encoding="utf-8") as stream:
        for number, entry in enumerate(entries):
            stream.write(("[" if number == 0 else ",\n") + json.dumps(entry))
        stream.write("]")


def tree_bytes(pid: int) -> int:
    """Return the memory of a process and its children in bytes. Shared pages count once (Linux)."""
    total, waiting = 0, [pid]
    while waiting:
        folder = Path("/proc") / str(waiting.pop())
        try:
            lines = (folder / "smaps_rollup").read_text().splitlines()
            waiting += [int(child) for task in (folder / "task").iterdir() for child in read_words(task / "children")]
        except (OSError, ValueError):  # the process has ended
            continue
        total += sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
    return total


def read_words(path: Path) -> list[str]:
    """Return the words of a small file."""
    return path.read_text().split()


def time_literal(
    truths: Sequence[dict[str, Any]], predictions: Sequence[dict[str, Any]], paths: Sequences, num_videos: int
) -> dict[str, float]:
    """Measure the slow transcription of the rules on the first videos."""
    videos = list(range(1, num_videos + 1))
    areas = [[float(area) for area in rle_areas(path)] for path in paths]
    objects = [
        [
            LiteralObject(
                entry["video_id"],
                entry["category_id"],
                DecodedMasks(masks_of(entry, paths)),  # type: ignore[arg-type]
                [*areas[entry["path"]][entry["delay"] :], *areas[entry["path"]][: entry["delay"]]],
                score=entry.get("score", 0.0),
            )
            for entry in entries
            if entry["video_id"] <= num_videos
        ]
        for entries in (predictions, truths)
    ]
    start = time.perf_counter()
    scores = literal_scores(objects[0], objects[1], videos, list(range(1, NUM_CATEGORIES + 1)))
    seconds = time.perf_counter() - start
    print(f"literal transcription of the rules, {num_videos} videos: {seconds:.1f} s, AP {scores[0]:.6f}")
    return {"num_videos": num_videos, "seconds": seconds, "ap": scores[0]}


def print_run(run: Run) -> None:
    """Print each result with its limit."""
    limit = MAX_SECONDS * run.num_videos / NUM_VIDEOS
    print(f"vis eval, {run.num_videos} videos: {run.seconds:.1f} s, {run.peak_gb:.2f} GB peak memory, AP {run.ap:.6f}")
    print(f"time: {run.seconds / limit:.2f} times the limit of {limit:.1f} s")
    print(f"peak memory: {run.peak_gb / MAX_MEMORY:.2f} times the limit of {MAX_MEMORY} GB")


if __name__ == "__main__":
    main()

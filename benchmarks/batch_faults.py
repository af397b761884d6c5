"""Kill workers and the driver of `vis batch` while it segments tiny clips, and check that no result is lost or wrong.

A part of the clips is damaged. The results must equal the results of one worker that nobody kills. The exit code is 1
if a check fails. benchmarks/README.md describes the checks.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from vis_cli.batch.manifest import FOLDER, iter_rows, last_rows
from vis_cli.batch.tasks import result_path

SAMPLES = sorted((Path(__file__).parents[1] / "sample_videos").glob("*.mp4"))
SIZE, NUM_FRAMES, FPS = (64, 48), 8, 8
SHORT_SIDE = 64  # of the network input: 2,000 clips take minutes instead of hours
SOURCE_SIZE = (320, 180)  # of the frames that clips are cut from
DAMAGES = ("truncated", "random", "empty", "text")
POLL = 0.1  # seconds
MAX_STARTS = 20  # of a driver
VIS = (sys.executable, "-m", "vis_cli", "batch")
OPTIONS = ("--short-side", str(SHORT_SIDE), "--quiet")


@dataclass(slots=True)
class Driver:
    """One `vis batch`, which is started again after it was killed."""

    command: list[str]
    cores: set[int]
    log: Path
    process: subprocess.Popen[bytes] | None = None
    num_starts: int = 0

    def start(self) -> None:
        """Start the process on its cores."""
        self.num_starts += 1
        if self.num_starts > MAX_STARTS:
            raise SystemExit(f"the driver ended {MAX_STARTS} times. Read {self.log}.")
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=log)
        os.sched_setaffinity(self.process.pid, self.cores)

    def is_running(self) -> bool:
        """Return whether the driver runs. Start it again after an unusual end."""
        if self.process is None or self.process.poll() is None:
            return True
        if self.process.returncode in (0, 1):
            return False
        print(f"driver     started again after exit code {self.process.returncode}", flush=True)
        self.start()
        return True

    def workers(self) -> list[int]:
        """Return the worker processes. With Ray: the actors and their children."""
        return [] if self.process is None else [pid for pid in _descendants(self.process.pid) if _is_worker(pid)]


def main() -> None:
    """Make the clips and the reference, run the batch with faults, and check the results."""
    args = _parse_args()
    chance = random.Random(args.seed)
    folder = args.folder or Path(tempfile.mkdtemp(prefix="vis-faults-"))
    clips, out, reference = folder / "clips", folder / f"out-{args.runner}", folder / "reference"
    print(f"folder     {folder}")
    if not clips.exists():
        make_clips(clips, args.clips, args.damaged, random.Random(args.seed))
    damaged = {path.stem for path in clips.iterdir() if (clips / f".{path.stem}.damaged").exists()}
    names = sorted(path.stem for path in clips.glob("*.mp4"))
    if not (reference / FOLDER).exists():
        started = time.perf_counter()
        run_reference(clips, reference, folder / "reference.log")
        print(f"reference  {time.perf_counter() - started:.0f} s with one worker and one thread", flush=True)
    shutil.rmtree(out, ignore_errors=True)
    started = time.perf_counter()
    killed = run_with_faults(make_drivers(args.runner, clips, out, folder), out, len(names), args, chance)
    shown = f"killed: {killed['worker']} workers, {killed['driver']} drivers"
    print(f"batch      {time.perf_counter() - started:.0f} s; {shown}")
    problems = list(check(names, damaged, out, reference))
    for problem in problems:
        print(f"FAILED     {problem}")
    if problems:
        raise SystemExit(1)
    num_good = len(names) - len(damaged)
    print(f"passed     {len(names)} clips: {num_good} done and equal, {len(damaged)} damaged and failed")


def make_clips(folder: Path, number: int, fraction: float, chance: random.Random) -> None:
    """Write clips cut from the sample videos, and damage some of them. A hidden file marks a damaged clip."""
    frames = [list(_read_frames(path)) for path in SAMPLES]
    folder.mkdir(parents=True)
    damaged = set(chance.sample(range(number), round(number * fraction)))
    for index in range(number):
        path = folder / f"clip_{index:05}.mp4"
        _write_clip(path, list(_cut_out(chance.choice(frames), chance)))
        if index in damaged:
            _damage(path, DAMAGES[index % len(DAMAGES)], chance)
            (folder / f".{path.stem}.damaged").touch()


def _read_frames(path: Path) -> Iterator[NDArray[np.uint8]]:
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            yield cv2.resize(frame.to_ndarray(format="rgb24"), SOURCE_SIZE, interpolation=cv2.INTER_AREA)


def _cut_out(frames: Sequence[NDArray[np.uint8]], chance: random.Random) -> Iterator[NDArray[np.uint8]]:
    """Yield successive frames of a random window, mirrored or not."""
    start, scale = chance.randrange(len(frames) - NUM_FRAMES), chance.uniform(0.4, 1.0)
    width, height = (round(side * scale) for side in SOURCE_SIZE)
    left, top = chance.randint(0, SOURCE_SIZE[0] - width), chance.randint(0, SOURCE_SIZE[1] - height)
    step = chance.choice((1, -1))
    for frame in frames[start : start + NUM_FRAMES]:
        window = frame[top : top + height, left : left + width][:, ::step]
        yield cv2.resize(np.ascontiguousarray(window), SIZE, interpolation=cv2.INTER_AREA)


def _write_clip(path: Path, frames: Sequence[NDArray[np.uint8]]) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"preset": "ultrafast", "threads": "1"})
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode(None))


def _damage(path: Path, damage: str, chance: random.Random) -> None:
    data = path.read_bytes()
    contents = {
        "truncated": data[: len(data) // 3],  # without the index at the end of the file
        "random": chance.randbytes(len(data)),
        "empty": b"",
        "text": b"This is not a video.\n",
    }
    path.write_bytes(contents[damage])


def run_reference(clips: Path, out: Path, log: Path) -> None:
    """Segment the clips with one worker and one thread, without faults."""
    core = {min(os.sched_getaffinity(0))}
    driver = Driver([*VIS, str(clips), "-o", str(out), *OPTIONS, "--workers", "1"], core, log)
    driver.start()
    while driver.is_running():
        time.sleep(POLL)


def make_drivers(runner: str, clips: Path, out: Path, folder: Path) -> list[Driver]:
    """Return the drivers of a runner. Each worker has one thread."""
    cores = sorted(os.sched_getaffinity(0))[:2]
    command = [*VIS, str(clips), "-o", str(out), *OPTIONS]
    if runner != "shards":
        command += ["--workers", str(len(cores)), *(("--ray", "local") if runner == "ray" else ())]
        return [Driver(command, set(cores), folder / f"{runner}.log")]
    return [
        Driver([*command, "--workers", "1", "--shard", f"{index}/{len(cores)}"], {core}, folder / f"shard-{index}.log")
        for index, core in enumerate(cores, start=1)
    ]


def run_with_faults(
    drivers: Sequence[Driver], out: Path, number: int, args: argparse.Namespace, chance: random.Random
) -> Counter[str]:
    """Run the drivers to their end, and kill workers and once a driver. Return the number of killed processes.

    Workers are killed until each clip has had one attempt, and only if another clip has ended since the last kill.
    """
    killed: Counter[str] = Counter()
    for driver in drivers:
        driver.start()
    num_tried = 0
    next_kill, driver_kill = time.monotonic() + args.interval, time.monotonic() + args.driver_after
    while running := [driver for driver in drivers if driver.is_running()]:
        time.sleep(POLL)
        if not killed["driver"] and time.monotonic() > driver_kill:
            killed["driver"] += _kill([driver.process.pid for driver in running if driver.process], chance)
        if time.monotonic() > next_kill:
            next_kill += args.interval
            tried, num_before = {row.name for row in iter_rows(out)}, num_tried
            num_tried = len(tried)
            if num_tried in (number, num_before):  # only repeated clips run, or the workers still load the model
                continue
            killed["worker"] += _kill([pid for driver in running for pid in driver.workers()], chance)
    return killed


def _kill(pids: Sequence[int], chance: random.Random) -> int:
    """Kill one of some processes. Return the number of killed processes."""
    if not pids:
        return 0
    try:
        os.kill(chance.choice(pids), signal.SIGKILL)
    except ProcessLookupError:
        return 0
    return 1


def _descendants(pid: int) -> Iterator[int]:
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, _read(path).split()):
            yield child
            yield from _descendants(child)


def _is_worker(pid: int) -> bool:
    command = _read(Path(f"/proc/{pid}/cmdline"))
    return b"spawn_main" in command or command.startswith(b"ray::RayActor")


def check(names: Sequence[str], damaged: set[str], out: Path, reference: Path) -> Iterator[str]:
    """Yield each problem of the manifest and the results."""
    last = last_rows(out)
    final = Counter(row.name for row in iter_rows(out) if row.is_final)
    yield from (f"{name} has no final row" for name in names if name not in final)
    yield from (f"{name} has {count} final rows" for name, count in final.items() if count > 1)
    yield from (f"{name} is unknown" for name in final if name not in set(names))
    failed = {name: row.outcome.kind for name, row in last.items() if row.outcome.status == "failed"}
    yield from (f"{name} failed: {failed[name]}" for name in failed if name not in damaged)
    yield from (f"{name} is damaged and did not fail" for name in sorted(damaged) if name not in failed)
    if wrong := set(last_rows(reference)) ^ set(names):
        yield f"the reference lacks {len(wrong)} clips"
    expected = {result_path(out, name, is_flat=False) for name in names if name not in damaged}
    found = {path for path in out.rglob("*") if path.is_file() and path.parent.name != FOLDER}
    yield from (f"{path} is missing" for path in sorted(expected - found))
    yield from (f"{path} should not exist" for path in sorted(found - expected))
    for path in sorted(expected & found):
        if path.read_bytes() != (reference / path.relative_to(out)).read_bytes():
            yield f"{path} differs from the reference"


def _read(path: Path) -> bytes:
    """Return the content of a file of /proc, nothing if its process has ended."""
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--clips", type=int, default=2000, help="number of clips")
    parser.add_argument("--damaged", type=float, default=0.05, help="fraction of damaged clips")
    parser.add_argument("--runner", choices=("local", "shards", "ray"), default="local")
    parser.add_argument("--interval", type=float, default=30.0, help="seconds between two kills of a worker")
    parser.add_argument("--driver-after", type=float, default=100.0, help="seconds until a driver is killed")
    parser.add_argument("--folder", type=Path, help="folder of the clips, the reference and the results, used again")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


if __name__ == "__main__":
    main()

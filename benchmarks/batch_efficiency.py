"""Compare `vis batch` with two workers of one thread with one worker of two threads, and with one of one thread.

The clips are short parts of some videos. benchmarks/README.md describes the output.
"""

from __future__ import annotations

import argparse
import csv
import os
import random
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from vis_cli.batch.manifest import iter_rows
from vis_cli.records.header_length import read_length

SAMPLES = sorted((Path(__file__).parents[1] / "sample_videos").glob("*.mp4"))
ARRANGEMENTS = ((2, 2), (1, 2), (1, 1))  # workers and cores


@dataclass(frozen=True, slots=True)
class Throughput:
    """Speed of one arrangement."""

    num_workers: int
    num_cores: int
    num_frames: int
    seconds: float  # of the complete command
    warm_seconds: float  # from the end of the first clip of each worker to the end

    @property
    def speed(self) -> float:
        """Return frames per second of the complete command."""
        return self.num_frames / self.seconds


def main() -> None:
    """Measure the arrangements, and print their ratios."""
    args = _parse_args()
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise SystemExit("at least two CPU cores are needed")
    with tempfile.TemporaryDirectory(prefix="vis-efficiency-") as temporary:
        folder = Path(temporary)
        write_list(folder / "list.csv", args.videos or SAMPLES, args.clips, args.frames, random.Random(args.seed))
        found = []
        for num_workers, num_cores in ARRANGEMENTS:
            found.append(measure(folder, num_workers, set(cores[:num_cores]), args.options))
            print_throughput(found[-1])
        for other in found[1:]:
            ratio, shown = found[0].speed / other.speed, f"{other.num_workers} worker with {other.num_cores} threads"
            print(f"ratio      {ratio:.2f} times the throughput of {shown}")


def write_list(path: Path, videos: list[Path], number: int, lengths: tuple[int, int], chance: random.Random) -> None:
    """Write a list of clips with different starts, and with a number of frames in the range `lengths`.

    Raises:
        SystemExit: A video is too short.
    """
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("path", "name", "start", "end", "frames"))
        for index in range(number):
            video, length = videos[index % len(videos)], chance.randint(*lengths)
            known = read_length(video, None)
            if known is None or known.num_frames < lengths[1]:
                raise SystemExit(f"{video} has less than {lengths[1]} frames")
            start = chance.randint(0, known.num_frames - length)
            writer.writerow((video.absolute(), f"clip_{index:03}", start, start + length, length))


def measure(folder: Path, num_workers: int, cores: set[int], options: list[str]) -> Throughput:
    """Run `vis batch`, and return its throughput.

    Raises:
        SystemExit: A clip failed.
    """
    out = folder / f"out-{num_workers}-{len(cores)}"
    command = [sys.executable, "-m", "vis_cli", "batch", str(folder / "list.csv"), "-o", str(out), "--quiet"]
    started = time.perf_counter()
    process = subprocess.Popen([*command, "--workers", str(num_workers), *options])
    os.sched_setaffinity(process.pid, cores)
    if process.wait() != 0:
        raise SystemExit(f"exit code {process.returncode}: {' '.join(command)}")
    seconds = time.perf_counter() - started
    rows = list(iter_rows(out))
    firsts = {row.worker: row.elapsed for row in reversed(rows)}
    warm = max(row.elapsed for row in rows) - max(firsts.values())
    return Throughput(num_workers, len(cores), sum(row.outcome.frames or 0 for row in rows), seconds, warm)


def print_throughput(found: Throughput) -> None:
    """Print one line."""
    print(
        f"workers {found.num_workers}, {found.num_cores} cores: {found.num_frames:,} frames in {found.seconds:.1f} s, "
        f"{found.speed:.2f} frames/s ({found.warm_seconds:.1f} s after the first clips)",
        flush=True,
    )


def _parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("videos", nargs="*", type=Path, help="videos or folders of images [default: sample videos]")
    parser.add_argument("--clips", type=int, default=60, help="number of clips")
    parser.add_argument(
        "--frames", nargs=2, type=int, default=(24, 40), metavar=("MIN", "MAX"), help="frames of a clip"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--options", nargs=argparse.REMAINDER, default=[], help="options of `vis batch`")
    return parser.parse_args()


if __name__ == "__main__":
    main()

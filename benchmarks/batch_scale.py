"""Simulate a large batch, and measure `vis batch --status` and a run that finds all videos done.

The videos and the results are empty files; the manifest has a row for each video. benchmarks/README.md describes the
output.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import datetime, timezone
from hashlib import sha256
from pathlib import Path

from vis_cli.batch.driver import WorkItem
from vis_cli.batch.manifest import FOLDER, Row
from vis_cli.batch.plan import Plan, write_plan
from vis_cli.batch.tasks import Outcome, Shard, VideoTask, result_path
from vis_cli.commands.planned_batch import BatchRequest, PlannedBatch
from vis_cli.console import Reporter

POLL = 0.05  # seconds
PAGE = os.sysconf("SC_PAGE_SIZE")
FOLDER_SIZE = 1000  # videos per folder
FAILED_EVERY = 50  # one of so many videos has failed
FRAMES, BYTES_PER_FRAME = 240, 900


@dataclass(frozen=True, slots=True)
class Measured:
    """Cost of a step."""

    step: str
    rows: int
    seconds: float
    cpu_seconds: float
    peak_mb: float  # resident memory of all its processes together


def main() -> None:
    """Simulate the batch and measure the steps."""
    args = _parse_args()
    with tempfile.TemporaryDirectory(dir=args.folder, prefix="vis-scale-") as temporary:
        folder = Path(temporary)
        started = time.perf_counter()
        videos, out = simulate(folder, args.rows, args.parts, files="resume" in args.steps or "list" in args.steps)
        size = sum(path.stat().st_size for path in (out / FOLDER).iterdir())
        print(
            f"simulated  {args.rows:,} videos in {time.perf_counter() - started:.0f} s; manifest {size / 1e6:,.0f} MB"
        )
        vis = [sys.executable, "-m", "vis_cli", "batch"]
        commands = {
            "status": [*vis, "--status", str(out)],
            "parquet": [*vis, "--status", str(out), "--parquet", str(folder / "manifest.parquet")],
            "resume": [*vis, str(videos), "-o", str(out), "--quiet"],
            "list": [sys.executable, "-c", f"import os; print(sum(len(f) for _, _, f in os.walk({str(out)!r})))"],
        }
        for step in args.steps:
            print_measured(measure(step, args.rows, commands[step], expected=1 if step == "resume" else 0))


def print_measured(measured: Measured) -> None:
    """Print one line."""
    print(
        f"{measured.step:<10} {measured.rows:>12,} rows {measured.seconds:9.1f} s {measured.cpu_seconds:9.1f} CPU s "
        f"{measured.peak_mb:9,.0f} MB"
    )


def simulate(folder: Path, number: int, num_parts: int, *, files: bool) -> tuple[Path, Path]:
    """Write a list, a plan and a manifest. Return the list and the folder of the results.

    Args:
        folder: An empty folder.
        number: Number of videos.
        num_parts: Number of parts of the manifest.
        files: Whether the videos and the results exist, as empty files.
    """
    out, videos = folder / "out", folder / "videos.csv"
    request = BatchRequest()
    tasks = [VideoTask(f"{folder}/videos/{i // FOLDER_SIZE:05}/clip_{i:08}.mp4", f"clip_{i:08}") for i in range(number)]
    item = next(PlannedBatch(out, request, Reporter(quiet=True)).items(tasks[:1]))
    with videos.open("w", encoding="ascii") as file:
        file.write("path\n")
        file.writelines(f"{task.path}\n" for task in tasks)
    write_plan(out, Shard(), Plan(request.as_json(), tasks))
    if files:
        for index in range(256):
            (out / f"{index:02x}").mkdir(exist_ok=True)
    rows_per_part = -(-number // num_parts)
    for part in range(num_parts):
        with (out / FOLDER / f"rows-host-{part}.jsonl").open("w", encoding="ascii") as file:
            for index in range(part * rows_per_part, min(number, (part + 1) * rows_per_part)):
                file.write(_row(item, tasks[index], index, out, files=files) + "\n")
    return videos, out


def _row(item: WorkItem, task: VideoTask, index: int, out: Path, *, files: bool) -> str:
    """Return a row as JSON, and create its files."""
    digest, is_done = sha256(task.name.encode()).hexdigest(), index % FAILED_EVERY > 0
    outcome = Outcome("failed", "invalid", f"cannot read {task.path}: the file is empty. Restore the file.")
    if is_done:
        size, seconds = FRAMES * BYTES_PER_FRAME, round(60 + index % 997 / 13, 3)
        outcome = Outcome("done", "", "", FRAMES, 3, seconds, f"1:{digest[:32]}", "5" * 64, size, digest)
    version: tuple[int | None, int | None] = (None, None)
    if files:
        if index % FOLDER_SIZE == 0:
            Path(task.path).parent.mkdir(parents=True)
        version = _touch(task.path)
        if is_done:
            _touch(str(result_path(out, task.name, is_flat=False)))
    ended = datetime.now(timezone.utc).isoformat(timespec="seconds")
    row = Row(task.name, task.path, 1, True, outcome, item.settings, *version, f"host/{index % 2}", index * 1.5, ended)
    return row.as_json()


def _touch(path: str) -> tuple[int, int]:
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY)
    status = os.fstat(descriptor)
    os.close(descriptor)
    return status.st_size, status.st_mtime_ns


def measure(step: str, rows: int, command: list[str], *, expected: int) -> Measured:
    """Run a command, and return its cost.

    Raises:
        SystemExit: Another exit code than the expected one.
    """
    started, peak = time.perf_counter(), 0
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    while not (ended := os.wait4(process.pid, os.WNOHANG))[0]:
        peak = max(peak, sum(map(_memory, _tree(process.pid))))
        time.sleep(POLL)
    seconds, usage = time.perf_counter() - started, ended[2]
    process.returncode = os.waitstatus_to_exitcode(ended[1])
    if process.returncode != expected and process.stderr is not None:
        raise SystemExit(f"{step}: exit code {process.returncode}\n{process.stderr.read().decode()}")
    return Measured(step, rows, seconds, usage.ru_utime + usage.ru_stime, peak / 1e6)


def _tree(pid: int) -> list[int]:
    """Return a process and its descendants."""
    found = [pid]
    for parent in found:
        for path in Path(f"/proc/{parent}/task").glob("*/children"):
            try:
                found += [int(text) for text in path.read_text().split()]
            except OSError:  # it has ended
                continue
    return found


def _memory(pid: int) -> int:
    """Return the resident memory of a process in bytes, without pages that it shares."""
    try:
        pages = [int(text) for text in Path(f"/proc/{pid}/statm").read_text().split()]
    except OSError:
        return 0
    return (pages[1] - pages[2]) * PAGE


def _parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", type=int, default=1_000_000, help="number of videos")
    parser.add_argument("--parts", type=int, default=8, help="number of parts of the manifest")
    parser.add_argument("--folder", type=Path, help="folder for the simulated files [default: temporary folder]")
    names = ("status", "parquet", "resume", "list")
    parser.add_argument("--steps", nargs="+", choices=names, default=["status", "resume", "list"])
    return parser.parse_args()


if __name__ == "__main__":
    main()

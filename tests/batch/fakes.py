"""Children without a network: the name of a video says what happens to it. Imported by the child processes."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

from vis_cli.batch.driver import WorkItem
from vis_cli.batch.local_workers import Channel, Fatal, Running
from vis_cli.batch.process_limits import Limits
from vis_cli.batch.tasks import Outcome, VideoTask
from vis_cli.settings import SegmentSettings

DONE = Outcome("done", frames=8, instances=1, seconds=0.5, output_bytes=80)
LIMITS = Limits(60.0, 1.0, 10_000)
CONFIG = SegmentSettings()
HANG = 60.0  # seconds


def make_item(name: str, folder: Path = Path("out"), **changes: object) -> WorkItem:
    item = WorkItem(VideoTask(f"/videos/{name}.mp4", name), folder / f"{name}.json", CONFIG, "settings")
    return replace(item, **changes)  # type: ignore[arg-type]


def serve(index: int, channel: Channel) -> None:
    held = []
    for item in channel.iter_items():
        name = item.task.name
        if name.startswith("fatal"):
            channel.report(Fatal("no such model"))
            return
        channel.report("loading")
        if name.startswith("unloadable"):
            os.abort()
        if name.startswith("heavy"):
            held.append(b"x" * 300 * 2**20)
            time.sleep(HANG)
        channel.report("opening")
        channel.report(Running(8))
        if name.startswith("crash") or (name.startswith("flaky") and item.attempt == 1):
            os.abort()
        if name.startswith("hang"):
            time.sleep(HANG)
        if name.startswith("large"):
            held.append(b"x" * 300 * 2**20)
            time.sleep(HANG)
        _write(item)
        channel.report(replace(DONE, reason=f"worker {index}"))


def _write(item: WorkItem) -> None:
    name, pid, go = item.task.name, item.result.with_suffix(".pid"), item.result.with_suffix(".go")
    if name.startswith("pid"):
        item.result.write_text(str(os.getpid()))
    if name.startswith("threads"):
        item.result.write_text(os.environ["OMP_NUM_THREADS"])
    if name.startswith("slow"):
        pid.write_text(str(os.getpid()))
        time.sleep(HANG)
    if name.startswith("once") and item.attempt == 1:  # until the test says so
        pid.write_text(str(os.getpid()))
        while not go.exists():
            time.sleep(0.05)

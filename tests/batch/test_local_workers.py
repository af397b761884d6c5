"""Worker processes: crashes, limits, replacement, and what a killed driver leaves."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.batch.fakes import DONE, LIMITS, make_item, serve
from vis_cli.batch.driver import Ended, WorkerError, drive, sole_driver
from vis_cli.batch.local_workers import MAX_FAILED_STARTS, LocalWorkers, describe_exit
from vis_cli.batch.manifest import ManifestWriter, last_rows
from vis_cli.batch.process_limits import Limits, memory_of
from vis_cli.batch.tasks import Shard
from vis_cli.errors import VisError

ROOT = Path(__file__).parents[2]
PATIENCE = 60.0  # seconds


@contextmanager
def workers(number: int = 1, limits: Limits = LIMITS) -> Iterator[LocalWorkers]:
    with LocalWorkers(serve, number, limits, threads=3) as runner:
        yield runner


def run_one(runner: LocalWorkers, name: str, folder: Path = Path("out"), attempt: int = 1) -> Ended:
    runner.start(make_item(name, folder, attempt=attempt))
    return runner.wait()


def test_a_worker_keeps_its_process_and_is_replaced_after_a_crash(tmp_path: Path) -> None:
    with workers() as runner:
        assert run_one(runner, "pid-a", tmp_path).outcome.status == "done"
        assert run_one(runner, "pid-b", tmp_path).outcome.status == "done"
        ended = run_one(runner, "crash")
        assert (ended.outcome.kind, ended.outcome.reason) == ("crashed", "the worker crashed (SIGABRT)")
        assert runner.num_free == 1
        assert run_one(runner, "pid-c", tmp_path).outcome.status == "done"
        assert run_one(runner, "threads", tmp_path).outcome.status == "done"
    first, second, third = ((tmp_path / f"pid-{name}.json").read_text() for name in "abc")
    assert first == second != third
    assert (tmp_path / "threads.json").read_text() == "3"
    assert "OMP_NUM_THREADS" not in os.environ or os.environ["OMP_NUM_THREADS"] != "3"


def test_the_limits_of_a_video() -> None:
    with workers(limits=Limits(0.5, 0.05, 10_000)) as runner:  # 0.5 s + 8 frames of 0.05 s
        started = time.monotonic()
        assert run_one(runner, "good").outcome.status == "done"  # the start of the process does not count
        started = time.monotonic()
        outcome = run_one(runner, "hang").outcome
        assert (outcome.status, outcome.kind, outcome.reason) == ("failed", "timed out", "the time limit is exceeded")
        assert 0.85 < time.monotonic() - started < 30
    with workers(limits=Limits(60, 0, 200)) as runner:
        outcome = run_one(runner, "large").outcome
        assert (outcome.kind, "more than 200 MiB (--memory-limit)" in outcome.reason) == ("out of memory", True)


def test_a_stopped_driver_does_not_count() -> None:
    runner = LocalWorkers(serve, 1, LIMITS, threads=1)
    runner._workers[0].deadline = 100.0
    runner.extend_deadlines(9.0)
    assert runner._workers[0].deadline == 100.0
    runner.extend_deadlines(500.0)
    assert runner._workers[0].deadline == 600.0


def test_a_batch_with_poison_videos(tmp_path: Path) -> None:
    names = ["crash", "flaky", *(f"v{number}" for number in range(5))]
    with workers(2) as runner, ManifestWriter(tmp_path) as manifest:
        rows = list(drive([make_item(name) for name in names], runner, manifest))
    final = {row.name: (row.attempt, row.outcome.status) for row in rows if row.is_final}
    assert final == {"crash": (2, "failed"), "flaky": (2, "done"), **{f"v{n}": (1, "done") for n in range(5)}}
    assert len(rows) == len(names) + 2
    assert {name: row.attempt for name, row in last_rows(tmp_path).items()} == {n: final[n][0] for n in names}


def test_a_model_that_does_not_load_ends_the_batch(tmp_path: Path) -> None:
    with workers() as runner, pytest.raises(WorkerError, match="no such model"):
        run_one(runner, "fatal")
    with workers() as runner, pytest.raises(WorkerError, match=rf"it ended {MAX_FAILED_STARTS} times \(SIGABRT\)"):
        run_one(runner, "unloadable")


def test_a_memory_limit_below_the_size_of_the_model_ends_the_batch() -> None:
    with workers(limits=Limits(60, 0, 200)) as runner, pytest.raises(WorkerError) as error:
        run_one(runner, "heavy")
    assert str(error.value) == (
        f"cannot start a worker: it ended {MAX_FAILED_STARTS} times (it needs more than 200 MiB). "
        "Use a larger --memory-limit, or fewer --workers."
    )


def test_the_exit_code_in_words() -> None:
    assert describe_exit(1) == "exit code 1"
    assert describe_exit(-9) == "SIGKILL; the memory of the machine may be full"


def test_memory_of_this_process() -> None:
    assert memory_of(os.getpid()) > 10 * 2**20
    assert memory_of(2**22 + 1) == 0


DRIVER = """
import sys
from pathlib import Path
from tests.batch.fakes import LIMITS, make_item, serve
from vis_cli.batch.driver import drive, sole_driver
from vis_cli.batch.local_workers import LocalWorkers
from vis_cli.batch.manifest import ManifestWriter
from vis_cli.batch.tasks import Shard

if __name__ == "__main__":
    out = Path(sys.argv[1])
    items = [make_item("v0", out), make_item("slow", out)]
    with sole_driver(out, Shard()), LocalWorkers(serve, 1, LIMITS, threads=1) as runner:
        with ManifestWriter(out) as manifest:
            list(drive(items, runner, manifest))
"""


def test_a_killed_driver_leaves_no_worker_and_no_lock(tmp_path: Path) -> None:
    script = tmp_path / "driver.py"
    script.write_text(DRIVER)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen([sys.executable, str(script), str(tmp_path)], env=environment) as driver:
        wait_until(lambda: (tmp_path / "slow.pid").exists() and (tmp_path / "slow.pid").read_text() != "")
        with pytest.raises(VisError, match="another `vis batch` works on shard 1/1"), sole_driver(tmp_path, Shard()):
            pass
        with pytest.raises(VisError, match="another `vis batch` with 1 shards"), sole_driver(tmp_path, Shard(2, 3)):
            pass
        driver.send_signal(signal.SIGKILL)
    pid = int((tmp_path / "slow.pid").read_text())
    wait_until(lambda: memory_of(pid) == 0)
    rows = last_rows(tmp_path)
    assert {name: row.outcome.frames for name, row in rows.items()} == {"v0": DONE.frames}
    with sole_driver(tmp_path, Shard(2, 3)):
        pass


def wait_until(is_true: object) -> None:
    end = time.monotonic() + PATIENCE
    while not is_true():  # type: ignore[operator]
        assert time.monotonic() < end
        time.sleep(0.05)

"""Workers on a Ray cluster: crashes, lost actors and nodes, a killed driver, and machines that lack something."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.batch.fakes import DONE, LIMITS, make_item, serve
from tests.batch.test_local_workers import ROOT, run_one, wait_until
from vis_cli.batch.driver import WorkerError, drive
from vis_cli.batch.manifest import ManifestWriter, last_rows
from vis_cli.batch.process_limits import Limits, memory_of
from vis_cli.batch.ray_actor import VERSION, Check, Ready, check_machine
from vis_cli.batch.ray_workers import RayOptions, RayWorkers
from vis_cli.messages import NoMessages

pytest.importorskip("ray", reason="needs the extra ray: pip install '.[ray]'")
SMALL = {"num_cpus": 1, "object_store_memory": 80 * 2**20, "include_dashboard": False}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Start a cluster with one node and one core. The tests add nodes."""
    from ray.cluster_utils import Cluster

    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    with pytest.MonkeyPatch.context() as patch:  # modules of the tests, for the processes of Ray
        patch.setenv("PYTHONPATH", str(ROOT))
        started = Cluster(initialize_head=True, head_node_args=SMALL)
    yield started
    started.shutdown()


@contextmanager
def workers(cluster: Any, out: Path, number: int = 1, limits: Limits = LIMITS) -> Iterator[RayWorkers]:
    options = RayOptions(cluster if isinstance(cluster, str) else cluster.address, number, limits, shares_memory=False)
    with RayWorkers(serve, options, out, 100, NoMessages()) as runner:
        yield runner


def pid_in(path: Path) -> int:
    wait_until(lambda: path.exists() and path.read_text() != "")
    return int(path.read_text())


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def test_a_child_is_kept_and_replaced_after_a_crash(cluster: Any, tmp_path: Path) -> None:
    with workers(cluster, tmp_path, limits=Limits(2.0, 0.05, 10_000)) as runner:
        assert run_one(runner, "pid-a", tmp_path).worker == f"{os.uname().nodename}/0"
        assert run_one(runner, "pid-b", tmp_path).outcome.status == "done"
        assert run_one(runner, "crash").outcome.reason == "the worker crashed (SIGABRT)"
        assert run_one(runner, "hang").outcome.kind == "timed out"
        assert runner.num_free == 1
        assert run_one(runner, "pid-c", tmp_path).outcome.status == "done"
        assert run_one(runner, "threads", tmp_path).outcome.status == "done"
        with pytest.raises(WorkerError, match="no such model"):
            run_one(runner, "fatal")
    first, second, third = ((tmp_path / f"pid-{name}.json").read_text() for name in "abc")
    assert first == second != third
    assert (tmp_path / "threads.json").read_text() == "1"
    assert [path.name for path in (tmp_path / "manifest").iterdir()] == []


def test_a_lost_actor_returns_its_video_and_is_replaced(cluster: Any, tmp_path: Path) -> None:
    """Kill the actor in its first attempt. A video that always ends the actor gets three attempts."""
    killed: list[int] = []

    def kill() -> None:
        for name in ("slow", "slow", "slow"):
            child = pid_in(tmp_path / f"{name}.pid")
            (tmp_path / f"{name}.pid").unlink()
            killed.append(child)
            os.kill(parent_of(child), signal.SIGKILL)

    thread = threading.Thread(target=kill)
    thread.start()
    with workers(cluster, tmp_path) as runner, ManifestWriter(tmp_path) as manifest:
        rows = list(drive([make_item("slow", tmp_path), make_item("v0", tmp_path)], runner, manifest))
    thread.join()
    wait_until(lambda: not any(map(memory_of, killed)))  # the children end with their actor
    found = [(row.name, row.attempt, row.outcome.kind, row.is_final) for row in rows]
    lost = [("slow", attempt, "lost", attempt == 3) for attempt in (1, 2, 3)]
    assert sorted(found) == sorted([*lost, ("v0", 1, "", True)])


def test_a_lost_node_returns_its_video(cluster: Any, tmp_path: Path) -> None:
    node = cluster.add_node(**SMALL)
    with workers(cluster, tmp_path, 2) as runner, ManifestWriter(tmp_path) as manifest:
        items = [make_item(name, tmp_path) for name in ("once-a", "once-b", "v0")]
        pids = (tmp_path / "once-a.pid", tmp_path / "once-b.pid")

        def lose() -> None:
            children = {pid_in(path): path for path in pids}
            raylets = {parent_of(parent_of(child)): path for child, path in children.items()}
            lost = node.all_processes["raylet"][0].process.pid
            cluster.remove_node(node, allow_graceful=False)
            assert lost in raylets
            for raylet, path in raylets.items():
                if raylet != lost:
                    path.with_suffix(".go").touch()

        thread = threading.Thread(target=lose)
        thread.start()
        rows = list(drive(items, runner, manifest))
        thread.join()
    kinds = sorted((row.name, row.attempt, row.outcome.kind) for row in rows)
    assert [kind for *_, kind in kinds].count("lost") == 1
    assert {name for name, _, kind in kinds if kind == ""} == {"once-a", "once-b", "v0"}
    assert len(kinds) == 4


DRIVER = """
import sys
from pathlib import Path
from tests.batch.fakes import LIMITS, make_item, serve
from vis_cli.batch.driver import drive, sole_driver
from vis_cli.batch.manifest import ManifestWriter
from vis_cli.batch.ray_actor import VERSION, Check, Ready, check_machine
from vis_cli.batch.ray_workers import RayOptions, RayWorkers
from vis_cli.batch.tasks import Shard
from vis_cli.messages import NoMessages

if __name__ == "__main__":
    out = Path(sys.argv[1])
    items = [make_item("v0", out), make_item("slow", out)]
    options = RayOptions(sys.argv[2], 1, LIMITS, shares_memory=True)
    with sole_driver(out, Shard()), RayWorkers(serve, options, out, 2, NoMessages()) as runner:
        with ManifestWriter(out) as manifest:
            list(drive(items, runner, manifest))
"""


def test_a_killed_driver_leaves_no_worker(cluster: Any, tmp_path: Path) -> None:
    script = tmp_path / "driver.py"
    script.write_text(DRIVER)
    command = [sys.executable, str(script), str(tmp_path), cluster.address]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as driver:
        child = pid_in(tmp_path / "slow.pid")
        actor = parent_of(child)
        driver.send_signal(signal.SIGKILL)
        assert driver.stdout is not None
        assert driver.stdout.read() == b""  # Ray prints nothing on the terminal
    wait_until(lambda: memory_of(child) == memory_of(actor) == 0)
    assert {name: row.outcome.frames for name, row in last_rows(tmp_path).items()} == {"v0": DONE.frames}


def problem_of(cluster: Any, out: Path, video: str = "v0") -> str:
    with pytest.raises(WorkerError) as raised, workers(cluster, out) as runner:
        run_one(runner, video, out)
    return str(raised.value)


def test_a_machine_that_lacks_something(cluster: Any, tmp_path: Path) -> None:
    """The checks of `check_machine`, which a worker makes before its first video."""
    host = os.uname().nodename
    marker = tmp_path / "manifest" / "marker"
    wanted = Check(VERSION, str(marker), None, "/missing")
    hint = "Use an -o DIR on storage that all machines share."
    problem = f"the worker on {host} does not see the folder {tmp_path}"
    assert check_machine(wanted) == Ready(host, problem, hint)
    marker.parent.mkdir()
    marker.touch()
    assert check_machine(wanted) == Ready(host)
    assert list(marker.parent.iterdir()) == [marker]
    ready = check_machine(replace(wanted, example="/missing.mp4"))
    assert ready.problem == f"the worker on {host} does not see the video /missing.mp4"
    ready = check_machine(replace(wanted, version="0.0.9"))
    assert ready.problem == f"the worker on {host} has version {VERSION} of vis, the driver has 0.0.9"


def test_a_problem_of_a_machine_ends_the_batch(cluster: Any, tmp_path: Path) -> None:
    with workers(cluster, tmp_path) as runner:
        (marker,) = (tmp_path / "manifest").iterdir()
        marker.unlink()
        with pytest.raises(WorkerError, match=r"does not see the folder .* Use an -o DIR on"):
            run_one(runner, "v0")


# The last tests, because Ray loses actors if a process returns to a cluster after it has used another one.
def test_machines_without_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ray.cluster_utils import Cluster

    package = tmp_path / "other" / "vis_cli" / "__init__.py"  # a version before `vis batch`
    package.parent.mkdir(parents=True)
    package.write_text("__version__ = '0.0.1'")
    monkeypatch.chdir(tmp_path)  # Ray adds the current folder of the driver to the path of the workers
    with monkeypatch.context() as patch:
        patch.setenv("PYTHONPATH", str(tmp_path / "other"))
        other = Cluster(initialize_head=True, head_node_args=SMALL)
    try:
        problem = f"a worker of Ray has no package vis_cli, or another version. Install vis {VERSION} on all machines"
        assert problem_of(other, tmp_path).startswith(problem)
    finally:
        other.shutdown()


def test_a_local_ray(tmp_path: Path) -> None:
    with workers("local", tmp_path, 1) as runner:
        assert run_one(runner, "v0").outcome.status == "done"

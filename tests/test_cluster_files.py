"""The files for Slurm and Kubernetes in the documentation: their syntax, and the commands that they run."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.batch.fake_store import install
from tests.commands.conftest import Network, RunVis, network, run_vis  # noqa: F401 (fixtures)
from tests.records.video_factory import make_video

FOLDER = Path(__file__).parents[1] / "docs" / "how-to" / "cluster"
SLURM, JOB = FOLDER / "vis-array.sbatch", FOLDER / "vis-job.yaml"
STUB = '#!/bin/sh\nfor word in "$@"; do echo "$word"; done\n'


@pytest.fixture
def programs(tmp_path: Path) -> dict[str, str]:
    """Return an environment in which `vis` prints its arguments, and `srun` its own and those of `vis`."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("vis", "srun"):
        (folder / name).write_text(STUB)
        (folder / name).chmod(0o755)
    return {"PATH": f"{folder}:{os.environ['PATH']}", "TMPDIR": str(tmp_path / "scratch")}


def arguments(command: list[str], environment: dict[str, str]) -> list[str]:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def test_the_page_shows_the_files() -> None:
    page = (FOLDER.parent / "cluster.md").read_text(encoding="utf-8")
    assert f"```sh\n{SLURM.read_text(encoding='utf-8')}```" in page
    assert f"```yaml\n{JOB.read_text(encoding='utf-8')}```" in page


def test_the_array_of_slurm(
    programs: dict[str, str],
    tmp_path: Path,
    run_vis: RunVis,  # noqa: F811
    network: Network,  # noqa: F811
) -> None:
    subprocess.run(["bash", "-n", str(SLURM)], check=True)
    found = arguments(["bash", str(SLURM)], {**programs, "SLURM_ARRAY_TASK_ID": "8"})
    assert found[:3] == ["--ntasks=1", "vis", "batch"]
    assert found[found.index("--shard") + 1] == "8/8"
    (tmp_path / "videos.csv").write_text(f"path\n{make_video(tmp_path, num_frames=2)}\n")
    words = [word.replace("/shared/", f"{tmp_path}/") for word in found[2:]]
    outcome = run_vis(*words, "--dry-run")
    assert (outcome.code, outcome.err) == (0, "")


def test_the_job_of_kubernetes(
    programs: dict[str, str],
    tmp_path: Path,
    run_vis: RunVis,  # noqa: F811
    network: Network,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    job = yaml.safe_load(JOB.read_text(encoding="utf-8"))
    assert (job["kind"], job["spec"]["completionMode"]) == ("Job", "Indexed")
    container = job["spec"]["template"]["spec"]["containers"][0]
    environment = {entry["name"]: entry["value"] for entry in container["env"]}
    assert int(environment["NUM_SHARDS"]) == job["spec"]["completions"] == 8
    command = [*container["command"], *container["args"]]
    shards = set()
    for index in range(8):  # as Kubernetes counts
        found = arguments(command, {**programs, **environment, "JOB_COMPLETION_INDEX": str(index)})
        shards.add(found[found.index("--shard") + 1])
    assert shards == {f"{index}/8" for index in range(1, 9)}
    assert found[found.index("--scratch") + 1] == container["volumeMounts"][0]["mountPath"]
    store = install(monkeypatch)
    store.pipe_file("s3://bucket/videos.csv", b"path,frames\ns3://bucket/a.mp4,9\n")
    words = [str(tmp_path) if word == "/scratch" else word for word in found]
    outcome = run_vis(*words, "--dry-run")
    assert (outcome.code, outcome.err) == (0, "")

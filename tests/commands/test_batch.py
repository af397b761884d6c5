"""`vis batch` in one process: lists, shards, resumed and repeated batches, state and estimate.

`tests/batch/test_local_workers.py` tests the worker processes.
"""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.records.video_factory import make_video
from vis_cli.batch.driver import Ended, WorkItem
from vis_cli.batch.local_workers import Channel, Fatal
from vis_cli.batch.manifest import iter_rows, last_rows
from vis_cli.batch.process_limits import Limits
from vis_cli.batch.ray_workers import RayOptions
from vis_cli.batch.tasks import Outcome, VideoTask
from vis_cli.commands.batch_worker import kind_of, own_device, serve
from vis_cli.commands.planned_batch import BatchRequest, PlannedBatch, list_tasks
from vis_cli.console import Reporter
from vis_cli.options import MethodOptions, ModelOptions, RunOptions
from vis_cli.records.result_json import list_results, read_result
from vis_cli.settings import Precision

from .conftest import Network, RunVis
from .conftest import Outcome as Run


@dataclass
class Inline:
    """A runner that serves in this process, and fails as the name of a video asks for."""

    failures: dict[str, list[Outcome]] = field(default_factory=dict)
    numbers: list[int] = field(default_factory=list)  # of workers
    limits: list[Limits] = field(default_factory=list)
    items: list[WorkItem] = field(default_factory=list)
    steps: list[str] = field(default_factory=list)
    stop_at: str = ""

    def make(self, bound: Any, number: int, limits: Limits, *, threads: int) -> Inline:
        self._serve: Callable[[int, Channel], None] = functools.partial(bound.func, *bound.args)
        assert bound.func is serve
        assert threads >= 1
        self.numbers.append(number)
        self.limits.append(limits)
        return self

    def __enter__(self) -> Inline:
        self._pending: list[WorkItem] = []
        return self

    def __exit__(self, *_: object) -> None:
        pass

    @property
    def num_free(self) -> int:
        return 1 - len(self._pending)

    def start(self, item: WorkItem) -> None:
        self._pending.append(item)

    def wait(self) -> Ended:
        item = self._pending.pop()
        self.items.append(item)
        if item.task.name == self.stop_at:
            raise KeyboardInterrupt
        if self.failures.get(item.task.name):
            return Ended(item, self.failures[item.task.name].pop(0), "host/0")
        answer: list[Any] = []

        class OneItem(Channel):
            def __init__(self) -> None:
                pass

            def iter_items(self) -> Any:
                yield item

            def report(self, message: Any) -> None:
                answer.append(message)

        self._serve(0, OneItem())
        if isinstance(answer[-1], Fatal):
            from vis_cli.batch.driver import WorkerError

            raise WorkerError(answer[-1].reason)
        self.steps += [step for step in answer if isinstance(step, str)]
        return Ended(item, answer[-1], "host/0")

    def names(self) -> list[str]:
        found = [item.task.name for item in self.items]
        self.items.clear()
        return found


@pytest.fixture
def runner(monkeypatch: pytest.MonkeyPatch, network: Network) -> Inline:
    inline = Inline()
    monkeypatch.setattr("vis_cli.commands.batch_run.make_runner", inline.make)
    return inline


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    folder = tmp_path / "videos"
    folder.mkdir()
    for number in range(3):
        make_video(folder, f"v{number}.mp4", num_frames=2 + number)
    return folder


@pytest.fixture
def vis(run_vis: RunVis, tmp_path: Path) -> Callable[..., Run]:
    return lambda *args: run_vis("batch", *args, "-o", tmp_path / "out")


Vis = Callable[..., Run]

HOLDER = """
import sys
from pathlib import Path
from vis_cli.files.locks import create
lock = create(Path(sys.argv[1]), sys.argv[2])
print("locked", flush=True)
sys.stdin.read()
"""


def test_a_folder_longest_first(videos: Path, tmp_path: Path, vis: Vis, runner: Inline, network: Network) -> None:
    outcome = vis(videos, "--workers", 2)
    assert outcome.code == 0
    assert "[3/3] v0: 1 instance in 2 frames" in outcome.err
    assert "3 videos: 3 done" in outcome.err
    assert runner.names() == ["v2", "v1", "v0"]
    assert runner.numbers == [2]
    rows = {row.name: row for row in iter_rows(tmp_path / "out")}
    results = {path.stem: path for folder in (tmp_path / "out").iterdir() for path in list_results(folder)}
    assert sorted(rows) == sorted(results) == ["v0", "v1", "v2"]
    for name, row in rows.items():
        result = read_result(results[name])
        assert (row.outcome.frames, row.outcome.instances, row.is_final) == (result.video.num_frames, 1, True)
        assert row.outcome.fingerprint == result.video.source.fingerprint  # type: ignore[union-attr]
        assert row.outcome.model == result.model.sha256
        assert row.outcome.output_bytes == results[name].stat().st_size
        assert len(results[name].parent.name) == 2
    assert not list((tmp_path / "out").rglob("*.mp4"))


def test_the_same_command_resumes(videos: Path, tmp_path: Path, vis: Vis, runner: Inline) -> None:
    runner.stop_at = "v1"
    outcome = vis(videos)
    assert (outcome.code, "Run the same command again to resume" in outcome.err) == (130, True)
    assert runner.names() == ["v2", "v1"]
    runner.stop_at = ""
    outcome = vis(videos)
    assert (outcome.code, "3 videos: 3 done (1 of all in earlier runs)" in outcome.err) == (0, True)
    assert runner.names() == ["v1", "v0"]
    vis(videos)
    assert runner.names() == []
    rows = list(iter_rows(tmp_path / "out"))
    assert sorted(row.name for row in rows if row.outcome.status == "done") == ["v0", "v1", "v2"]


def test_a_result_without_a_row_is_not_segmented_again(
    videos: Path, tmp_path: Path, vis: Vis, runner: Inline, network: Network
) -> None:
    """A driver can be killed after a result is written and before its row."""
    vis(videos)
    for part in (tmp_path / "out" / "manifest").glob("rows-*"):
        part.unlink()
    network.segmented.clear()
    outcome = vis(videos)
    assert (outcome.code, network.segmented) == (0, [])
    assert "v2: 1 instance in 4 frames, unchanged" in outcome.err
    assert {row.outcome.seconds for row in iter_rows(tmp_path / "out")} == {None}


def test_changed_settings_and_overwrite(videos: Path, vis: Vis, runner: Inline, network: Network) -> None:
    vis(videos)
    runner.names()
    outcome = vis(videos, "--num-key-frames", 3)
    assert outcome.code == 1
    assert "num_key_frames" in outcome.err
    assert "Use --overwrite to replace it" in outcome.err
    assert "3 videos: 0 done, 3 invalid" in outcome.err
    assert vis(videos, "--num-key-frames", 3, "--overwrite").code == 0
    runner.names()
    assert vis(videos, "--num-key-frames", 3).code == 0
    assert runner.names() == []


def test_results_depend_on_the_precision_int8_only(tmp_path: Path) -> None:
    tasks = list_tasks([str(make_video(tmp_path, "v.mp4", num_frames=2))], Reporter(quiet=True))

    def hashes(precision: Precision, *overrides: str) -> list[str]:
        request = BatchRequest(method=MethodOptions(overrides=list(overrides)), run=RunOptions(precision=precision))
        batch = PlannedBatch(tmp_path, request, Reporter(quiet=True))
        assert batch.setup(debug=False).options.run.precision == (overrides[0][10:] if overrides else precision)
        return [item.settings for item in batch.items(tasks)]

    assert hashes("bfloat16") == hashes("float32")
    assert set(hashes("int8")).isdisjoint(hashes("float32"))
    assert hashes("auto", "precision=int8") == hashes("int8")


def test_a_changed_video_runs_again(videos: Path, vis: Vis, runner: Inline) -> None:
    vis(videos)
    runner.names()
    os.utime(videos / "v1.mp4", (1, 1))
    assert vis(videos).code == 0
    assert runner.names() == ["v1"]
    make_video(videos, "v1.mp4", num_frames=7)
    assert "the file has changed" in vis(videos).err


def test_a_changed_image_of_a_folder_runs_again(tmp_path: Path, vis: Vis, runner: Inline) -> None:
    frames = tmp_path / "frames"
    frames.mkdir()
    for number in range(2):
        assert cv2.imwrite(str(frames / f"{number}.png"), np.full((24, 32, 3), number, np.uint8))
    assert vis(frames).code == 0
    assert runner.names() == ["frames"]
    assert vis(frames).code == 0
    assert runner.names() == []
    (frames / "1.png").write_bytes((frames / "0.png").read_bytes())
    assert "the folder has changed" in vis(frames).err
    assert runner.names() == ["frames"]


def test_a_changed_image_next_to_a_broken_link_runs_again(tmp_path: Path, vis: Vis, runner: Inline) -> None:
    frames = tmp_path / "frames"
    frames.mkdir()
    for number in range(2):
        assert cv2.imwrite(str(frames / f"{number}.png"), np.full((24, 32, 3), number, np.uint8))
    (frames / "notes").symlink_to("missing")
    assert vis(frames).code == 0
    assert vis(frames).code == 0
    assert runner.names() == ["frames"]
    (frames / "1.png").write_bytes((frames / "0.png").read_bytes())
    assert "the folder has changed" in vis(frames).err


def test_changed_masks_run_again(tmp_path: Path, vis: Vis, runner: Inline) -> None:
    for folder, value in (("frames", 9), ("masks", 0)):
        (tmp_path / folder).mkdir()
        for number in range(3 if value else 1):
            assert cv2.imwrite(str(tmp_path / folder / f"{number}.png"), np.full((24, 32, 3), value, np.uint8))
    mask = np.zeros((24, 32), np.uint8)
    mask[:9] = 1
    assert cv2.imwrite(str(tmp_path / "masks" / "0.png"), mask)
    row = {"path": str(tmp_path / "frames"), "masks": str(tmp_path / "masks")}
    (tmp_path / "list.jsonl").write_text(json.dumps(row))
    assert vis(tmp_path / "list.jsonl").code == 0
    assert vis(tmp_path / "list.jsonl").code == 0
    assert runner.names() == ["frames"]
    mask[:15] = 1
    assert cv2.imwrite(str(tmp_path / "masks" / "0.png"), mask)
    outcome = vis(tmp_path / "list.jsonl")
    assert (outcome.code, "Use --overwrite" in outcome.err, runner.names()) == (1, True, ["frames"])


def test_the_detector_is_not_loaded_for_given_masks(
    tmp_path: Path, run_vis: RunVis, runner: Inline, network: Network
) -> None:
    """Nothing is detected there, so --detector and --only have no effect. All videos have the same settings."""
    for folder in ("masks", "given", "found"):
        (tmp_path / folder).mkdir()
        image = np.ones((24, 32) if folder == "masks" else (24, 32, 3), np.uint8)
        assert cv2.imwrite(str(tmp_path / folder / "0.png"), image)
    rows = [{"path": f"{tmp_path}/given", "masks": f"{tmp_path}/masks"}, {"path": f"{tmp_path}/found"}]
    (tmp_path / "list.jsonl").write_text("\n".join(map(json.dumps, rows)))
    words = ("batch", tmp_path / "list.jsonl", "-o", tmp_path / "out", "--flat", "--preset", "default")
    outcome = run_vis(*words, "--only", "car")
    assert outcome.code == 0, outcome.err
    assert network.detected == {"given": False, "found": True}
    prompts = {name: read_result(tmp_path / "out" / f"{name}.json").given_prompts for name in network.detected}
    assert (prompts["given"], "car" in (prompts["found"] or "")) == (None, True)


def test_a_detector_does_not_change_the_model_of_given_masks(tmp_path: Path) -> None:
    video = str(make_video(tmp_path, "v.mp4", num_frames=2))

    def settings(masks: str | None, detector: str | None, *only: str) -> str:
        request = BatchRequest(ModelOptions(detector=detector), only=only)
        batch = PlannedBatch(tmp_path, request, Reporter(quiet=True))
        (item,) = batch.items([VideoTask("v", video, masks=masks)])
        return item.settings

    assert settings("masks", "picodet-s", "bird") == settings("masks", None)
    assert settings(None, None, "bird") != settings(None, None) != settings("masks", None)


def test_an_invalid_video_fails_alone_and_is_not_repeated(videos: Path, vis: Vis, runner: Inline) -> None:
    (videos / "v1.mp4").write_bytes(b"damaged")
    outcome = vis(videos)
    assert outcome.code == 1
    assert "3 videos: 2 done, 1 invalid" in outcome.err
    assert outcome.err.count(f"error: cannot read {videos / 'v1.mp4'}") == 1
    assert runner.names().count("v1") == 1
    outcome = vis(videos)
    assert (outcome.code, runner.names()) == (1, [])
    assert "runs again with --retry DIR" in outcome.err
    make_video(videos, "v1.mp4", num_frames=2)
    assert vis(videos).code == 0


def test_retry(videos: Path, tmp_path: Path, vis: Vis, run_vis: RunVis, runner: Inline, network: Network) -> None:
    late, crash = Outcome("failed", "timed out", "late"), Outcome("failed", "crashed", "abort")
    runner.failures = {"v0": [late, late, late, late], "v1": [crash, crash]}
    out = tmp_path / "out"
    outcome = vis(videos, "--num-key-frames", 5, "--set", "window=none", "--flat", "--shard", "1/1")
    assert outcome.code == 1
    assert f"warning: {videos / 'v1.mp4'}: abort. The video gets a second attempt." in outcome.err
    assert f"error: {videos / 'v0.mp4'}: late" in outcome.err
    runner.names()
    network.loaded.clear()
    outcome = run_vis("batch", "--retry", out, "--failed")
    assert (outcome.code, runner.names()) == (0, ["v1"])
    assert [(config.num_key_frames, config.window) for _, config, _ in network.loaded] == [(5, None)]
    assert (out / "v1.json").exists()
    outcome = run_vis("batch", "--retry", out, "--timed-out", "--frame-time-limit", 99)
    assert (outcome.code, runner.names()) == (1, ["v0", "v0"])
    assert runner.limits[-1].frame_seconds == 99
    assert (run_vis("batch", "--retry", out).code, runner.names()) == (0, ["v0"])
    assert {name: row.attempt for name, row in last_rows(out).items()} == {"v0": 5, "v1": 3, "v2": 1}
    assert (run_vis("batch", "--retry", out).code, runner.names()) == (0, [])


def test_status(videos: Path, tmp_path: Path, vis: Vis, run_vis: RunVis, runner: Inline) -> None:
    (videos / "v1.mp4").write_bytes(b"damaged")
    runner.stop_at = "v0"
    vis(videos)
    outcome = run_vis("batch", "--status", tmp_path / "out")
    assert outcome.code == 0
    lines = [" ".join(line.split()) for line in outcome.out.splitlines()]
    assert lines[:4] == ["videos 3", "done 1 (4 frames)", "missing 2", lines[3]]
    runner.stop_at = ""
    vis(videos)
    lines = [" ".join(line.split()) for line in run_vis("batch", "--status", tmp_path / "out").out.splitlines()]
    assert lines[:4] == ["videos 3", "done 2 (6 frames)", "failed 1 invalid", "missing 0"]
    assert lines[4].startswith("rate ")
    assert lines[5] == "remaining 0:00:00 h at this rate"
    assert {line.split()[-1] for line in lines[6:]} == {"v0", "v2"}


def test_the_manifest_as_parquet(
    videos: Path, tmp_path: Path, vis: Vis, run_vis: RunVis, runner: Inline, monkeypatch: pytest.MonkeyPatch
) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    (videos / "v1.mp4").write_bytes(b"damaged")
    vis(videos)
    out, file = tmp_path / "out", tmp_path / "rows.parquet"
    monkeypatch.setattr("vis_cli.batch.manifest_parquet.GROUP", 2)
    outcome = run_vis("batch", "--status", out, "--parquet", file)
    assert (outcome.code, "videos     3" in outcome.out) == (0, True)
    assert parquet.read_table(file).to_pylist() == [
        {name: row.as_dict()[name] for name in parquet.read_schema(file).names} for row in iter_rows(out)
    ]
    assert set(parquet.read_schema(file).names) == set(next(iter_rows(out)).as_dict())
    outcome = run_vis("batch", "--status", out, "--parquet", file)
    assert (outcome.code, "rows.parquet: it exists. Use --overwrite" in outcome.err) == (2, True)
    assert run_vis("batch", "--status", out, "--parquet", file, "--overwrite").code == 0


def test_the_manifest_as_parquet_without_pyarrow(
    videos: Path, tmp_path: Path, vis: Vis, run_vis: RunVis, runner: Inline, monkeypatch: pytest.MonkeyPatch
) -> None:
    vis(videos / "v0.mp4")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    outcome = run_vis("batch", "--status", tmp_path / "out", "--parquet", tmp_path / "rows.parquet")
    assert (outcome.code, "Run: pip install 'vis-cli[parquet]'" in outcome.err) == (1, True)
    outcome = run_vis("batch", "--status", tmp_path / "out", "--parquet", tmp_path / "rows.csv")
    assert (outcome.code, "Use a name that ends with .parquet" in outcome.err) == (2, True)
    outcome = vis(videos, "--parquet", tmp_path / "rows.parquet")
    assert (outcome.code, "--parquet needs --status DIR" in outcome.err) == (2, True)


def test_a_ray_cluster(
    videos: Path,
    tmp_path: Path,
    vis: Vis,
    run_vis: RunVis,
    runner: Inline,
    network: Network,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each mode that starts workers can start them in a cluster. `tests/batch/test_ray_workers.py` tests them."""
    asked: list[tuple[RayOptions, Path, int]] = []

    def make(bound: Any, options: RayOptions, out: Path, at_most: int, _: object) -> Inline:
        asked.append((options, out, at_most))
        return runner.make(bound, 1, options.limits, threads=1)

    monkeypatch.setattr("vis_cli.commands.batch_run.make_ray_runner", make)
    monkeypatch.chdir(tmp_path)
    runner.failures = {"v0": [Outcome("failed", "lost", "no worker"), Outcome("failed", "invalid", "bad")]}
    outcome = run_vis("batch", videos, "-o", "out", "--ray", "head:6379", "--shard", "1/1", "--memory-limit", 70)
    assert outcome.code == 1
    assert f"warning: {videos / 'v0.mp4'}: no worker. The video gets another attempt." in outcome.err
    assert run_vis("batch", "--retry", "out", "--ray", "auto", "--workers", 9).code == 0
    assert run_vis("batch", videos, "-o", "out", "--ray", "auto").code == 0
    assert [(options.address, options.number, out, at_most) for options, out, at_most in asked] == [
        ("head:6379", None, tmp_path / "out", 3),
        ("auto", 9, tmp_path / "out", 1),
    ]  # and none for a batch without open videos
    first, second = (options for options, *_ in asked)
    assert (first.limits.memory_mb, first.shares_memory, second.shares_memory) == (70, False, True)
    assert {path.stem for path in (tmp_path / "out").glob("??/*.json")} == {"v0", "v1", "v2"}


def test_shards_divide_the_videos(tmp_path: Path, vis: Vis, run_vis: RunVis, runner: Inline) -> None:
    lines = [json.dumps({"path": str(make_video(tmp_path, num_frames=2)), "name": f"n{i}"}) for i in range(6)]
    (tmp_path / "list.jsonl").write_text("\n".join(lines))
    found = []
    for index in (1, 2):
        assert vis(tmp_path / "list.jsonl", "--shard", f"{index}/2").code == 0
        found.append(runner.names())
    assert sorted(found[0] + found[1]) == [f"n{i}" for i in range(6)]
    assert found[0]
    assert found[1]
    assert "videos     6" in run_vis("batch", "--status", tmp_path / "out").out


def test_shards_with_other_options_are_reported(videos: Path, vis: Vis, runner: Inline) -> None:
    assert "options differ" not in vis(videos, "--shard", "1/2").err
    outcome = vis(videos, "--shard", "2/2", "--num-key-frames", 3)
    assert (outcome.code, "the options differ from" in outcome.err) == (0, True)
    assert "plan-1-of-2.jsonl" in outcome.err
    assert "options differ" not in vis(videos, "--shard", "1/2", "--num-key-frames", 3, "--overwrite").err


def test_the_columns_of_a_list(tmp_path: Path, vis: Vis, runner: Inline, network: Network) -> None:
    clip = make_video(tmp_path, num_frames=6)
    rows = [
        {"path": str(clip), "name": "part", "start": "2", "end": "5"},
        {"path": str(clip), "name": "own", "settings": {"num_key_frames": 7}},
        {"path": str(clip), "name": "all"},
    ]
    (tmp_path / "list.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert vis(tmp_path / "list.jsonl", "--flat").code == 0
    results = {path.stem: read_result(path) for path in list_results(tmp_path / "out")}
    assert {name: result.video.num_frames for name, result in results.items()} == {"part": 3, "own": 6, "all": 6}
    assert list(results["part"].video.frame_numbers) == [2, 3, 4]
    assert results["own"].config["num_key_frames"] == 7
    assert [config.num_key_frames == 7 for _, config, _ in network.loaded].count(True) == 1


def test_render(videos: Path, tmp_path: Path, vis: Vis, runner: Inline) -> None:
    assert vis(videos, "--flat").code == 0
    assert vis(videos, "--flat", "--render").code == 0
    assert sorted(path.name for path in (tmp_path / "out").glob("*.mp4")) == ["v0.mp4", "v1.mp4", "v2.mp4"]


def test_a_result_of_another_video_is_kept(tmp_path: Path, vis: Vis, runner: Inline) -> None:
    first, second = make_video(tmp_path, "a.mp4", num_frames=2), make_video(tmp_path, "b.mp4", num_frames=3)
    (tmp_path / "list.csv").write_text(f"path,name\n{first},x\n")
    assert vis(tmp_path / "list.csv", "--flat").code == 0
    before = (tmp_path / "out" / "x.json").read_bytes()
    (tmp_path / "list.csv").write_text(f"path,name\n{second},x\n")
    outcome = vis(tmp_path / "list.csv", "--flat")
    assert (outcome.code, "it is the result of another video" in outcome.err) == (1, True)
    assert (tmp_path / "out" / "x.json").read_bytes() == before


def test_no_input_is_replaced(
    tmp_path: Path, videos: Path, vis: Vis, run_vis: RunVis, runner: Inline, untouched: Callable[[Path], Path]
) -> None:
    untouched(videos)
    outcome = run_vis("batch", videos, "-o", videos, "--flat", "--render", "--overwrite")
    assert (outcome.code, "it contains the videos" in outcome.err) == (2, True)
    clip = make_video(tmp_path, num_frames=2)
    assert vis(clip, "--flat").code == 0
    result = untouched(tmp_path / "out" / "clip.json")
    (tmp_path / "list.csv").write_text(f"path,masks\n{clip},{result}\n")
    outcome = vis(tmp_path / "list.csv", "--flat", "--overwrite")
    assert (outcome.code, f"cannot write {result}: it is an input" in outcome.err) == (1, True)


def test_a_worker_waits_for_another_process(
    videos: Path, tmp_path: Path, vis: Vis, runner: Inline, network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker of a lost machine can write a result for a while, after its video has another worker."""
    from vis_cli.commands import batch_worker

    naps: list[float] = []
    out = tmp_path / "out"
    out.mkdir()
    command = [sys.executable, "-c", HOLDER, str(out), "v0.json"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as rival:
        assert rival.stdin is not None
        assert rival.stdout is not None
        rival.stdout.readline()

        def nap(seconds: float) -> None:
            if seconds >= 1.0:  # the lock itself sleeps for a few ms
                naps.append(seconds)
                rival.communicate()

        monkeypatch.setattr(batch_worker.time, "sleep", nap)
        assert vis(videos / "v0.mp4", "--flat").code == 0
    assert naps == [1.0]


def test_a_full_disk_in_the_middle(
    videos: Path, vis: Vis, runner: Inline, network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vis_cli.commands import batch as batch_module

    def fail(*_: object) -> None:
        raise OSError(28, os.strerror(28))

    with monkeypatch.context() as patch:
        patch.setattr(batch_module, "write_result", fail)
        outcome = vis(videos)
    assert outcome.code == 1
    assert "stopped: No space left on device. Then run the same command again to resume." in outcome.err
    assert runner.names() == ["v2"]
    assert (vis(videos).code, runner.names()) == (0, ["v2", "v1", "v0"])


def test_a_dry_run_reads_headers_only(videos: Path, tmp_path: Path, vis: Vis, runner: Inline, network: Network) -> None:
    (videos / "bad.mp4").write_bytes(b"damaged")
    outcome = vis(videos, "--dry-run", "--rate", "0.5", "--workers", 2)
    assert outcome.code == 0
    lines = [" ".join(line.split()) for line in outcome.out.splitlines()]
    assert lines[:4] == [
        "videos 4 (1 without a known length)",
        f"unknown {videos / 'bad.mp4'}",
        "frames 9",
        "time 0:00:09 h with 2 workers at 0.50 frames per second each (--rate)",
    ]
    assert lines[4] == "disk unknown: segment some of the videos first"
    assert "time       unknown: add --rate FPS" in vis(videos, "--dry-run").out
    assert (runner.items, network.loaded, (tmp_path / "out").exists()) == ([], [], False)
    vis(videos / "v1.mp4")
    out = vis(videos, "--dry-run").out
    assert "videos     3 (1 without" in out  # the done video is not counted
    assert "(mean of earlier videos)" in out
    assert "MiB (mean of earlier videos)" in out


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ((), "INPUT is missing"),
        (("VIDEOS", "--shard", "3/2"), "--shard is '3/2'. Use I/N"),
        (("VIDEOS", "--failed"), "--failed needs --retry DIR"),
        (("VIDEOS", "--rate", "4"), "--rate needs --dry-run"),
        (("VIDEOS", "--set", "no=1"), "no"),
        (("VIDEOS", "--preset", "no"), "no preset"),
        (("VIDEOS", "--device", "tpu"), "no device 'tpu'"),
        (("empty.csv",), "the list is empty"),
        (("twice.txt",), "the video /v/a.mp4 occurs twice"),
        (("columns.csv",), "the column path is missing"),
        (("settings.csv",), "the settings of /v/b.mp4: no setting 'no'"),
        (("run.csv",), "the settings of /v/b.mp4: device applies to all videos of the batch. Remove it from the list"),
        (("run.csv", "--set", "device=tpu"), "no device 'tpu'. Did you mean cpu"),
        (("missing.csv",), "No such file"),
    ],
)
def test_wrong_usage(
    arguments: tuple[str, ...], problem: str, tmp_path: Path, videos: Path, vis: Vis, runner: Inline
) -> None:
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "twice.txt").write_text("/v/a.mp4\n/v/a.mp4\n")
    (tmp_path / "columns.csv").write_text("file\n/v/a.mp4\n")
    (tmp_path / "run.csv").write_text("path,settings\n/v/a.mp4,\n/v/b.mp4,device=cuda\n")
    (tmp_path / "settings.csv").write_text("path,settings\n/v/a.mp4,\n/v/b.mp4,no=1\n")
    paths = ((tmp_path / text) if text.endswith((".csv", ".txt", "/")) else text for text in arguments)
    outcome = vis(*(videos if path == "VIDEOS" else path for path in paths))
    assert outcome.code == 2
    assert problem in outcome.err
    assert runner.items == []


def test_missing_videos_have_the_exit_code_of_vis_segment(tmp_path: Path, vis: Vis, runner: Inline) -> None:
    (tmp_path / "empty").mkdir()
    for path, problem in (("empty", "no videos or images in this folder"), ("missing.mp4", "no such file")):
        outcome = vis(tmp_path / path)
        assert (outcome.code, problem in outcome.err) == (1, True)
    assert not (tmp_path / "out").exists()


def test_options_that_exclude_each_other(tmp_path: Path, run_vis: RunVis, runner: Inline, videos: Path) -> None:
    out = tmp_path / "out"
    for arguments, problem in (
        (("--status", out, "--retry", out), "--status and --retry are both given"),
        (("--retry", out, "--model", "r50"), "--retry and --model are both given"),
        (("--retry", out, videos), "--retry and INPUT are both given"),
        (("--status", out, "-o", out), "--status and -o are both given"),
        (("--status", out, "--ray", "auto"), "--status starts no workers. Omit --ray"),
        ((videos, "-o", out, "--dry-run", "--ray", "auto"), "--dry-run starts no workers. Omit --ray"),
        (("--retry", out, "--failed", "--timed-out"), "--failed and --timed-out are both given"),
        ((videos,), "-o DIR is missing"),
    ):
        outcome = run_vis("batch", *arguments)
        assert (outcome.code, problem in outcome.err) == (2, True), outcome.err
    outcome = run_vis("batch", "--status", out)
    assert (outcome.code, "it is not the folder of a batch" in outcome.err) == (1, True)


def test_a_model_that_does_not_load(
    videos: Path, tmp_path: Path, vis: Vis, runner: Inline, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        from vis_cli.errors import VisError

        raise VisError("no GPU here")

    monkeypatch.setattr("vis_cli.engine.segmenter.Segmenter", fail)
    outcome = vis(videos)
    assert (outcome.code, "no GPU here" in outcome.err) == (2, True)
    assert last_rows(tmp_path / "out") == {}


def test_the_kinds_of_failures() -> None:
    assert kind_of("cannot write x: No space left on device. Free") == "disk full"
    assert kind_of("out of memory while x was read") == "out of memory"
    assert kind_of("the network failed: CUDA error") == "crashed"
    assert kind_of("cannot write x: another process writes it. Wait") == "in use"
    assert kind_of("cannot write x: another process has written it. Run the command again.") == "in use"
    assert kind_of("cannot read x: the file is empty") == "invalid"


def test_each_worker_gets_one_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert [own_device("auto", index) for index in range(3)] == ["cuda:0", "cuda:1", "cuda:0"]
    assert own_device("cpu", 1) == "cpu"
    assert own_device("cuda:1", 0) == "cuda:1"
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert own_device("auto", 1) == "auto"

"""`vis batch` with remote videos and results. The object store is in memory; the network is a stand-in.

`tests/batch/test_storage_servers.py` uses real servers.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.batch.fake_store import FakeStore, NoCredentialsError, install
from tests.commands.test_batch import Inline
from tests.records.video_factory import make_video
from vis_cli.batch import remote_place
from vis_cli.batch.driver import Ended
from vis_cli.batch.manifest import last_rows
from vis_cli.records.result_json import read_result

from .conftest import Network, RunVis
from .conftest import Outcome as Run

OUT = "s3://bucket/results"
Vis = Callable[..., Run]


class Polled(Inline):
    """An inline runner that counts the copies on the scratch disk."""

    scratch: Path

    def poll(self) -> Ended | None:
        if not self._pending:
            return None
        self.num_copies = max(getattr(self, "num_copies", 0), len(list(self.scratch.glob("vis-batch-*/video-*"))))
        return self.wait()


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> FakeStore:
    monkeypatch.setattr(remote_place, "SETTLE", 0.0)
    store = install(monkeypatch)
    store.pipe_file("s3://bucket/other", b"")
    return store


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    return tmp_path / "scratch"


@pytest.fixture
def runner(monkeypatch: pytest.MonkeyPatch, network: Network, scratch: Path) -> Polled:
    inline = Polled()
    inline.scratch = scratch
    monkeypatch.setattr("vis_cli.commands.batch_run.make_runner", inline.make)
    return inline


@pytest.fixture
def videos(tmp_path: Path, store: FakeStore) -> list[str]:
    urls = []
    for number in range(3):
        url = f"s3://bucket/videos/v{number}.mp4"
        store.pipe_file(url, make_video(tmp_path, num_frames=2 + number).read_bytes())
        urls.append(url)
    return urls


@pytest.fixture
def vis(run_vis: RunVis, scratch: Path) -> Vis:
    return lambda *args: run_vis("batch", *args, "-o", OUT, "--flat", "--scratch", scratch)


def rows(store: FakeStore) -> dict[str, dict[str, object]]:
    """Return the last row of each video in the object store."""
    found: dict[str, dict[str, object]] = {}
    for name in store.names():
        if "/manifest/rows-" in name:
            for line in store.store[name].getvalue().splitlines():
                row = json.loads(line)
                if row["attempt"] >= found.get(row["name"], {"attempt": 0})["attempt"]:
                    found[row["name"]] = row
    return found


def results(store: FakeStore) -> list[str]:
    names = (name.removeprefix("/bucket/results/") for name in store.names() if "/results/" in name)
    return [name for name in names if "manifest" not in name]


@pytest.mark.parametrize("given", ["s3://bucket/videos/", "s3://bucket/videos", "s3://bucket/videos/v*.mp4", "list"])
def test_remote_videos_and_results(
    given: str, videos: list[str], store: FakeStore, tmp_path: Path, vis: Vis, runner: Polled, scratch: Path
) -> None:
    store.pipe_file("s3://bucket/videos/notes.txt", b"no video")
    store.pipe_file("s3://bucket/videos/.hidden.mp4", b"no video")
    if given == "list":
        given = "s3://bucket/lists/all.txt"
        store.pipe_file(given, "\n".join(videos).encode())
    outcome = vis(given, "--render")
    assert (outcome.code, "3 videos: 3 done" in outcome.err) == (0, True)
    assert results(store) == ["v0.json", "v0.mp4", "v1.json", "v1.mp4", "v2.json", "v2.mp4"]
    puts = [path for operation, path in store.calls if operation == "put" and "/results/v" in path]
    for name in ("v0", "v1", "v2"):
        order = [path[-4:] for path in puts if f"/{name}." in path]
        assert order == [".mp4", "json"]  # a result that exists is complete
    found = rows(store)
    assert {name: row["path"] for name, row in found.items()} == {url[-6:-4]: url for url in videos}
    assert {row["status"] for row in found.values()} == {"done"}
    assert list(scratch.iterdir()) == []
    local = tmp_path / "v1.json"
    local.write_bytes(store.cat_file(f"{OUT}/v1.json"))
    text = local.read_text()
    assert str(scratch) not in text
    assert json.loads(text)["video"]["path"] == json.loads(text)["video"]["absolute_path"] == videos[1]
    assert read_result(local).video.num_frames == 3


def test_the_same_command_resumes(
    videos: list[str], store: FakeStore, vis: Vis, runner: Polled, network: Network, scratch: Path
) -> None:
    runner.stop_at = "v1"
    outcome = vis("s3://bucket/videos/")
    assert (outcome.code, "Run the same command again" in outcome.err) == (130, True)
    assert list(scratch.iterdir()) == []
    assert not any("driver" in name for name in store.names())
    runner.stop_at = ""
    runner.names()
    assert vis("s3://bucket/videos/").code == 0
    assert results(store) == ["v0.json", "v1.json", "v2.json"]
    runner.names()
    outcome = vis("s3://bucket/videos/")
    assert (runner.names(), outcome.code) == ([], 0)
    assert "3 videos: 3 done (3 of all in earlier runs)" in outcome.err
    store.rm_file(f"{OUT}/v0.json")
    assert vis("s3://bucket/videos/").code == 0
    assert runner.names() == ["v0"]
    network.segmented.clear()
    for name in store.names():
        if "/rows-" in name:
            store.rm_file(name)  # as if the machine was lost before the upload of its manifest
    outcome = vis("s3://bucket/videos/")
    assert (outcome.code, network.segmented) == (0, [])
    assert outcome.err.count("unchanged") == 3
    assert {row["status"] for row in rows(store).values()} == {"done"}


def test_a_changed_video_runs_again(
    videos: list[str], store: FakeStore, tmp_path: Path, vis: Vis, runner: Polled
) -> None:
    assert vis("s3://bucket/videos/").code == 0
    runner.names()
    store.pipe_file(videos[1], make_video(tmp_path, num_frames=7).read_bytes())
    outcome = vis("s3://bucket/videos/")
    assert (outcome.code, runner.names()) == (1, ["v1"])
    assert f"cannot reuse {OUT}/v1.json: the file has changed" in outcome.err
    assert vis("s3://bucket/videos/", "--overwrite").code == 0
    assert store.cat_file(f"{OUT}/v1.json").count(b'"num_frames":7') == 1


def test_status_and_retry(
    videos: list[str], store: FakeStore, run_vis: RunVis, vis: Vis, runner: Polled, scratch: Path
) -> None:
    store.pipe_file(videos[1], b"damaged")
    outcome = vis("s3://bucket/videos/")
    assert outcome.code == 1
    assert f"error: cannot read {videos[1]}: " in outcome.err
    assert str(scratch) not in outcome.err
    lines = [" ".join(line.split()) for line in run_vis("batch", "--status", OUT).out.splitlines()]
    assert lines[:4] == ["videos 3", "done 2 (6 frames)", "failed 1 invalid", "missing 0"]
    runner.names()
    assert run_vis("batch", "--retry", OUT, "--scratch", scratch).code == 1
    assert runner.names() == ["v1"]
    assert run_vis("batch", "--status", "s3://bucket/none").code == 1
    assert "cannot read s3://bucket/none: it is not the folder of a batch" in (
        run_vis("batch", "--status", "s3://bucket/none").err
    )


def test_local_results_of_remote_videos(
    videos: list[str], tmp_path: Path, run_vis: RunVis, runner: Polled, scratch: Path
) -> None:
    local = make_video(tmp_path, "local.mp4", num_frames=2)
    (tmp_path / "list.txt").write_text("\n".join([*videos, str(local)]))
    arguments = ("batch", tmp_path / "list.txt", "-o", tmp_path / "out", "--scratch", scratch)
    assert run_vis(*arguments).code == 0
    assert set(last_rows(tmp_path / "out")) == {"v0", "v1", "v2", "local"}
    assert list(scratch.iterdir()) == []
    runner.names()
    assert (run_vis(*arguments).code, runner.names()) == (0, [])


def test_local_files_need_no_scratch_folder(tmp_path: Path, run_vis: RunVis, runner: Polled, scratch: Path) -> None:
    clip = make_video(tmp_path, num_frames=2)
    assert run_vis("batch", clip, "-o", tmp_path / "out", "--scratch", scratch).code == 0
    assert not scratch.exists()


def test_few_copies_exist_at_the_same_time(
    store: FakeStore, tmp_path: Path, vis: Vis, runner: Polled, scratch: Path
) -> None:
    content = make_video(tmp_path, num_frames=2).read_bytes()
    for number in range(9):
        store.pipe_file(f"s3://bucket/videos/{number}.mp4", content)
    assert vis("s3://bucket/videos/", "--workers", 1).code == 0
    assert 1 <= runner.num_copies <= 2


def test_frames_and_masks(store: FakeStore, tmp_path: Path, vis: Vis, runner: Polled, network: Network) -> None:
    image = cv2.imencode(".png", np.full((24, 32, 3), 9, np.uint8))[1].tobytes()
    for number in range(3):
        store.pipe_file(f"s3://bucket/frames/{number}.png", image)
    mask = np.zeros((24, 32), np.uint8)
    mask[:9] = 1
    store.pipe_file("s3://bucket/masks/0.png", cv2.imencode(".png", mask)[1].tobytes())
    rows = [{"path": "s3://bucket/frames/", "masks": "s3://bucket/masks/"}, {"path": "s3://bucket/frames", "name": "b"}]
    (tmp_path / "list.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert vis(tmp_path / "list.jsonl").code == 0
    assert results(store) == ["b.json", "frames.json"]
    assert json.loads(store.cat_file(f"{OUT}/frames.json"))["given_masks"] is not None
    assert json.loads(store.cat_file(f"{OUT}/frames.json"))["video"]["kind"] == "folder"
    assert vis("s3://bucket/frames", "--overwrite").code == 0


def test_secrets_are_never_stored_or_shown(
    store: FakeStore, tmp_path: Path, vis: Vis, run_vis: RunVis, runner: Polled
) -> None:
    store.pipe_file("https://qwz7:vkx4@host/a.mp4?X-Amz-Signature=jqy9", make_video(tmp_path).read_bytes())
    store.pipe_file("https://host/bad.mp4?sig=jqy9&token=vkx4", b"damaged")
    text = "https://qwz7:vkx4@host/a.mp4?X-Amz-Signature=jqy9\nhttps://host/bad.mp4?sig=jqy9&token=vkx4\n"
    text += "https://qwz7:vkx4@host/none.mp4?sig=jqy9\n"
    (tmp_path / "list.txt").write_text(text)
    outcome = vis(tmp_path / "list.txt", "--debug")
    assert outcome.code == 1
    stored = b"".join(store.store[name].getvalue() for name in store.names() if "/results/" in name)
    # Words such as "user" occur in the paths of a traceback.
    for secret in ("qwz7", "vkx4", "jqy9"):
        assert secret not in outcome.err
        assert secret.encode() not in stored
        assert not any(secret in name for name in store.names() if "/results/" in name)
    assert sorted(rows(store)) == ["a", "bad", "none"]
    assert rows(store)["a"]["path"] == "https://***@host/a.mp4?***"
    store.pipe_file("https://qwz7:vkx4@host/a.mp4?X-Amz-Signature=again", make_video(tmp_path).read_bytes())
    (tmp_path / "list.txt").write_text("https://qwz7:vkx4@host/a.mp4?X-Amz-Signature=again\n")
    runner.names()
    assert (vis(tmp_path / "list.txt").code, runner.names()) == (0, [])  # signed again, it is the same video


def test_retry_needs_the_list_again_for_secrets(
    store: FakeStore, tmp_path: Path, vis: Vis, run_vis: RunVis, runner: Polled
) -> None:
    store.pipe_file("https://user:word@host/a.mp4", b"damaged")
    (tmp_path / "list.txt").write_text("https://user:word@host/a.mp4")
    assert vis(tmp_path / "list.txt").code == 1
    store.pipe_file("https://user:word@host/a.mp4", make_video(tmp_path).read_bytes())
    outcome = run_vis("batch", "--retry", OUT)
    assert (outcome.code, "add the list after --retry DIR" in outcome.err) == (1, True)
    assert run_vis("batch", "--retry", OUT, tmp_path / "list.txt").code == 0
    assert results(store) == ["a.json"]


def test_a_lost_connection_is_one_failed_attempt_and_runs_again(
    videos: list[str], store: FakeStore, vis: Vis, runner: Polled
) -> None:
    def fail(operation: str, path: str) -> None:
        if operation == "get" and path.endswith("v1.mp4"):
            raise ConnectionResetError

    store.fail = fail
    outcome = vis("s3://bucket/videos/")
    assert outcome.code == 1
    assert f"error: cannot read {videos[1]}: the connection failed (ConnectionResetError)." in outcome.err
    assert "3 videos: 2 done, 1 storage" in outcome.err
    assert (rows(store)["v1"]["kind"], rows(store)["v1"]["attempt"]) == ("storage", 1)
    assert runner.names() == ["v2", "v0"]
    store.fail = lambda operation, path: None
    assert (vis("s3://bucket/videos/").code, runner.names()) == (0, ["v1"])


def test_a_missing_video_fails_alone(
    videos: list[str], store: FakeStore, tmp_path: Path, vis: Vis, runner: Polled
) -> None:
    (tmp_path / "list.txt").write_text("s3://bucket/none.mp4\ns3://nowhere/a.mp4")
    outcome = vis(tmp_path / "list.txt")
    assert outcome.code == 1
    assert "cannot read s3://bucket/none.mp4: no such file" in outcome.err
    assert "cannot read s3://nowhere/a.mp4: the bucket nowhere does not exist" in outcome.err
    assert "2 videos: 0 done, 2 invalid" in outcome.err


@pytest.mark.parametrize("refused", [1, 9])
def test_a_refused_upload(refused: int, store: FakeStore, tmp_path: Path, vis: Vis, runner: Polled) -> None:
    for number in range(6):
        store.pipe_file(f"s3://bucket/videos/{number}.mp4", make_video(tmp_path, num_frames=2).read_bytes())
    left = [refused]

    def fail(operation: str, path: str) -> None:
        if operation == "put" and path.endswith(".json") and left[0]:
            left[0] -= 1
            raise PermissionError(path)

    store.fail = fail
    outcome = vis("s3://bucket/videos/")
    assert outcome.code == 1
    pattern = r"cannot write s3://bucket/results/\d.json: access denied"
    assert len(re.findall(pattern, outcome.err)) == (1 if refused == 1 else 3)
    assert ("stopped:" in outcome.err) == (refused > 1)
    assert len(results(store)) == (5 if refused == 1 else 0)


def test_a_full_scratch_disk_stops_the_batch(videos: list[str], store: FakeStore, vis: Vis, runner: Polled) -> None:
    def fail(operation: str, path: str) -> None:
        if operation == "get" and "/videos/" in path:
            raise OSError(28, os.strerror(28))

    store.fail = fail
    outcome = vis("s3://bucket/videos/")
    assert outcome.code == 1
    assert "stopped: cannot write the scratch folder: No space left on device. Free disk space, or use another" in (
        outcome.err
    )
    store.fail = lambda operation, path: None
    assert vis("s3://bucket/videos/").code == 0


def test_no_credentials(store: FakeStore, vis: Vis) -> None:
    def fail(operation: str, path: str) -> None:
        raise NoCredentialsError(path)

    store.fail = fail
    outcome = vis("s3://bucket/videos/")
    assert (outcome.code, "no credentials. Set the credentials of the storage" in outcome.err) == (2, True)


def test_a_missing_bucket_and_a_read_only_output(videos: list[str], run_vis: RunVis, runner: Polled, vis: Vis) -> None:
    outcome = run_vis("batch", "s3://bucket/videos/", "-o", "s3://none/results")
    assert (outcome.code, "the bucket none does not exist" in outcome.err) == (2, True)
    outcome = vis("s3://none/videos/*.mp4")
    assert outcome.code == 2
    outcome = run_vis("batch", "s3://bucket/videos/", "-o", "https://host/results")
    assert (outcome.code, "cannot write to https://host/results: web servers are read only" in outcome.err) == (2, True)


def test_no_input_is_replaced(store: FakeStore, tmp_path: Path, vis: Vis, runner: Polled) -> None:
    store.pipe_file(f"{OUT}/a.mp4", make_video(tmp_path).read_bytes())
    outcome = vis(f"{OUT}/", "--render")
    assert (outcome.code, "it contains the videos" in outcome.err) == (2, True)
    store.pipe_file(f"{OUT}/a.json", b"masks")
    row = {"path": f"{OUT}/a.mp4", "masks": f"{OUT}/a.json"}
    (tmp_path / "list.jsonl").write_text(json.dumps(row))
    outcome = vis(tmp_path / "list.jsonl", "--overwrite")
    assert (outcome.code, f"cannot write {OUT}/a.json: it is an input" in outcome.err) == (1, True)
    assert store.cat_file(f"{OUT}/a.json") == b"masks"


def test_a_dry_run_downloads_nothing(videos: list[str], store: FakeStore, tmp_path: Path, vis: Vis) -> None:
    (tmp_path / "list.csv").write_text(f"path,frames\n{videos[0]},40\n{videos[1]},\n")
    store.calls.clear()
    outcome = vis(tmp_path / "list.csv", "--dry-run", "--rate", 2, "--workers", 1)
    assert outcome.code == 0
    assert "videos     2 (1 without a known length)" in outcome.out
    assert "0:00:20 h" in outcome.out
    assert "free" not in outcome.out
    assert {operation for operation, _ in store.calls} <= {"info", "ls"}


def test_a_name_with_the_characters_of_a_pattern(store: FakeStore, tmp_path: Path, vis: Vis, runner: Polled) -> None:
    store.pipe_file("s3://bucket/videos/take [1].mp4", make_video(tmp_path).read_bytes())
    assert vis("s3://bucket/videos/take [1].mp4").code == 0
    assert results(store) == ["take [1].json"]


def test_vis_segment_names_vis_batch(tmp_path: Path, run_vis: RunVis, network: Network) -> None:
    outcome = run_vis("segment", "s3://bucket/a.mp4", "-o", tmp_path / "out")
    assert (outcome.code, "To segment remote videos, use `vis batch`." in outcome.err) == (1, True)
    outcome = run_vis("segment", "https://user:word@host/a.mp4", "-o", tmp_path / "out")
    assert (outcome.code, "word" in outcome.err) == (1, False)
    clip = make_video(tmp_path, num_frames=2)
    outcome = run_vis("segment", clip, "-o", "s3://bucket/results")
    assert outcome.code == 2
    assert "cannot write to s3://bucket/results: only `vis batch` writes to object stores" in outcome.err
    assert not Path("s3:").exists()

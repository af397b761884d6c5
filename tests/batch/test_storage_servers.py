"""Remote files from real servers on loopback: S3 by moto, and HTTP. `make test-storage` runs these tests."""

from __future__ import annotations

import http.server
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from vis_cli.errors import VisError
from vis_cli.files import remote

pytest.importorskip("aiohttp")
pytest.importorskip("s3fs")
pytest.importorskip("moto.server")

CLIP = b"0123456789" * 20_000


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """Serve an object store with the bucket `bucket`, and yield its address."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    address = f"http://{host}:{port}"
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "AWS_ENDPOINT_URL": address,
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "topsecret",
            "AWS_DEFAULT_REGION": "us-east-1",
            "NO_PROXY": "127.0.0.1",
        }.items():
            patch.setenv(name, value)
        patch.setattr(remote, "PAUSES", (0.0, 0.0))
        remote._files.cache_clear()
        boto3.client("s3").create_bucket(Bucket="bucket")
        yield address
    remote._files.cache_clear()
    server.stop()


def test_objects(s3: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "LISTED_AT", 8)
    (tmp_path / "a.mp4").write_bytes(CLIP)
    remote.upload(tmp_path / "a.mp4", "s3://bucket/v/a b?.mp4")
    remote.write("s3://bucket/v/c.txt", b"c")
    remote.download("s3://bucket/v/a b?.mp4", tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == CLIP
    assert remote.list_folder("s3://bucket/v") == ["s3://bucket/v/a b?.mp4", "s3://bucket/v/c.txt"]
    assert remote.list_names("s3://bucket") == ([], ["v"])
    assert remote.list_names("s3://bucket/none") == ([], [])
    assert remote.find("s3://bucket/v/*.mp4") == ["s3://bucket/v/a b?.mp4"]
    assert remote.find("s3://bucket/**/*.mp4") == ["s3://bucket/v/a b?.mp4"]
    assert remote.is_folder("s3://bucket/v")
    assert not remote.is_folder("s3://bucket/v/c.txt")
    assert remote.read("s3://bucket/none") is None
    first = remote.stat("s3://bucket/v/c.txt")
    assert first is not None
    assert (first.size, remote.stat("s3://bucket/none")) == (1, None)
    remote.write("s3://bucket/v/c.txt", b"d")
    assert remote.stat("s3://bucket/v/c.txt") != first
    urls = [f"s3://bucket/many/{number}" for number in range(9)]
    for url in urls:
        remote.write(url, b"123")
    found = remote.stat_many([*urls, "s3://bucket/v/c.txt", "s3://bucket/none"])
    assert found == {url: remote.stat(url) for url in [*urls, "s3://bucket/v/c.txt"]}
    remote.remove("s3://bucket/v/c.txt")
    assert remote.stat("s3://bucket/v/c.txt") is None


def test_only_one_process_creates_an_object(s3: str) -> None:
    assert remote.create("s3://bucket/lock", b"1")
    assert not remote.create("s3://bucket/lock", b"2")
    assert remote.read("s3://bucket/lock") == b"1"


def test_missing_objects_and_buckets(s3: str, tmp_path: Path) -> None:
    with pytest.raises(remote.MissingFileError, match="cannot read s3://bucket/none: no such file"):
        remote.download("s3://bucket/none", tmp_path / "a")
    for call in (
        lambda: remote.download("s3://nowhere/a", tmp_path / "a"),
        lambda: remote.list_folder("s3://nowhere/a"),
        lambda: remote.write("s3://nowhere/a", b""),
    ):
        with pytest.raises(remote.MissingFileError, match="the bucket nowhere does not exist"):
            call()
    assert remote.stat("s3://nowhere/a") is None


def test_no_credentials(s3: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path))
    remote._files.cache_clear()
    with pytest.raises(remote.CredentialsError, match="cannot read s3://bucket/a: no credentials"):
        remote.download("s3://bucket/a", tmp_path / "a")
    remote._files.cache_clear()


class Handler(http.server.BaseHTTPRequestHandler):
    """Serve CLIP at each path, except at paths that name a fault."""

    num_lost = 0  # connections to lose in the middle
    requests: list[str] = []  # noqa: RUF012

    def do_HEAD(self) -> None:
        self._start()

    def do_GET(self) -> None:
        if not self._start():
            return
        if "lost" in self.path and Handler.num_lost > 0:
            Handler.num_lost -= 1
            self.wfile.write(CLIP[: len(CLIP) // 2])
            self.close_connection = True
            return
        self.wfile.write(CLIP)

    def _start(self) -> bool:
        Handler.requests.append(self.path)
        is_allowed = "private" not in self.path or "Authorization" in self.headers
        status = next((code for code in (404, 403, 500) if str(code) in self.path), 200 if is_allowed else 401)
        self.send_response(status)
        self.send_header("Content-Length", str(len(CLIP) if status == 200 else 0))
        if "etag" in self.path:
            self.send_header("ETag", f'"{len(self.path)}"')
        if "dated" in self.path:
            self.send_header("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")
        self.end_headers()
        return status == 200

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Serve `Handler`, and yield its host and port."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(remote, "PAUSES", (0.0, 0.0))
    remote._files.cache_clear()
    Handler.num_lost = 0
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()
    remote._files.cache_clear()


def test_http_files(web: str, tmp_path: Path) -> None:
    remote.download(f"http://{web}/a%20b.mp4?id=1", tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == CLIP
    plain, tagged = remote.stat(f"http://{web}/a"), remote.stat(f"http://{web}/etag")
    dated = remote.stat(f"http://{web}/dated")
    assert plain == remote.RemoteVersion(len(CLIP), None)
    assert tagged is not None
    assert tagged.tag is not None
    assert tagged != remote.stat(f"http://{web}/etag-2")
    assert dated == remote.RemoteVersion(len(CLIP), 1_767_225_600 * 10**9)
    assert remote.stat(f"http://{web}/404") is None
    remote.download(f"http://user:topsecret@{web}/private", tmp_path / "b")
    assert (tmp_path / "b").read_bytes() == CLIP


def test_a_lost_connection_is_tried_again(web: str, tmp_path: Path) -> None:
    Handler.num_lost = 2
    remote.download(f"http://{web}/lost", tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == CLIP
    Handler.num_lost = 3
    with pytest.raises(remote.StorageError, match=r"/lost: the connection failed \(ClientPayloadError\)"):
        remote.download(f"http://{web}/lost", tmp_path / "a")


@pytest.mark.parametrize(
    ("path", "kind", "cause"),
    [
        ("404", remote.MissingFileError, "no such file"),
        ("403", remote.StorageError, "access denied"),
        ("private", remote.StorageError, "access denied"),
        ("500", remote.StorageError, "HTTP status 500"),
    ],
)
def test_http_errors_have_no_secret(web: str, tmp_path: Path, path: str, kind: type[VisError], cause: str) -> None:
    url = f"http://{web}/{path}?X-Amz-Signature=topsecret"
    with pytest.raises(kind, match=cause) as caught:
        remote.download(url, tmp_path / "a")
    assert "topsecret" not in str(caught.value)
    if kind is remote.StorageError:
        with pytest.raises(kind, match=cause):
            remote.stat(url)


def test_a_server_that_does_not_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "PAUSES", ())
    with pytest.raises(remote.StorageError, match=r"the connection failed \(Client"):
        remote.download("http://127.0.0.1:9/a", tmp_path / "a")


SMALL = ("--set", "window=none", "--short-side", "32", "--num-key-frames", "1", "--device", "cpu", "--workers", "1")


def run_vis(*args: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "vis_cli", "batch", *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_batch_with_real_workers_that_is_killed(s3: str, web: str, tmp_path: Path) -> None:
    """The driver is killed. Its lock and its scratch folder do not stop the next run, and no result is missing."""
    from tests.records.video_factory import make_video

    for number in range(3):
        clip = make_video(tmp_path, f"{number}.mp4", num_frames=2)
        remote.upload(clip, f"s3://bucket/clips/{number}.mp4")
    scratch, out = tmp_path / "scratch", "s3://bucket/killed"
    arguments = ["s3://bucket/clips/*.mp4", "-o", out, "--scratch", str(scratch), *SMALL]
    driver = subprocess.Popen([sys.executable, "-m", "vis_cli", "batch", *arguments], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 300
    while not any(name.endswith(".json") for _, name in _results(out)) and time.monotonic() < deadline:
        time.sleep(0.05)
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    assert list(scratch.glob("vis-batch-*"))
    done = run_vis(*arguments)
    assert done.returncode == 0, done.stderr
    assert "3 videos: 3 done" in done.stderr
    assert sorted(name for _, name in _results(out)) == ["0.json", "1.json", "2.json"]
    assert list(scratch.iterdir()) == []
    assert not any(name.startswith("driver") for name in remote.list_names(f"{out}/manifest")[0])
    status = run_vis("--status", out)
    assert "done       3 (6 frames)" in status.stdout, status.stdout + status.stderr
    stored = b"".join(remote.read(f"{out}/manifest/{name}") or b"" for name in remote.list_names(f"{out}/manifest")[0])
    assert b"topsecret" not in stored
    assert "topsecret" not in done.stderr
    assert os.environ["AWS_SECRET_ACCESS_KEY"] == "topsecret"


def _results(out: str) -> list[tuple[str, str]]:
    folders = [folder for folder in remote.list_names(out)[1] if folder != "manifest"]
    return [(folder, name) for folder in folders for name in remote.list_names(f"{out}/{folder}")[0]]

"""Remote files: versions, listings, tries, and errors without secrets. The store is in memory."""

from __future__ import annotations

import errno
import os
import sys
from datetime import datetime, timezone
from pathlib import Path

import pytest

from tests.batch.fake_store import FakeStore, NoCredentialsError, install
from vis_cli.files import remote

SIGNED = "https://user:word@host/a.mp4?X-Amz-Signature=secret&token=hidden"


class StatusError(Exception):
    """Has the attribute of `aiohttp.ClientResponseError`, whose message contains the URL."""

    def __init__(self, status: int) -> None:
        super().__init__(f"{status}, url={SIGNED}")
        self.status = status


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> FakeStore:
    return install(monkeypatch)


def test_files_are_copied(store: FakeStore, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"content")
    remote.upload(tmp_path / "a", "s3://bucket/x/a.bin")
    remote.download("s3://bucket/x/a.bin", tmp_path / "b")
    assert (tmp_path / "b").read_bytes() == b"content"
    remote.write("s3://bucket/x/c", b"1")
    assert remote.list_folder("s3://bucket/x") == ["s3://bucket/x/a.bin", "s3://bucket/x/c"]
    assert remote.list_names("s3://bucket") == ([], ["x"])
    assert remote.list_names("s3://bucket/none") == ([], [])
    assert remote.find("s3://bucket/*/*.bin") == ["s3://bucket/x/a.bin"]
    assert (remote.is_folder("s3://bucket/x"), remote.is_folder("s3://bucket/x/c")) == (True, False)
    remote.download_folder("s3://bucket/x", tmp_path / "x")
    assert sorted(path.name for path in (tmp_path / "x").iterdir()) == ["a.bin", "c"]
    remote.remove("s3://bucket/x/c")
    assert remote.read("s3://bucket/x/c") is None
    assert remote.read("s3://bucket/x/a.bin") == b"content"


def test_only_one_process_creates_an_object(store: FakeStore) -> None:
    assert remote.create("s3://bucket/lock", b"1")
    assert not remote.create("s3://bucket/lock", b"2")
    assert remote.read("s3://bucket/lock") == b"1"


class NoConditionsError(Exception):
    """Is like `botocore.exceptions.ClientError`."""

    response = {"Error": {"Code": "NotImplemented"}}  # noqa: RUF012


@pytest.mark.parametrize("kind", ["fsspec", "botocore"])
def test_a_store_without_conditional_writes(kind: str, store: FakeStore, monkeypatch: pytest.MonkeyPatch) -> None:
    original = store.pipe_file

    def pipe(path: str, value: bytes, mode: str = "overwrite") -> None:
        if mode == "create" and kind == "fsspec":
            raise NotImplementedError
        if mode == "create":
            raise OSError("no conditions") from NoConditionsError()
        original(path, value)

    monkeypatch.setattr(store, "pipe_file", pipe)
    assert remote.create("s3://bucket/lock", b"1")
    assert not remote.create("s3://bucket/lock", b"2")
    assert remote.read("s3://bucket/lock") == b"1"


def test_the_version_is_the_size_and_the_etag() -> None:
    day = datetime(2026, 1, 1, tzinfo=timezone.utc)
    one = remote._version({"size": 5, "ETag": '"a"', "LastModified": day})
    assert one.size == 5
    assert one == remote._version({"size": 5, "ETag": '"a"', "LastModified": day.replace(year=2027)})
    assert one != remote._version({"size": 5, "ETag": '"b"', "LastModified": day})
    assert 0 <= (one.tag or 0) < 2**60


@pytest.mark.parametrize(
    ("info", "seconds"),
    [
        ({"LastModified": datetime(2026, 1, 1, tzinfo=timezone.utc)}, 1767225600),
        ({"updated": "2026-01-01T00:00:00.5Z"}, None if sys.version_info < (3, 11) else 1767225600.5),
        ({"Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT"}, 1767225600),
        ({"Last-Modified": "yesterday"}, None),
        ({}, None),
    ],
)
def test_without_an_etag_the_time_of_the_change_counts(info: dict[str, object], seconds: float | None) -> None:
    found = remote._version({"size": None, **info})
    assert found == remote.RemoteVersion(None, None if seconds is None else int(seconds * 1e9))


def test_many_versions_need_one_listing(store: FakeStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "LISTED_AT", 8)
    urls = [f"s3://bucket/day/{number}.mp4" for number in range(8)]
    for url in [*urls, "s3://bucket/other/x.mp4"]:
        store.pipe_file(url, b"12345")
    store.calls.clear()
    found = remote.stat_many([*urls, "s3://bucket/other/x.mp4", "s3://bucket/none.mp4", "s3://bucket/day/none.mp4"])
    assert {url: version.size for url, version in found.items()} == dict.fromkeys([*urls, "s3://bucket/other/x.mp4"], 5)
    assert [call for call in store.calls if call[0] == "ls"] == [("ls", "s3://bucket/day")]
    assert len([call for call in store.calls if call[0] == "info"]) == 2


def test_a_folder_has_a_version(store: FakeStore) -> None:
    store.pipe_file("s3://bucket/frames/0.png", b"123")
    store.pipe_file("s3://bucket/frames/1.png", b"45")
    first = remote.stat("s3://bucket/frames")
    assert first is not None
    assert first.size == 5
    store.pipe_file("s3://bucket/frames/1.png", b"67")
    assert remote.stat("s3://bucket/frames") != first
    assert remote.stat("s3://bucket/none") is None


def test_a_failed_connection_is_tried_again(store: FakeStore, tmp_path: Path) -> None:
    store.pipe_file("s3://bucket/a", b"content")
    failures = [ConnectionResetError(), TimeoutError()]

    def fail(operation: str, path: str) -> None:
        if operation == "get" and failures:
            raise failures.pop()

    store.fail = fail
    remote.download("s3://bucket/a", tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == b"content"
    assert failures == []


@pytest.mark.parametrize(
    ("error", "kind", "text", "tries"),
    [
        (ConnectionResetError(SIGNED), remote.StorageError, "the connection failed (ConnectionResetError)", 3),
        (StatusError(503), remote.StorageError, "the connection failed (HTTP status 503)", 3),
        (StatusError(429), remote.StorageError, "the connection failed (HTTP status 429)", 3),
        (StatusError(400), remote.StorageError, "the connection failed (HTTP status 400)", 1),
        (StatusError(403), remote.StorageError, "access denied", 1),
        (PermissionError(SIGNED), remote.StorageError, "access denied", 1),
        (StatusError(404), remote.MissingFileError, "no such file", 1),
        (FileNotFoundError(SIGNED), remote.MissingFileError, "no such file", 1),
        (NoCredentialsError(SIGNED), remote.CredentialsError, "no credentials", 1),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), remote.ScratchFullError, "No space left on device", 1),
    ],
)
def test_an_error_has_its_cause_and_no_secret(
    store: FakeStore, tmp_path: Path, error: Exception, kind: type[Exception], text: str, tries: int
) -> None:
    def fail(operation: str, path: str) -> None:
        raise error

    store.fail = fail
    with pytest.raises(kind) as caught:
        remote.download(SIGNED, tmp_path / "a")
    message = str(caught.value)
    assert text in message
    assert len(store.calls) == tries
    assert not any(secret in message for secret in ("user", "word", "secret", "hidden"))
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_a_download_with_too_few_bytes_is_tried_again(
    store: FakeStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remote.write("s3://bucket/a", b"123456")
    complete, num_short = store.get_file, [2]

    def get_file(rpath: str, lpath: str, **kwargs: object) -> None:
        complete(rpath, lpath, **kwargs)
        num_short[0] -= 1
        if num_short[0] >= 0:
            Path(lpath).write_bytes(b"123")

    monkeypatch.setattr(store, "get_file", get_file)
    remote.download("s3://bucket/a", tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == b"123456"
    num_short[0] = 3
    with pytest.raises(remote.StorageError, match=r"bucket/a: the connection failed \(IncompleteDownloadError\)"):
        remote.download("s3://bucket/a", tmp_path / "a")


def test_a_missing_bucket_is_named(store: FakeStore, tmp_path: Path) -> None:
    with pytest.raises(remote.MissingFileError, match="cannot read s3://none/a: the bucket none does not exist"):
        remote.download("s3://none/a", tmp_path / "a")
    store.pipe_file("s3://bucket/b", b"")
    with pytest.raises(remote.MissingFileError, match="cannot read s3://bucket/a: no such file"):
        remote.download("s3://bucket/a", tmp_path / "a")


@pytest.mark.parametrize(("scheme", "package"), [("s3", "s3fs"), ("gs", "gcsfs"), ("https", "aiohttp")])
def test_a_missing_package_is_named(scheme: str, package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    remote._files.cache_clear()
    pattern = f"cannot read {scheme}://host/a: the package {package} is missing. Run: pip install 'vis-cli.storage.'"
    with pytest.raises(remote.CredentialsError, match=pattern):
        remote.download(f"{scheme}://host/a", tmp_path / "a")
    remote._files.cache_clear()

"""A folder of results in an object store: manifest, results, and the lock of a driver. The store is in memory."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.batch.fake_store import FakeStore, install
from tests.batch.fakes import DONE, make_item
from vis_cli.batch import remote_place
from vis_cli.batch.driver import Ended, make_row
from vis_cli.batch.manifest import ManifestWriter, iter_rows, list_parts
from vis_cli.batch.plan import Plan, read_plan, write_plan
from vis_cli.batch.remote_place import RemotePlace
from vis_cli.batch.tasks import Shard, VideoTask
from vis_cli.errors import VisError
from vis_cli.messages import NoMessages

URL = "s3://bucket/results"
LOCK = f"{URL}/manifest/driver-1-of-1.json"
RIVAL = json.dumps({"host": "other", "boot": "b", "pid": 1, "token": "t", "beat": 0}).encode()


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> FakeStore:
    monkeypatch.setattr(remote_place, "WATCH", 0.01)
    monkeypatch.setattr(remote_place, "STALE", 0.05)
    monkeypatch.setattr(remote_place, "SETTLE", 0.0)
    store = install(monkeypatch)
    store.pipe_file("s3://bucket/other", b"")
    return store


def open_place(tmp_path: Path, name: str = "one", url: str = URL) -> RemotePlace:
    return RemotePlace(url, tmp_path / name, NoMessages())


def add_rows(place: RemotePlace, names: str) -> None:
    with ManifestWriter(place.folder) as manifest:
        for name in names:
            manifest.append(make_row(Ended(make_item(name), DONE, "worker"), 1.0))


def test_the_manifest_is_complete_at_the_end(store: FakeStore, tmp_path: Path) -> None:
    place = open_place(tmp_path)
    with place.sole_driver(Shard()):
        write_plan(place.folder, Shard(), Plan({"a": 1}, [VideoTask("s3://v", "v", address="s3://secret@v")]))
        add_rows(place, "ab")
        assert "/bucket/results/manifest/driver-1-of-1.json" in store.names()
    assert not any("driver" in name for name in store.names())
    assert not any(b"secret" in file.getvalue() for file in store.store.values())
    later = open_place(tmp_path, "two")
    assert read_plan(later.folder).tasks == [VideoTask("s3://v", "v")]
    assert [row.name for row in iter_rows(later.folder)] == ["a", "b"]
    before = store.names()
    with later.sole_driver(Shard()):
        add_rows(later, "c")
    assert len(store.names()) == len(before) + 1  # parts of earlier runs are not uploaded again
    assert sorted(row.name for row in iter_rows(open_place(tmp_path, "three").folder)) == ["a", "b", "c"]


def test_a_long_part_is_uploaded_in_segments(store: FakeStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = open_place(tmp_path)
    line = len(make_row(Ended(make_item("a"), DONE, "worker"), 1.0).as_json()) + 1
    monkeypatch.setattr(remote_place, "SEGMENT_BYTES", int(2.5 * line))
    with ManifestWriter(place.folder) as manifest:
        for number, name in enumerate("abcdefg", start=1):
            manifest.append(make_row(Ended(make_item(name), DONE, "worker"), 1.0))
            if number in (1, 2, 6, 7):
                store.calls.clear()
                place._upload_manifest()
    assert [path.rpartition("~")[2] for _, path in store.calls] == ["000004.jsonl"]
    store.calls.clear()
    place._upload_manifest()
    assert store.calls == []
    sizes = [len(file.getvalue()) // line for name, file in sorted(store.store.items()) if "~" in name]
    assert sizes == [2, 2, 2, 1]
    later = open_place(tmp_path, "two")
    assert [row.name for row in iter_rows(later.folder)] == list("abcdefg")
    assert len(list_parts(later.folder)) == 1  # one part per run, as `--status` expects


def test_a_row_that_is_being_written_is_uploaded_later(store: FakeStore, tmp_path: Path) -> None:
    place = open_place(tmp_path)
    add_rows(place, "a")
    (part,) = list_parts(place.folder)
    complete = part.read_bytes()
    part.write_bytes(complete + b'{"name"')
    place._upload_manifest()
    (uploaded,) = [file.getvalue() for name, file in store.store.items() if "~" in name]
    assert uploaded == complete


def test_the_manifest_is_uploaded_while_the_driver_runs(
    store: FakeStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote_place, "BEAT", 0.01)
    place = open_place(tmp_path)
    with place.sole_driver(Shard()):
        add_rows(place, "a")
        for _ in range(500):
            if any("~" in name for name in store.names()):
                break
            remote_place.time.sleep(0.01)
        assert any("~" in name for name in store.names())
        assert json.loads(store.cat_file(LOCK))["beat"] > 0


def test_results_are_listed_once(store: FakeStore, tmp_path: Path) -> None:
    for name in ("3b/a.json", "3b/a.mp4", "7f/b.json", "c.json", "manifest/x.json"):
        store.pipe_file(f"{URL}/{name}", b"")
    place = open_place(tmp_path)
    store.calls.clear()
    found = [place.has(place.folder / name) for name in ("3b/a.json", "7f/b.json", "c.json", "3b/b.json")]
    assert found == [True, True, True, False]
    assert len(store.calls) == 3
    assert place.address_of(place.folder / "3b/a.json") == f"{URL}/3b/a.json"


def test_a_second_driver_is_reported(store: FakeStore, tmp_path: Path) -> None:
    store.pipe_file(LOCK, RIVAL)
    beats = iter(range(1, 100))

    def beat(operation: str, path: str) -> None:
        if operation == "pipe":
            return
        store.store["/bucket/results/manifest/driver-1-of-1.json"].seek(0)
        store.store["/bucket/results/manifest/driver-1-of-1.json"].write(
            json.dumps({**json.loads(RIVAL), "beat": next(beats)}).encode()
        )

    original = store.cat_file

    def read(path: str, **kwargs: object) -> object:
        beat("cat", path)
        return original(path, **kwargs)

    store.cat_file = read
    place = open_place(tmp_path)
    problem = r"cannot write to s3://bucket/results: another `vis batch` works on shard 1/1 \(host other\)"
    with pytest.raises(VisError, match=problem), place.sole_driver(Shard()):
        pass
    store.pipe_file(f"{URL}/manifest/driver-1-of-3.json", RIVAL)
    store.rm_file(LOCK)


def test_the_lock_of_a_dead_driver_is_replaced(store: FakeStore, tmp_path: Path) -> None:
    store.pipe_file(LOCK, RIVAL)
    place = open_place(tmp_path)
    with place.sole_driver(Shard()):
        assert json.loads(store.cat_file(LOCK))["token"] == place._token
    assert not store.exists(LOCK)


def test_a_dead_process_of_this_machine_is_not_waited_for(
    store: FakeStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = open_place(tmp_path)
    store.pipe_file(LOCK, json.dumps({**json.loads(place._claim()), "pid": 2**22 + 1, "token": "t"}).encode())
    monkeypatch.setattr(remote_place, "STALE", 1000.0)
    with place.sole_driver(Shard()):
        assert json.loads(store.cat_file(LOCK))["token"] == place._token


def test_another_number_of_shards_is_reported(
    store: FakeStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.pipe_file(f"{URL}/manifest/driver-2-of-3.json", RIVAL)
    with open_place(tmp_path).sole_driver(Shard(2, 4)):
        assert not store.exists(f"{URL}/manifest/driver-2-of-3.json")  # its driver is dead
    store.pipe_file(f"{URL}/manifest/driver-2-of-3.json", RIVAL)
    monkeypatch.setattr(remote_place, "_parse", lambda claim: {"host": "here", "boot": "b", "pid": 1, "token": claim})
    contents = iter(bytes([number]) for number in range(100))
    monkeypatch.setattr(remote_place.remote, "read", lambda url: next(contents))
    with pytest.raises(VisError, match="works on 3 shards"), open_place(tmp_path).sole_driver(Shard(2, 4)):
        pass


def test_a_driver_notices_that_another_one_took_over(
    store: FakeStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote_place, "BEAT", 0.01)
    place = open_place(tmp_path)
    with place.sole_driver(Shard()):
        place.check()
        store.pipe_file(LOCK, RIVAL)
        for _ in range(500):
            if place._lost is not None:
                break
            remote_place.time.sleep(0.01)
        with pytest.raises(VisError, match="another `vis batch` has taken over s3://bucket/results"):
            place.check()
    assert store.cat_file(LOCK) == RIVAL  # the lock of the other driver stays


def test_a_web_server_is_read_only(tmp_path: Path) -> None:
    with pytest.raises(VisError, match=r"cannot write to https://\*\*\*@host/out: web servers are read only"):
        open_place(tmp_path, url="https://user:word@host/out")


def test_a_missing_bucket(store: FakeStore, tmp_path: Path) -> None:
    with pytest.raises(VisError, match="the bucket none does not exist"):
        open_place(tmp_path, url="s3://none/results")


def test_a_refused_manifest_is_an_error(store: FakeStore, tmp_path: Path) -> None:
    place = open_place(tmp_path)

    def fail(operation: str, path: str) -> None:
        if operation == "pipe" and "rows" in path:
            raise PermissionError(path)

    store.fail = fail
    with pytest.raises(VisError, match=r"cannot write s3://.*: access denied"), place.sole_driver(Shard()):
        add_rows(place, "a")
    assert replace(DONE)  # the rows are lost, and the next run finds the results

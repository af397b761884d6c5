"""Copies of remote videos: the next one is downloaded while a worker is busy. The store is in memory."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests.batch.fake_store import FakeStore, install
from tests.batch.fakes import DONE, make_item
from vis_cli.batch.driver import Ended, WorkItem
from vis_cli.batch.place import LocalPlace
from vis_cli.batch.scratch import Scratch
from vis_cli.batch.staging import Stage, StagedWorkers, staged_workers
from vis_cli.batch.tasks import VideoTask

PATIENCE = 10.0  # seconds


class OneWorker:
    """A worker that ends an attempt when the store has been asked for `awaited`."""

    def __init__(self, store: FakeStore) -> None:
        self.store = store
        self.awaited = ""
        self.items: list[WorkItem] = []

    @property
    def num_free(self) -> int:
        return 1 - len(self.items)

    def start(self, item: WorkItem) -> None:
        assert self.num_free == 1
        assert Path(item.task.path).read_bytes() == item.task.name.encode()
        self.items.append(item)

    def wait(self) -> Ended:
        raise AssertionError

    def poll(self) -> Ended | None:
        end = time.monotonic() + PATIENCE
        while self.awaited and ("get", self.awaited) not in self.store.calls and time.monotonic() < end:
            time.sleep(0.01)
        assert not self.awaited or ("get", self.awaited) in self.store.calls
        return Ended(self.items.pop(), DONE, "worker")


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> FakeStore:
    store = install(monkeypatch)
    for name in "abc":
        store.pipe_file(f"s3://bucket/{name}.mp4", name.encode())
    return store


def item_of(name: str) -> WorkItem:
    return replace(make_item(name), task=VideoTask(f"s3://bucket/{name}.mp4", name))


def test_the_next_video_is_downloaded_while_the_worker_is_busy(store: FakeStore, tmp_path: Path) -> None:
    worker, place = OneWorker(store), LocalPlace(tmp_path / "out")
    with Scratch(tmp_path / "scratch") as scratch:
        stage = Stage(place, scratch, renders=False, overwrites=False)
        staged = StagedWorkers(worker, stage, place, number=1)
        for name in "ab":
            staged.start(item_of(name))
        assert staged.num_free == 0  # a third copy would need more disk
        worker.awaited = "s3://bucket/b.mp4"
        first = staged.wait()
        assert staged.num_free == 1
        worker.awaited = ""
        second = staged.wait()
        assert {first.item.task.name, second.item.task.name} == {"a", "b"}
        assert first.item.task.path.startswith("s3://")
        assert list(scratch.folder.iterdir()) == []
        staged.join()


def test_local_files_need_no_copies(store: FakeStore, tmp_path: Path) -> None:
    worker, place = OneWorker(store), LocalPlace(tmp_path / "out")
    with Scratch(tmp_path / "scratch") as scratch:
        stage = Stage(place, scratch, renders=False, overwrites=False)
        with staged_workers(worker, [make_item("local")], stage, place, number=1) as runner:
            assert runner is worker
        with staged_workers(worker, [make_item("local"), item_of("a")], stage, place, number=1) as runner:
            assert isinstance(runner, StagedWorkers)


def test_an_exception_of_a_thread_reaches_the_driver(
    store: FakeStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Scratch(tmp_path / "scratch") as scratch:
        place = LocalPlace(tmp_path / "out")
        staged = StagedWorkers(
            OneWorker(store), Stage(place, scratch, renders=False, overwrites=False), place, number=1
        )
        monkeypatch.setattr(Stage, "fetch", lambda stage, item: {}["bug"])
        staged.start(item_of("a"))
        with pytest.raises(KeyError, match="bug"):
            staged.wait()

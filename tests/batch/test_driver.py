"""Order, attempts and settled videos, with a runner that does no work."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.batch.fakes import DONE, make_item
from vis_cli.batch import driver
from vis_cli.batch.driver import Ended, WorkItem, drive, is_settled, longest_first, make_row, next_attempt
from vis_cli.batch.manifest import ManifestWriter, Row, last_rows
from vis_cli.batch.tasks import Kind, Outcome
from vis_cli.errors import VisError


class FakeRunner:
    """Return the outcomes that a video has, the last one again and again."""

    def __init__(self, outcomes: dict[str, list[Outcome]] | None = None, number: int = 2) -> None:
        self.outcomes = outcomes or {}
        self.number = number
        self.running: list[WorkItem] = []
        self.started: list[tuple[str, int]] = []

    @property
    def num_free(self) -> int:
        return self.number - len(self.running)

    def start(self, item: WorkItem) -> None:
        assert self.num_free
        self.running.append(item)
        self.started.append((item.task.name, item.attempt))

    def wait(self) -> Ended:
        item = self.running.pop(0)
        outcomes = self.outcomes.get(item.task.name, [DONE])
        return Ended(item, outcomes.pop(0) if len(outcomes) > 1 else outcomes[0], "worker")


def run(out: Path, names: str, runner: FakeRunner) -> list[Row]:
    with ManifestWriter(out) as manifest:
        return list(drive([make_item(name) for name in names], runner, manifest))


def failed(kind: Kind) -> Outcome:
    return Outcome("failed", kind, "a reason")


def test_each_video_gets_one_row(tmp_path: Path) -> None:
    rows = run(tmp_path, "abc", FakeRunner())
    assert [(row.name, row.attempt, row.is_final) for row in rows] == [("a", 1, True), ("b", 1, True), ("c", 1, True)]


@pytest.mark.parametrize("kind", ["crashed", "timed out", "out of memory", "in use"])
def test_a_poison_video_gets_two_attempts_the_second_one_last(tmp_path: Path, kind: Kind) -> None:
    runner = FakeRunner({"a": [failed(kind)]})
    rows = run(tmp_path, "abc", runner)
    assert [row.is_final for row in rows if row.name == "a"] == [False, True]
    assert runner.started[-1] == ("a", 2)
    assert len(rows) == 4


def test_lost_workers_do_not_count_until_the_third(tmp_path: Path) -> None:
    lost, crashed = failed("lost"), failed("crashed")
    rows = run(tmp_path, "a", FakeRunner({"a": [lost, crashed, lost, DONE]}))
    assert [(row.attempt, row.is_final) for row in rows] == [(1, False), (2, False), (3, False), (4, True)]
    rows = run(tmp_path, "a", FakeRunner({"a": [lost]}))
    assert [(row.attempt, row.is_final) for row in rows] == [(1, False), (2, False), (3, True)]
    again = next_attempt(make_item("a"), make_row(Ended(make_item("a"), lost, "worker"), 0))
    assert (again.attempt, again.is_last) == (2, False)


def test_an_invalid_video_gets_one_attempt(tmp_path: Path) -> None:
    assert len(run(tmp_path, "a", FakeRunner({"a": [failed("invalid")]}))) == 1


def test_a_full_disk_stops_the_batch_and_settles_nothing(tmp_path: Path) -> None:
    runner = FakeRunner({"b": [failed("disk full")]}, number=1)
    with pytest.raises(VisError, match=r"stopped: a reason. Then run the same command again to resume"):
        run(tmp_path, "abc", runner)
    last = last_rows(tmp_path)
    assert {name: row.is_final for name, row in last.items()} == {"a": True, "b": False}
    assert not next_attempt(make_item("b"), last["b"]).is_last
    assert runner.started == [("a", 1), ("b", 1)]


def test_the_attempt_before_a_restart_counts() -> None:
    crashed = make_row(Ended(make_item("a", attempt=3), failed("crashed"), "worker"), 1.0)
    item = next_attempt(make_item("a"), crashed)
    assert (item.attempt, item.is_last) == (4, True)
    final = replace(crashed, is_final=True)
    assert next_attempt(make_item("a"), final).is_last is False  # --retry gives two attempts again
    assert next_attempt(make_item("a"), None) == make_item("a")


def test_a_settled_video(tmp_path: Path) -> None:
    item = make_item("a", tmp_path, size=5, modified=7)
    row = make_row(Ended(item, DONE, "worker"), 1.0)
    assert not is_settled(item, row)  # the result is missing
    item.result.touch()
    assert is_settled(item, row)
    assert not is_settled(item, None)
    assert not is_settled(item, replace(row, is_final=False))
    assert not is_settled(replace(item, size=6), row)
    assert not is_settled(replace(item, modified=8), row)
    assert not is_settled(replace(item, settings="other"), row)
    assert not is_settled(replace(item, task=replace(item.task, path="/other.mp4")), row)
    item.result.unlink()
    assert is_settled(item, replace(row, outcome=failed("invalid")))


def test_long_videos_first() -> None:
    items = [make_item("small", size=10), make_item("large", size=90), make_item("known"), make_item("listed")]
    items[3] = replace(items[3], task=replace(items[3].task, frames=50))
    last = {"known": make_row(Ended(items[2], replace(DONE, frames=60), "worker"), 1.0)}
    assert [item.task.name for item in longest_first(items, last)] == ["known", "listed", "large", "small"]


def test_a_clock_that_jumps_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class JumpingClock(driver.datetime):
        years = iter((2099, 1970))

        @classmethod
        def now(cls, tz: object = None) -> driver.datetime:
            return driver.datetime(next(cls.years), 1, 1, tzinfo=driver.timezone.utc)

    monkeypatch.setattr(driver, "datetime", JumpingClock)
    rows = run(tmp_path, "a", FakeRunner({"a": [failed("crashed"), DONE]}))
    assert [row.ended[:4] for row in rows] == ["2099", "1970"]
    assert last_rows(tmp_path)["a"].outcome.status == "done"
    assert rows[0].elapsed <= rows[1].elapsed < 5

"""Manifest and state: parts of several drivers, killed drivers, clocks that jump, full disks."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.batch.fakes import DONE, make_item
from vis_cli.batch import json_lines
from vis_cli.batch import manifest as manifest_module
from vis_cli.batch import status as status_module
from vis_cli.batch.driver import Ended, make_row
from vis_cli.batch.manifest import FOLDER, ManifestWriter, Row, iter_rows, last_rows, list_parts
from vis_cli.batch.plan import Plan, iter_names, read_plan, write_plan
from vis_cli.batch.status import measure, read_status
from vis_cli.batch.tasks import Outcome, Shard, VideoTask
from vis_cli.errors import VisError


def row(name: str, outcome: Outcome = DONE, elapsed: float = 1.0, worker: str = "host/0", **changes: Any) -> Row:
    return replace(make_row(Ended(make_item(name), outcome, worker), elapsed), **changes)


def write(out: Path, *rows: Row) -> None:
    with ManifestWriter(out) as writer:
        for each in rows:
            writer.append(each)


def test_rows_come_back_as_they_were_written(tmp_path: Path) -> None:
    rows = [row("a", size=5, modified=7), row("b\udcff\n", Outcome("failed", "invalid", "dämaged"))]
    write(tmp_path, *rows)
    assert list(iter_rows(tmp_path)) == rows


def test_the_highest_attempt_counts_and_no_clock(tmp_path: Path) -> None:
    failed = Outcome("failed", "crashed")
    write(tmp_path, row("a", failed, attempt=2, ended="2099-01-01T00:00:00+00:00"), row("b", failed, attempt=1))
    write(tmp_path, row("a", attempt=3, ended="1970-01-01T00:00:00+00:00"), row("b", attempt=1))
    write(tmp_path, row("a", failed, attempt=1))
    assert {name: found.outcome.status for name, found in last_rows(tmp_path).items()} == {"a": "done", "b": "done"}


def test_half_a_line_of_a_killed_driver_is_omitted(tmp_path: Path) -> None:
    write(tmp_path, row("a"), row("b"))
    (part,) = list_parts(tmp_path)
    part.write_bytes(part.read_bytes()[:-20])
    assert list(last_rows(tmp_path)) == ["a"]


@pytest.mark.parametrize("line", [b"{}\n", b"[]\n", b"nonsense\n", b"\xff\n"])
def test_a_damaged_line_is_an_error(tmp_path: Path, line: bytes) -> None:
    write(tmp_path, row("a"))
    (part,) = list_parts(tmp_path)
    part.write_bytes(part.read_bytes() + line)
    with pytest.raises(VisError, match=r"line 2: the row is damaged. Remove this line"):
        last_rows(tmp_path)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("attempt", value) for value in (None, "1", True)),
        *((name, value) for name in ("status", "kind", "worker", "path") for value in (None, 5, {"a": 1})),
        *((name, value) for name in ("frames", "size", "modified") for value in ("many", [1])),
        *(("seconds", value) for value in ("x", {})),
        *(("elapsed", value) for value in ("x", None)),
        ("is_final", None),
    ],
)
def test_a_row_with_a_value_of_another_type_is_an_error(tmp_path: Path, field: str, value: object) -> None:
    write(tmp_path, row("a"), row("b"))
    (part,) = list_parts(tmp_path)
    first, second = part.read_text().splitlines()
    part.write_text(f"{first}\n{json.dumps({**json.loads(second), field: value})}\n")
    with pytest.raises(VisError, match=r"line 2: the row is damaged. Remove this line"):
        last_rows(tmp_path)
    if field not in ("path", "size", "modified"):  # --status does not use them
        with pytest.raises(VisError, match=r"line 2: the row is damaged. Remove this line"):
            read_status(tmp_path, ["a", "b"])


def test_a_part_without_rows_is_removed(tmp_path: Path) -> None:
    write(tmp_path)
    assert list_parts(tmp_path) == []


def test_a_full_disk_is_reported(tmp_path: Path) -> None:
    class FullFile:
        def write(self, data: bytes) -> None:
            raise OSError(28, "No space left on device")

        def close(self) -> None:
            pass

    with ManifestWriter(tmp_path) as writer:
        writer._file = FullFile()  # type: ignore[assignment]
        with pytest.raises(VisError, match=r"cannot write .*rows-.*No space left on device. Free disk space"):
            writer.append(row("a"))


def test_a_host_name_that_is_no_file_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifest_module.socket, "gethostname", lambda: "../" + "h" * 300)
    write(tmp_path, row("a"))
    assert [part.parent for part in list_parts(tmp_path)] == [tmp_path / FOLDER]


def test_the_state_of_a_batch(tmp_path: Path) -> None:
    crash = Outcome("failed", "crashed")
    slow = replace(DONE, seconds=9.0)
    write(tmp_path, row("a", elapsed=10), row("b", crash, elapsed=20, is_final=False), row("x", slow, elapsed=1000))
    write(tmp_path, row("b", crash, elapsed=10, attempt=2, is_final=True), row("c", slow, elapsed=10, worker="host/1"))
    state = read_status(tmp_path, ["a", "b", "c", "d", "e"])
    assert (state.num_videos, state.num_done, state.failed, state.num_missing) == (5, 2, {"crashed": 1}, 2)
    assert state.frames == 16
    assert state.slowest == ((9.0, "c"), (0.5, "a"))
    assert state.rate == pytest.approx(2 * 4 / 40)  # 2 workers; 4 attempts in 20 + 10 + 10 seconds of a worker
    assert state.remaining_seconds == pytest.approx(10)


def test_several_processes_count_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crash, parts = Outcome("failed", "crashed"), 3
    for part in range(parts):
        outcomes = [crash if index % 3 == part else replace(DONE, seconds=index + part / 4) for index in range(9)]
        write(
            tmp_path,
            *(row(f"v{i}", o, elapsed=i + 1.0, attempt=part + 1, is_final=True) for i, o in enumerate(outcomes)),
        )
    names = [f"v{index}" for index in range(10)]
    state = read_status(tmp_path, names)
    assert (state.num_done, state.failed, state.num_missing, len(state.slowest)) == (6, {"crashed": 3}, 1, 5)
    monkeypatch.setattr(json_lines, "BLOCK_BYTES", 700)
    monkeypatch.setattr(status_module, "BLOCKS_PER_PROCESS", 1)
    monkeypatch.setattr(status_module, "num_cores", lambda: 2)
    assert read_status(tmp_path, names) == state
    part = list_parts(tmp_path)[-1]
    part.write_bytes(part.read_bytes() + b"nonsense\n")
    with pytest.raises(VisError, match="line 10: the row is damaged"):
        read_status(tmp_path, names)


def test_a_row_that_is_not_final_is_missing(tmp_path: Path) -> None:
    write(tmp_path, row("a", Outcome("failed", "crashed"), is_final=False))
    assert read_status(tmp_path, ["a"]).num_missing == 1


def test_the_state_without_rows(tmp_path: Path) -> None:
    state = read_status(tmp_path, ["a"])
    assert (state.num_missing, state.rate, state.remaining_seconds) == (1, None, None)


def test_measured_speed_and_size() -> None:
    rows = [row("a"), row("b", replace(DONE, seconds=None)), row("c", Outcome("failed", "invalid"))]
    assert measure(rows).frames_per_second == pytest.approx(16)
    assert measure(rows).bytes_per_frame == pytest.approx(10)
    assert measure([]).frames_per_second is None


def test_the_plans_of_the_shards_are_merged(tmp_path: Path) -> None:
    tasks = [VideoTask("/v/a.mp4", "a"), VideoTask("/v/b.mp4", "b", "5s", "9s", "/m.png", ("window=none",), 8)]
    for number, task in enumerate(tasks, start=1):
        write_plan(tmp_path, Shard(number, 2), Plan({"only": ["cat"]}, [task]))
    assert read_plan(tmp_path) == Plan({"only": ["cat"]}, tasks)
    write_plan(tmp_path, Shard(2, 2), Plan({"only": []}, []))
    with pytest.raises(VisError, match=r"its options differ from plan-1-of-2.jsonl"):
        read_plan(tmp_path)


DAMAGED = ('{"size":3}', '{"path":"/v/a.mp4"}', '{"path":5,"name":"a"}', "[]", "no", '{"path":"/v/a.mp4","name":[]}')


@pytest.mark.parametrize(
    "text", ["", "{}\n", "nonsense", *(f'{{"version":1,"options":{{}}}}\n{row}\n' for row in DAMAGED)]
)
def test_a_damaged_plan(tmp_path: Path, text: str) -> None:
    write_plan(tmp_path, Shard(), Plan({}, []))
    next((tmp_path / FOLDER).glob("plan-*")).write_text(text)
    with pytest.raises(VisError, match=r"the plan is damaged. Run the batch again"):
        read_plan(tmp_path)


def test_names_without_reading_the_complete_plan(tmp_path: Path) -> None:
    for number, name in enumerate("ab", start=1):
        write_plan(tmp_path, Shard(number, 2), Plan({}, [VideoTask(f"/v/{name}.mp4", name)]))
    assert list(iter_names(tmp_path)) == ["a", "b"]
    path = next((tmp_path / FOLDER).glob("plan-2*"))
    path.write_text(path.read_text() + "{}\n")
    with pytest.raises(VisError, match=r"plan-2-of-2.jsonl: the plan is damaged"):
        list(iter_names(tmp_path))


def test_a_folder_without_a_plan(tmp_path: Path) -> None:
    with pytest.raises(VisError, match="it is not the folder of a batch"):
        read_plan(tmp_path)

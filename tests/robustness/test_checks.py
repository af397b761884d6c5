"""The harness sees every fault that it looks for: each check has a case that must not pass."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.robustness.case import INPUT, TEMPORARY, WORK, Case, make_folders, write_case
from tests.robustness.checks import Ending, judge
from tests.robustness.child import named_output
from tests.robustness.snapshot import take_snapshot

MOST_BYTES = 3 * 2**30
TRACEBACK = """Traceback (most recent call last):
  File "/x/vis_cli/records/rle.py", line 7, in parse
    number = int(text)
ValueError: 12 is odd
"""


def ended(code: int = 1, *, signal: int = 0, killed: str | None = None, peak: int = 0, left: bool = False) -> Ending:
    return Ending(code << 8 | signal, killed, 0.1, 0.1, peak, left)


def make_case_folder(folder: Path, *, stderr: str = "error: no\n", stdout: str = "", noise: str = "") -> Path:
    """Write what a child leaves: its inputs, what they were, and its output."""
    make_folders(folder)
    (folder / WORK / INPUT / "clip.mp4").write_bytes(b"clip")
    write_case(Case("video", ["segment", "in/clip.mp4", "-o", "out"]), folder / "case.json")
    (folder / "before.json").write_text(json.dumps(take_snapshot(folder / WORK, without="out")))
    (folder / "own.json").write_text("[]")
    for name, text in (("stderr", stderr), ("stdout", stdout), ("noise", noise)):
        (folder / name).write_bytes(text.encode("utf-8", "surrogateescape"))
    return folder


def faults_of(folder: Path, ending: Ending) -> list[str]:
    return [fault.name for fault in judge(1, folder, ending, most_bytes=MOST_BYTES).faults]


def test_one_error_line_is_no_fault(tmp_path: Path) -> None:
    folder = make_case_folder(tmp_path, stderr="warning: a\nerror: no\n")
    (folder / WORK / "out").mkdir()
    (folder / WORK / "out/clip.json").touch()
    assert faults_of(folder, ended(1)) == []


def test_success_without_an_error_line_is_no_fault(tmp_path: Path) -> None:
    assert faults_of(make_case_folder(tmp_path, stderr="a note\n"), ended(0)) == []


@pytest.mark.parametrize(
    ("output", "code", "name"),
    [
        ({"stderr": TRACEBACK}, 1, "traceback"),
        ({"noise": TRACEBACK}, 1, "traceback"),
        ({"noise": "libpng error: bad\n"}, 1, "noise"),
        ({"stderr": "/x/y.py:3: UserWarning: old\nerror: no\n"}, 1, "noise"),
        ({"stderr": "error: a\nerror: b\n"}, 1, "error lines"),
        ({"stderr": ""}, 1, "error lines"),
        ({"stderr": "error: no\n"}, 0, "error lines"),
        ({}, 3, "exit code"),
        ({"stderr": "error: esc\x1b[31m\n"}, 1, "control character"),
        ({"stderr": "error: \u202egnp\n"}, 1, "control character"),
        ({"stderr": "error: \udcff\n"}, 1, "control character"),
        ({"stderr": "error: \u009b\n"}, 1, "control character"),
        ({"stderr": f"error: {'x' * 5000}\n"}, 1, "long line"),
        ({"stderr": "error: out of memory\n"}, 1, "memory"),
    ],
)
def test_output(output: dict[str, str], code: int, name: str, tmp_path: Path) -> None:
    assert faults_of(make_case_folder(tmp_path, **output), ended(code)) == [name]


@pytest.mark.parametrize(
    ("ending", "name"),
    [
        (ended(0, signal=11), "signal"),
        (ended(0, signal=9, killed="hang"), "hang"),
        (ended(0, signal=9, killed="memory"), "memory"),
        (ended(1, peak=MOST_BYTES + 1), "memory"),
        (ended(1, left=True), "leftover"),
    ],
)
def test_ending(ending: Ending, name: str, tmp_path: Path) -> None:
    assert faults_of(make_case_folder(tmp_path), ending) == [name]


def test_a_case_that_could_not_be_made_is_a_fault_of_the_harness(tmp_path: Path) -> None:
    (tmp_path / "broken.txt").write_text("Traceback\nKeyError: 'x'\n")
    assert faults_of(tmp_path, ended(99)) == ["harness"]


def _add(name: str) -> Callable[[Path], None]:
    def add(folder: Path) -> None:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()

    return add


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (lambda folder: (folder / WORK / INPUT / "clip.mp4").write_bytes(b"clap"), "input changed"),
        (lambda folder: (folder / WORK / INPUT / "clip.mp4").unlink(), "input changed"),
        (lambda folder: os.utime(folder / WORK / INPUT / "clip.mp4", (1, 1)), "input changed"),
        (_add(f"{TEMPORARY}/pymp-a8"), "leftover"),
        (_add(f"{WORK}/out/.clip.tmp-7.mp4"), "leftover"),
        (_add(f"{WORK}/clip.json"), "outside of OUT"),
        (_add("a/b/00000.png"), "outside of OUT"),
        (_add("00000.png"), "outside of OUT"),
    ],
)
def test_files(change: Callable[[Path], object], name: str, tmp_path: Path) -> None:
    folder = make_case_folder(tmp_path)
    change(folder)
    assert faults_of(folder, ended(1)) == [name]


def test_the_cause_of_a_traceback_is_the_same_for_every_number(tmp_path: Path) -> None:
    details = []
    for number in ("12", "77"):
        folder = make_case_folder(tmp_path / number, stderr=TRACEBACK.replace("12", number))
        details += [fault.detail for fault in judge(1, folder, ended(1), most_bytes=MOST_BYTES).faults]
    assert details == ["ValueError: # is odd in vis_cli/records/rle.py:parse"] * 2


def test_a_batch_has_one_error_line_for_each_failed_input(tmp_path: Path) -> None:
    lines = "".join(json.dumps({"status": status}) + "\n" for status in ("done", "failed", "failed"))
    folder = make_case_folder(tmp_path, stderr="error: a\n", stdout=lines)
    write_case(Case("batch", ["segment", "in", "-o", "out", "--json"]), folder / "case.json")
    assert faults_of(folder, ended(1)) == ["error lines"]
    (folder / "stderr").write_text("error: a\nerror: b\n")
    assert faults_of(folder, ended(1)) == []
    assert faults_of(folder, ended(0)) == ["exit code"]
    (folder / "stdout").write_text(json.dumps({"status": "done"}))
    (folder / "stderr").write_text("")
    assert faults_of(folder, ended(0)) == []
    assert faults_of(folder, ended(1)) == ["exit code"]


def test_an_output_option_without_a_path_names_no_output() -> None:
    assert named_output(["segment", "in", "-o", "out", "--json"]) == "out"
    assert named_output(["segment", "in", "-o"]) is None
    assert named_output(["models"]) is None

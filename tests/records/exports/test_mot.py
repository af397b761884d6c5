"""Boxes in the text format of MOTChallenge."""

from __future__ import annotations

from pathlib import Path

from tests.records.result_factory import make_result
from vis_cli.records.bundle import read_bundle
from vis_cli.records.exports.choice import Choice
from vis_cli.records.exports.mot import write_mot

from .factory import two_objects, write


def test_lines_are_sorted_by_frame_and_counted_from_1(tmp_path: Path) -> None:
    write(write_mot, tmp_path / "t.txt", two_objects())
    lines = [line.split(",") for line in (tmp_path / "t.txt").read_text().splitlines()]
    assert all(len(line) == 10 and line[7:] == ["-1"] * 3 for line in lines)
    assert [(line[0], line[1]) for line in lines] == [("1", "1"), ("2", "4"), ("3", "1"), ("3", "4"), ("4", "1")]
    assert lines[1][2:7] == ["46", "26", "11", "11", "0.5"]


def test_one_file_per_video(tmp_path: Path) -> None:
    write(write_mot, tmp_path / "t.zip", two_objects(), make_result(name="nothing"), choice=Choice(every=2))
    with read_bundle(tmp_path / "t.zip") as bundle:
        assert sorted(bundle.names) == ["clip.txt", "nothing.txt"]
        assert bundle.read("nothing.txt") == b""
        assert [line.split(b",")[0] for line in bundle.read("clip.txt").splitlines()] == [b"1", b"3", b"3"]

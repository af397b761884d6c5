"""Blocks of large files of JSON lines: each line belongs to one block."""

from __future__ import annotations

from pathlib import Path

import pytest

from vis_cli.batch import json_lines
from vis_cli.batch.json_lines import Block, blocks_of, first_line_number, read_values
from vis_cli.errors import VisError

LINES = ['"a"', '"' + "b" * 40 + '"', "3", '{"c":[1,2]}', "null", '"' + "d" * 9 + '"']


@pytest.mark.parametrize("size", range(1, 80, 3))
def test_each_line_is_in_one_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(json_lines, "BLOCK_BYTES", size)
    path = tmp_path / "lines.jsonl"
    path.write_text("\n".join(LINES) + '\n"half a li')
    blocks = blocks_of(path)
    assert [value for block in blocks for value in read_values(block)] == [
        "a",
        "b" * 40,
        3,
        {"c": [1, 2]},
        None,
        "d" * 9,
    ]
    number = 1
    for block in blocks:
        values = list(read_values(block))
        assert not values or first_line_number(block) == number
        number += len(values)


def test_damaged_lines_are_none(tmp_path: Path) -> None:
    path = tmp_path / "lines.jsonl"
    path.write_bytes(b"1\n2,3\n\n\xff\n[" + b"[" * 100_000 + b"\n4\n")
    assert [value for block in blocks_of(path) for value in read_values(block)] == [1, None, None, None, None, 4]


def test_an_empty_and_a_missing_file(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    assert blocks_of(tmp_path / "empty") == []
    for read in (lambda block: list(read_values(block)), first_line_number):
        with pytest.raises(VisError, match=r"cannot read .*missing"):
            read(Block(tmp_path / "missing", 0, 1))
    with pytest.raises(VisError, match=r"cannot read .*missing"):
        blocks_of(tmp_path / "missing")

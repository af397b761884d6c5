"""log.jsonl and TensorBoard's folder: what a resumed run keeps of them, and what they may not be."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from vis_cli.errors import VisError
from vis_cli.training.run_log import BOARD_NAME, LOG_NAME, open_log


def test_a_resumed_log_forgets_what_came_after_the_checkpoint(tmp_path: Path) -> None:
    with open_log(tmp_path, 0, silent=False) as log:
        for step in range(4):
            log.write(step, {"loss": 1.0})
    with (tmp_path / LOG_NAME).open("a") as file:
        file.write('{"step": 4, "lo')  # cut off by a crash
    with open_log(tmp_path, 2, silent=False) as log:
        log.write(2, {"loss": 2.0})
    records = [json.loads(line) for line in (tmp_path / LOG_NAME).read_text().splitlines()]
    assert [(record["step"], record["loss"]) for record in records] == [(0, 1.0), (1, 1.0), (2, 2.0)]


def test_damaged_lines_are_removed_and_reported(tmp_path: Path) -> None:
    good = [b'{"step": %d, "loss": 1.0}' % step for step in range(3)]
    bad = [
        b"\xff\xfe",
        b"null",
        b"[1]",
        b"{}",
        b'{"step": "1"}',
        b'{"step": true}',
        b'{"step": null}',
        b'{"step": 1' + b"0" * 5000 + b"}",
        b'{"step": ' + b"[" * 50_000 + b"}",
        b'{"step": 0, "x": "' + b"y" * 70_000 + b'"}',  # two parts
    ]
    (tmp_path / LOG_NAME).write_bytes(b"\n".join([good[0], *bad, *good[1:]]) + b"\n")
    notes: list[str] = []
    with open_log(tmp_path, 2, silent=False, note=notes.append):
        pass
    assert (tmp_path / LOG_NAME).read_bytes() == good[0] + b"\n" + good[1] + b"\n"
    assert notes == [f"{tmp_path / LOG_NAME}: 11 damaged lines were removed"]


def test_a_log_or_board_of_a_wrong_type_is_named(tmp_path: Path) -> None:
    for number, make in enumerate([Path.mkdir, os.mkfifo, lambda path: path.symlink_to("/dev/zero")]):
        folder = tmp_path / str(number)
        folder.mkdir()
        make(folder / LOG_NAME)
        with (
            pytest.raises(VisError, match=rf"{LOG_NAME}: the path is a (folder|pipe|device)"),
            open_log(folder, 0, silent=False),
        ):
            pass
    (tmp_path / BOARD_NAME).write_text("")
    with pytest.raises(VisError, match=rf"cannot write .*{BOARD_NAME}"), open_log(tmp_path, 0, silent=False):
        pass


def test_a_huge_log_is_not_read(tmp_path: Path) -> None:
    (tmp_path / LOG_NAME).touch()
    os.truncate(tmp_path / LOG_NAME, 8 * 2**30)
    with pytest.raises(VisError, match="the limit is 1,073,741,824"), open_log(tmp_path, 0, silent=False):
        pass

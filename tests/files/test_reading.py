"""Tests of `vis_cli.files.reading`: regular files within a limit, and nothing that blocks or has no end."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from vis_cli.errors import VisError
from vis_cli.files.reading import read_bytes, read_text, real_path, require_regular


def test_a_file_of_exactly_the_limit_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"12345")
    assert read_bytes(path, limit=5) == b"12345"
    with pytest.raises(VisError, match="5 bytes"):
        read_bytes(path, limit=4)


def test_a_sparse_file_is_rejected_by_its_size(tmp_path: Path) -> None:
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        file.truncate(8 * 2**30)
    with pytest.raises(VisError, match="limit is 16 MiB"):
        read_text(path)


def test_pipes_devices_folders_and_links_to_them_are_named_at_once(tmp_path: Path) -> None:
    pipe, link = tmp_path / "pipe", tmp_path / "zero.png"
    os.mkfifo(pipe)
    link.symlink_to("/dev/zero")
    for path, kind in ((pipe, "a pipe"), (link, "a device"), (tmp_path, "a folder")):
        for check in (lambda path: read_bytes(path, limit=10), require_regular):
            with pytest.raises(VisError, match=kind):
                check(path)


@pytest.mark.parametrize("name", ["missing", "a\0b"])
def test_paths_that_no_file_has_are_one_line(tmp_path: Path, name: str) -> None:
    for check in (read_text, require_regular):
        with pytest.raises(VisError, match="cannot read"):
            check(tmp_path / name)


def test_text_skips_a_byte_order_mark_and_names_the_byte_that_is_not_utf_8(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_bytes(b"\xef\xbb\xbfdog\n")
    assert read_text(path) == "dog\n"
    path.write_bytes(b"dog\xff")
    with pytest.raises(VisError, match="byte 3 is not UTF-8"):
        read_text(path)


def test_the_real_path_follows_links_and_keeps_a_loop(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    (tmp_path / "link").symlink_to("a")
    (tmp_path / "loop").symlink_to("loop")
    assert real_path(tmp_path / "link") == real_path(tmp_path / "a")
    assert real_path(tmp_path / "loop").name == "loop"

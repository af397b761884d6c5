"""Tests of `vis_cli.files.atomic`: a file is whole or absent, whatever happens while it is written."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from vis_cli.errors import VisError
from vis_cli.files.atomic import atomic_path


def test_body_that_ends_well_makes_the_file_and_nothing_else(tmp_path: Path) -> None:
    final = tmp_path / "new" / "folder" / "a.b.json"
    with atomic_path(final) as temporary:
        assert temporary.parent == final.parent
        assert temporary.suffix == ".json"
        assert temporary.name == f".a.b.tmp-{os.getpid()}.json"
        temporary.write_text("whole")
        assert not final.exists()
    assert final.read_text() == "whole"
    assert list(final.parent.iterdir()) == [final]


def test_a_name_as_long_as_the_file_system_takes(tmp_path: Path) -> None:
    final = tmp_path / ("ü" * 125 + ".json")  # 255 bytes
    with atomic_path(final) as temporary:
        temporary.write_text("whole")
    assert [path.name for path in tmp_path.iterdir()] == [final.name]


def write_half(final: Path, exception: BaseException) -> None:
    """Write a part of `final`, then fail."""
    with atomic_path(final) as temporary:
        temporary.write_text("half")
        raise exception


@pytest.mark.parametrize("exception", [RuntimeError, KeyboardInterrupt])
def test_any_exception_leaves_the_old_file_and_no_temporary(tmp_path: Path, exception: type[BaseException]) -> None:
    final = tmp_path / "a.json"
    final.write_text("old")
    with pytest.raises(exception):
        write_half(final, exception())
    assert final.read_text() == "old"
    assert list(tmp_path.iterdir()) == [final]


def test_vis_error_of_the_body_passes_unchanged(tmp_path: Path) -> None:
    with pytest.raises(VisError, match=r"^mine$"), atomic_path(tmp_path / "a.json"):
        raise VisError("mine")


def test_full_disk_is_one_line_that_names_the_file(tmp_path: Path) -> None:
    final = tmp_path / "a.json"
    with pytest.raises(VisError) as caught:
        write_half(final, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
    assert str(caught.value) == f"{final}: cannot be written (No space left on device)"
    assert list(tmp_path.iterdir()) == []


def test_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(VisError, match=r"a\.json: cannot be written"), atomic_path(tmp_path / "file" / "a.json"):
        pytest.fail("the body must not run")


def test_final_that_is_a_folder_is_refused_and_kept(tmp_path: Path) -> None:
    final = tmp_path / "a.json"
    final.mkdir()
    with pytest.raises(VisError, match=r"a\.json: cannot be written"), atomic_path(final) as temporary:
        temporary.write_text("x")
    assert list(tmp_path.iterdir()) == [final]

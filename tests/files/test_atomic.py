"""Tests of `vis_cli.files.atomic`: a file is whole or absent, whatever happens while it is written."""

from __future__ import annotations

import errno
import os
import re
import stat
from pathlib import Path

import pytest

from vis_cli.errors import VisError
from vis_cli.files.atomic import atomic_folder, atomic_path


def test_body_that_ends_well_makes_the_file_and_nothing_else(tmp_path: Path) -> None:
    final = tmp_path / "new" / "folder" / "a.b.json"
    with atomic_path(final) as temporary:
        assert temporary.parent == final.parent
        assert temporary.suffix == ".json"
        assert re.fullmatch(r"\.a\.b\.tmp-[0-9a-f]{16}\.json", temporary.name)
        temporary.write_text("whole")
        assert not final.exists()
    assert final.read_text() == "whole"
    assert list(final.parent.iterdir()) == [final]


def test_a_name_as_long_as_the_file_system_takes(tmp_path: Path) -> None:
    final = tmp_path / ("ü" * 125 + ".json")  # 255 bytes
    with atomic_path(final) as temporary:
        temporary.write_text("whole")
    assert [path.name for path in tmp_path.iterdir()] == [final.name]


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_the_mode_of_a_new_file_follows_the_umask(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        with atomic_path(tmp_path / "a.json") as temporary:
            temporary.write_text("whole")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.json").stat().st_mode) == 0o666 & ~umask


def test_a_suffix_that_is_longer_than_any_format_is_no_suffix(tmp_path: Path) -> None:
    final = tmp_path / f"a.{'b' * 250}"
    with atomic_path(final) as temporary:
        temporary.write_text("whole")
    assert [path.name for path in tmp_path.iterdir()] == [final.name]


def test_a_temporary_file_that_is_replaced_never_becomes_the_final_one(tmp_path: Path) -> None:
    final, other = tmp_path / "a.json", tmp_path / "other"
    other.write_text("other")
    with (
        pytest.raises(VisError, match=r"cannot write .*a\.json: .* removed or replaced"),
        atomic_path(final) as temporary,
    ):
        other.replace(temporary)
    assert not final.exists()


def test_a_folder_of_many_files(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "pngs"
    with atomic_folder(folder) as locked:
        for name in ("a/0.png", "a/1.png", "b/0.png"):
            with locked.atomic_path(name) as temporary:
                temporary.write_text(name)
            assert (folder / name).read_text() == name
    assert sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()) == [
        "a/0.png",
        "a/1.png",
        "b/0.png",
    ]


def test_a_link_does_not_lead_out_of_a_folder_of_many_files(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a").symlink_to(tmp_path / "other")
    with (
        atomic_folder(tmp_path / "out") as locked,
        pytest.raises(VisError, match=r"0\.png: a symbolic link leads out of"),
        locked.atomic_path("a/0.png"),
    ):
        pass
    assert list((tmp_path / "other").iterdir()) == []


def write_files_and_fail(folder: Path, *names: str) -> None:
    with atomic_folder(folder) as locked:
        for name in names:
            with locked.atomic_path(name) as temporary:
                temporary.write_text("new")
        raise RuntimeError


def test_a_folder_that_fails_leaves_nothing_new(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "pngs"
    with pytest.raises(RuntimeError):
        write_files_and_fail(folder, "a/0.png", "b/c/0.png")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_fails_keeps_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "pngs" / "a").mkdir(parents=True)
    (tmp_path / "pngs" / "a" / "0.png").write_text("old")
    (tmp_path / "pngs" / "notes.txt").write_text("mine")
    with pytest.raises(RuntimeError):
        write_files_and_fail(tmp_path / "pngs", "a/0.png", "a/1.png")
    found = {str(path.relative_to(tmp_path)): path.read_text() for path in tmp_path.rglob("*") if path.is_file()}
    assert found == {"pngs/a/0.png": "new", "pngs/notes.txt": "mine"}


def test_folders_of_a_file_that_fails_are_removed(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError):
        write_half(tmp_path / "x" / "y" / "a.json", RuntimeError())
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "x").mkdir()
    with pytest.raises(RuntimeError):
        write_half(tmp_path / "x" / "y" / "a.json", RuntimeError())
    assert list(tmp_path.rglob("*")) == [tmp_path / "x"]


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
    assert str(caught.value).startswith(f"cannot write {final}: No space left on device. Free disk space or inodes")
    assert list(tmp_path.iterdir()) == []


def test_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(VisError, match=r"cannot write .*a\.json: "), atomic_path(tmp_path / "file" / "a.json"):
        pytest.fail("the body must not run")


def test_final_that_is_a_folder_is_refused_and_kept(tmp_path: Path) -> None:
    final = tmp_path / "a.json"
    final.mkdir()
    with pytest.raises(VisError, match=r"cannot write .*a\.json: "), atomic_path(final) as temporary:
        temporary.write_text("x")
    assert list(tmp_path.iterdir()) == [final]


@pytest.mark.parametrize(
    ("number", "remedy"),
    [(errno.ENOSPC, "inodes"), (errno.EDQUOT, "quota"), (errno.EROFS, "may write"), (errno.EACCES, "may write")],
)
def test_a_temporary_file_that_cannot_be_created(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, remedy: str
) -> None:
    """A disk without inodes refuses the file itself."""

    def refuse(*_: object, **__: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(VisError) as caught, atomic_path(tmp_path / "a.json"):
        pytest.fail("the body must not run")
    monkeypatch.undo()
    assert str(caught.value).startswith(f"cannot write {tmp_path / 'a.json'}: {os.strerror(number)}. ")
    assert remedy in str(caught.value)
    assert list(tmp_path.iterdir()) == []

"""Files in a folder or a zip, there and back."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from vis_cli.errors import VisError
from vis_cli.records.bundle import read_bundle, write_bundle


@pytest.mark.parametrize("name", ["out", "out.zip", "OUT.ZIP"])
def test_there_and_back(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    with write_bundle(path) as add:
        add("a/0.png", b"one")
        add("b.txt", b"")
    assert path.is_dir() == (name == "out")
    with read_bundle(path) as bundle:
        assert bundle.names == ("a/0.png", "b.txt")
        assert [bundle.read(file) for file in bundle.names] == [b"one", b""]


def test_the_same_files_make_the_same_zip(tmp_path: Path) -> None:
    for name in ("a.zip", "b.zip"):
        with write_bundle(tmp_path / name) as add:
            add("0.png", b"x" * 1000)
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert archive.infolist()[0].date_time == (1980, 1, 1, 0, 0, 0)  # not the time of writing
        assert archive.infolist()[0].compress_size < 100


def test_a_zip_is_whole_or_absent(tmp_path: Path) -> None:
    def fail() -> None:
        with write_bundle(tmp_path / "a.zip") as add:
            add("0.png", b"x")
            raise VisError("a later file fails")

    with pytest.raises(VisError, match="a later file fails"):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_folders_in_a_zip_are_no_files(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("dog/", "")
        archive.writestr("dog/0.png", b"x")
    with read_bundle(tmp_path / "a.zip") as bundle:
        assert bundle.names == ("dog/0.png",)


def test_what_is_no_zip_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"PK no zip")
    for name in ("a.zip", "absent.zip"):
        with pytest.raises(VisError, match=rf"{name}: cannot be read as a zip"), read_bundle(tmp_path / name):
            pass


def test_a_damaged_file_in_a_zip_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("0.png", b"unchanged bytes")
    path.write_bytes(path.read_bytes().replace(b"unchanged", b"different"))
    with read_bundle(path) as bundle, pytest.raises(VisError, match=r"a\.zip: 0\.png cannot be read \(Bad CRC"):
        bundle.read("0.png")

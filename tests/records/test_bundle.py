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
        with pytest.raises(VisError, match=rf"cannot read .*{name}: "), read_bundle(tmp_path / name):
            pass


def test_a_damaged_file_in_a_zip_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("0.png", b"unchanged bytes")
    path.write_bytes(path.read_bytes().replace(b"unchanged", b"different"))
    with read_bundle(path) as bundle, pytest.raises(VisError, match=r"cannot read .*a\.zip: 0\.png: .*Bad CRC"):
        bundle.read("0.png")


def add_all(path: Path, *names: str) -> None:
    with write_bundle(path) as add:
        for name in names:
            add(name, b"x")


@pytest.mark.parametrize("out", ["out", "out.zip"])
@pytest.mark.parametrize(
    "name", ["../a.png", "/a.png", "a/../../b.png", "", ".", "a\0.png", "caf\udce9.png", "x" * 300]
)
def test_a_name_that_leaves_the_folder_or_suits_no_file_system_is_rejected(tmp_path: Path, out: str, name: str) -> None:
    with pytest.raises(VisError, match="unsafe name"):
        add_all(tmp_path / "deep" / out, name)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("out", ["out", "out.zip"])
@pytest.mark.parametrize(
    ("names", "cause"),
    [
        (("a.png", "a.png"), "twice"),
        (("a.png", "./a.png"), "twice"),
        (("Dog/a.png", "dog/a.png"), "case"),
        (("\u00e9.png", "e\u0301.png"), "Unicode form"),
    ],
)
def test_names_that_some_file_systems_do_not_tell_apart(
    tmp_path: Path, out: str, names: tuple[str, str], cause: str
) -> None:
    with pytest.raises(VisError, match=cause):
        add_all(tmp_path / out, *names)


def test_hidden_files_of_a_folder_are_left_out(tmp_path: Path) -> None:
    for name in ("dog/10.png", "dog/9.png", "dog/._9.png", ".DS_Store", "__MACOSX/.x/a.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    with read_bundle(tmp_path) as bundle:
        assert bundle.names == ("dog/9.png", "dog/10.png")

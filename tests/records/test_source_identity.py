"""Sources recognised by content: equal content keeps the fingerprint, every change is noticed."""

from __future__ import annotations

import os
import shutil
import unicodedata
from pathlib import Path

import pytest

from vis_cli.errors import VisError
from vis_cli.records import source_identity as source
from vis_cli.records.source_identity import identify_source, source_difference, source_size


def fingerprint(path: Path) -> str:
    return identify_source(path).fingerprint


def make_file(path: Path, size: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(number * 7 % 251 for number in range(size)))
    return path


def make_folder(folder: Path, num_images: int = 3, size: int = 100) -> Path:
    for number in range(num_images):
        make_file(folder / f"{number:05d}.png", size)
    return folder


def change_byte(path: Path, position: int) -> None:
    with path.open("r+b") as file:
        file.seek(position, os.SEEK_SET if position >= 0 else os.SEEK_END)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 1]))


def test_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_file(tmp_path / "clip.mp4", 1000)
    monkeypatch.chdir(tmp_path)
    found = identify_source(Path("clip.mp4"))
    assert (found.path, found.kind, found.size) == (tmp_path / "clip.mp4", "file", 1000)
    assert source_size(Path("clip.mp4")) == 1000


def test_a_copy_has_the_same_fingerprint(tmp_path: Path) -> None:
    clip = make_file(tmp_path / "clip.mp4", 1000)
    other = shutil.copy(clip, tmp_path / "other.mov")
    assert source_difference(identify_source(clip), identify_source(other)) is None
    folder = make_folder(tmp_path / "a")
    assert fingerprint(folder) == fingerprint(shutil.copytree(folder, tmp_path / "b"))


@pytest.mark.parametrize("position", [0, 500, -1])
def test_one_byte_of_a_small_file_counts(tmp_path: Path, position: int) -> None:
    clip = make_file(tmp_path / "clip.mp4", 1000)
    before = identify_source(clip)
    change_byte(clip, position)
    assert source_difference(before, identify_source(clip)) == "equal size, other content"


@pytest.mark.parametrize("position", [0, 200, -1])
def test_head_middle_and_tail_of_a_large_file_count(
    tmp_path: Path, position: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "FILE_BLOCKS", 3)
    monkeypatch.setattr(source, "FILE_BLOCK_BYTES", 20)
    clip = make_file(tmp_path / "clip.mp4", 401)
    before = fingerprint(clip)
    change_byte(clip, position)
    assert fingerprint(clip) != before


def test_the_size_counts(tmp_path: Path) -> None:
    clip = make_file(tmp_path / "clip.mp4", 1000)
    before = identify_source(clip)
    with clip.open("ab") as file:
        file.write(b"x" * 234)
    assert source_difference(before, identify_source(clip)) == "1,000 -> 1,234 bytes"


def test_every_change_of_a_folder_counts(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "frames")
    seen = {fingerprint(folder)}
    make_file(folder / "00003.png", 50)
    seen.add(fingerprint(folder))
    (folder / "00003.png").rename(folder / "00004.png")
    seen.add(fingerprint(folder))
    change_byte(folder / "00001.png", 50)
    seen.add(fingerprint(folder))
    change_byte(folder / "00004.png", 0)
    seen.add(fingerprint(folder))
    (folder / "00000.png").unlink()
    seen.add(fingerprint(folder))
    assert len(seen) == 6


def test_other_files_in_a_folder_do_not_count(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "frames")
    before = identify_source(folder)
    make_file(folder / "frames.json", 10)
    make_file(folder / ".00001.png", 10)
    assert identify_source(folder) == before
    assert (before.kind, before.size, source_size(folder)) == ("folder", 300, 300)


def test_of_many_images_a_sample_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "SAMPLED_IMAGES", 3)
    folder = make_folder(tmp_path / "frames", num_images=9)
    before = fingerprint(folder)
    change_byte(folder / "00001.png", 3)  # not one of the first, middle and last image
    assert fingerprint(folder) == before
    change_byte(folder / "00004.png", 3)
    assert fingerprint(folder) != before


def test_how_a_file_system_stores_accents_does_not_count(tmp_path: Path) -> None:
    prints = set()
    for form in ("NFC", "NFD"):
        make_file(tmp_path / form / unicodedata.normalize(form, "é.png"), 10)
        prints.add(fingerprint(tmp_path / form))
    assert len(prints) == 1


def test_a_folder_instead_of_a_file(tmp_path: Path) -> None:
    stored, now = identify_source(make_file(tmp_path / "a", 300)), identify_source(make_folder(tmp_path / "b"))
    assert source_difference(stored, now) == "a file -> a folder"


def test_what_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(VisError, match=r"cannot read .*no\.mp4: No such file"):
        identify_source(tmp_path / "no.mp4")
    os.mkfifo(tmp_path / "pipe.mp4")
    with pytest.raises(VisError, match="the path is a pipe"):
        identify_source(tmp_path / "pipe.mp4")

"""Pairs of videos and detection files."""

from __future__ import annotations

import os
import re
import unicodedata
from pathlib import Path
from typing import Any

import pytest

from tests.records.detection_factory import Heard, write_text
from vis_cli.errors import VisError
from vis_cli.records.detection_file import pair_detections, read_detection_file


def touch(folder: Path, *names: str) -> list[Path]:
    return [write_text(folder / name, "x") for name in names]


def test_files_and_folders_are_paired_by_name(tmp_path: Path) -> None:
    sources = [Path("a.mp4"), Path("b.mov"), Path("c.avi"), Path("d"), Path("e.mp4"), Path("missing.mp4")]
    a, b = touch(tmp_path, "a.json", "b.TXT")
    touch(tmp_path, "c/c_1.txt", "d/det/det.txt", "e/labels/e_1.txt", "data.yaml", "classes.txt", "a.mp4", ".b.json")
    other, unused = touch(tmp_path, "other.csv", "unused/1.txt")
    touch(tmp_path, "frames/1.jpg")
    pairs, others = pair_detections(tmp_path, sources)
    assert pairs == dict(zip(sources, [a, b, tmp_path / "c", tmp_path / "d", tmp_path / "e"], strict=False))
    assert others == [other, unused.parent]


def test_a_file_is_for_one_video(tmp_path: Path) -> None:
    (path,) = touch(tmp_path, "any.json")
    assert pair_detections(path, [Path("a.mp4")]) == ({Path("a.mp4"): path}, [])
    with pytest.raises(VisError, match="is for one video, but there are 2 videos"):
        pair_detections(path, [Path("a.mp4"), Path("b.mp4")])
    with pytest.raises(VisError, match="No such file"):
        pair_detections(tmp_path / "missing.json", [Path("a.mp4")])


@pytest.mark.parametrize("name", ["a_1.txt", "labels/a_1.txt", "det/det.txt"])
def test_a_folder_can_be_for_one_video(tmp_path: Path, name: str) -> None:
    touch(tmp_path, name)
    assert pair_detections(tmp_path, [Path("a.mp4")]) == ({Path("a.mp4"): tmp_path}, [])
    with pytest.raises(VisError, match="has the name of a video"):
        pair_detections(tmp_path, [Path("a.mp4"), Path("b.mp4")])


def test_a_pair_by_name_comes_first(tmp_path: Path) -> None:
    path, other = touch(tmp_path, "a.txt", "b.txt")
    assert pair_detections(tmp_path, [Path("a.mp4")]) == ({Path("a.mp4"): path}, [other])


def test_ambiguous_names_are_rejected(tmp_path: Path) -> None:
    touch(tmp_path, "a.json", "a.txt")
    with pytest.raises(VisError, match=r"a\.json and a\.txt are for the same video"):
        pair_detections(tmp_path, [Path("a.mp4")])
    with pytest.raises(VisError, match="have the same name"):
        pair_detections(tmp_path, [Path("x/a.mp4"), Path("y/a.mov")])


def test_no_partner_is_an_error(tmp_path: Path) -> None:
    touch(tmp_path, "b.json")
    with pytest.raises(VisError, match=r"such as a\.json"):
        pair_detections(tmp_path, [Path("a.mp4")])


def no_pair(folder: Path, *sources: str) -> str:
    with pytest.raises(VisError, match="has the name of a video") as caught:
        pair_detections(folder, [Path(source) for source in sources])
    return str(caught.value)


def test_the_error_lists_what_was_found_and_the_nearest_name(tmp_path: Path) -> None:
    touch(tmp_path / "two", "other.csv", "clpi.json", "clips_2/det/det.txt")
    line = no_pair(tmp_path / "two", "walk.mp4", "clip.mp4")
    assert "It contains clips_2, clpi.json, other.csv." in line
    assert line.endswith("such as walk.json. Did you mean clip.json instead of clpi.json?")
    assert "Did you mean" not in no_pair(tmp_path / "two", "walk.mp4")
    assert "YOLO" not in line
    assert "Did you mean clips_1 instead of clips_2?" in no_pair(tmp_path / "two", "clips_1.mp4")
    (tmp_path / "empty").mkdir()
    assert "It contains no detections. Name" in no_pair(tmp_path / "empty", "a.mp4")


@pytest.mark.parametrize("place", [".", "labels"])
def test_a_folder_of_yolo_text_is_for_one_video(tmp_path: Path, place: str) -> None:
    touch(tmp_path / place, "clip_1.txt", "clip_2.txt")
    line = no_pair(tmp_path, "clip.mp4", "walk.mp4")
    assert "A folder of YOLO text files is for one video. For other formats, name the detections" in line
    assert "Did you mean" not in line


def test_a_note_states_that_a_folder_is_read_as_yolo_text(tmp_path: Path) -> None:
    touch(tmp_path / "dets", "clpi.txt")
    heard = Heard()
    pair_detections(tmp_path / "dets", [Path("clip.mp4")], heard)
    problem = "read as a folder of YOLO text files, because no file is named like the video clip"
    assert heard.notes == [f"{tmp_path / 'dets'}: {problem}"]
    touch(tmp_path / "dets", "clip.txt")
    touch(tmp_path / "mot", "det/det.txt")
    for folder in ("dets", "mot"):
        pair_detections(tmp_path / folder, [Path("clip.mp4")], heard)
    assert len(heard.notes) == 1


def test_accents_match_in_both_unicode_forms(tmp_path: Path) -> None:
    (path,) = touch(tmp_path, unicodedata.normalize("NFD", "é.json"))
    source = Path(unicodedata.normalize("NFC", "é.mp4"))
    assert pair_detections(tmp_path, [source])[0] == {source: path}


def test_a_folder_of_images_is_a_video(tmp_path: Path) -> None:
    touch(tmp_path, "frames.v1/1.jpg")
    (path,) = touch(tmp_path, "detections/frames.v1.json")
    source = tmp_path / "frames.v1"
    assert pair_detections(tmp_path / "detections", [source]) == ({source: path}, [])


def test_a_link_to_a_folder_has_its_own_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (path,) = touch(tmp_path / "found", "clip.json")
    link = tmp_path / "clip"
    touch(tmp_path / "images", "1.jpg")
    link.symlink_to("images")
    assert pair_detections(tmp_path / "found", [link]) == ({link: path}, [])
    monkeypatch.chdir(tmp_path / "images")
    path.rename(path.with_name("images.json"))
    for here in (Path(), Path("../images/../images")):
        assert pair_detections(tmp_path / "found", [here]) == ({here: path.with_name("images.json")}, [])


def test_a_folder_without_permission_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed, stat = tmp_path / "found" / "clip", os.stat
    closed.mkdir(parents=True)

    def stat_outside(path: Any, *args: Any, **options: Any) -> os.stat_result:
        if str(path).startswith(f"{closed}{os.sep}"):
            raise PermissionError(13, "Permission denied", str(path))
        return stat(path, *args, **options)

    monkeypatch.setattr(os, "stat", stat_outside)
    monkeypatch.setattr(Path, "stat", stat_outside)  # Python 3.10 keeps its own reference to os.stat
    message = re.escape(f"cannot read {closed}: Permission denied")
    with pytest.raises(VisError, match=message):
        pair_detections(closed.parent, [Path("clip.mp4")])
    with pytest.raises(VisError, match=message):
        read_detection_file(closed)

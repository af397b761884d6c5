"""Names of outputs: one a video, nice where it can be, never shared."""

from __future__ import annotations

from pathlib import Path

import pytest

from vis_cli.commands.outputs import Job, default_name, plan_jobs


def names(*sources: str) -> list[str]:
    return [job.name for job in plan_jobs([Path(source) for source in sources], Path("out"), render=True)]


@pytest.mark.parametrize(
    ("sources", "expected"),
    [
        (["a/clip.mp4", "a/other.mp4"], ["clip", "other"]),
        (["a/clip.mp4", "a/clip.mov"], ["clip", "clip_mov"]),
        (["a/clip.mp4", "b/clip.mp4"], ["clip", "clip_mp4"]),
        (["a/clip.mp4", "b/clip.mp4", "c/clip.mp4"], ["clip", "clip_mp4", "c_clip"]),
        (["a/clip.mp4", "b/clip.mp4", "c/clip.mp4", "x/c/clip.mp4", "y/c/clip.mp4"][-4:], ["clip", "clip_mp4"]),
        (["a/Clip.mp4", "a/clip.mp4"], ["Clip", "clip_mp4"]),
        (["a/clip_mov.mp4", "a/clip.mp4", "a/clip.mov"], ["clip_mov", "clip", "a_clip"]),
    ],
)
def test_names(sources: list[str], expected: list[str]) -> None:
    assert names(*sources)[: len(expected)] == expected


def test_many_of_one_name() -> None:
    found = names(*["a/c/clip.mp4"] * 6)
    assert found == ["clip", "clip_mp4", "c_clip", "clip_2", "clip_3", "clip_4"]


def test_a_folder_keeps_what_looks_like_a_suffix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "take.2"
    folder.mkdir()
    assert default_name(folder) == "take.2"
    monkeypatch.chdir(folder)
    assert default_name(Path()) == "take.2"
    assert default_name(Path("film.v2.mp4")) == "film.v2"


def test_a_folder_above(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "walk" / "notes").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "walk" / "notes")
    assert default_name(Path("..")) == "walk"
    assert default_name(Path("../..")) == tmp_path.name
    assert default_name(Path("../notes")) == "notes"
    assert default_name(Path("/")) == "root"


def test_a_symlinked_folder_keeps_the_name_of_the_link(tmp_path: Path) -> None:
    (tmp_path / "run7").mkdir()
    (tmp_path / "latest").symlink_to("run7")
    assert default_name(tmp_path / "latest") == "latest"


@pytest.mark.parametrize(
    ("source", "name"),
    [
        (".hidden.mp4", "hidden"),
        (".mp4", "mp4"),
        ("...mp4", "root"),
        ("12:30.mp4", "12:30"),
        ("C:clip.mp4", "C_clip"),
        ("a [1] #x? %03d.mp4", "a [1] #x? %03d"),
        ("naïve 東京 🎥.mp4", "naïve 東京 🎥"),
        ("a\nb\x1b[31m.mp4", "a_b_[31m"),
        ("a\u202eb.mp4", "a_b"),
        ("caf\udce9.mp4", "caf_"),
        ("a\\b.mp4", "a_b"),
        ("x" * 251 + ".mp4", "x" * 250),
        ("é" * 125 + "x.mp4", "é" * 125),
        ("é" * 124 + "漢.mp", "é" * 124),
    ],
)
def test_safe_names(source: str, name: str) -> None:
    assert default_name(Path(source)) == name


def test_names_of_full_length_stay_distinct(tmp_path: Path) -> None:
    long = "x" * 250
    found = names(f"a/{long}1.mp4", f"b/{long}2.mp4", f"b/{long}3.mp4", f"b/{long}4.mp4")
    assert found == [long, "x" * 246 + "_mp4", "b_" + "x" * 248, "x" * 248 + "_2"]
    for name in found:
        (tmp_path / f"{name}.json").touch()  # the file system takes it


def test_names_that_some_file_system_cannot_distinguish() -> None:
    assert names("a/é.mp4", "b/e\u0301.mp4", "c/É.mp4") == ["é", "e\u0301_mp4", "c_É"]


def test_paths_of_the_outputs() -> None:
    (job,) = plan_jobs([Path("film.v2.mp4")], Path("out"), render=True)
    assert job == Job(Path("film.v2.mp4"), "film.v2", Path("out/film.v2.json"), Path("out/film.v2.mp4"))
    assert job.outputs == (Path("out/film.v2.json"), Path("out/film.v2.mp4"))
    (plain,) = plan_jobs([Path("film.mp4")], Path("out"), render=False)
    assert plain.outputs == (Path("out/film.json"),)

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


def test_paths_of_the_outputs() -> None:
    (job,) = plan_jobs([Path("film.v2.mp4")], Path("out"), render=True)
    assert job == Job(Path("film.v2.mp4"), "film.v2", Path("out/film.v2.json"), Path("out/film.v2.mp4"))
    assert job.outputs == (Path("out/film.v2.json"), Path("out/film.v2.mp4"))
    (plain,) = plan_jobs([Path("film.mp4")], Path("out"), render=False)
    assert plain.outputs == (Path("out/film.json"),)

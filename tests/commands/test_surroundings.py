"""`vis segment` in odd surroundings: names with any characters, no home, no temporary folder, no user name."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.forks import run_forked, vis
from tests.records.video_factory import make_video

from .conftest import Network, RunVis

ODD_NAMES = ["12:30", "%d%03d", "a [1] #x?", "naïve 東京 🎥", 'it\'s "so"', "-o", "{}", "$HOME"]


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """Make a folder that every user may write to; pytest's own are closed to others."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o777)
    yield folder
    shutil.rmtree(folder)


def test_names_with_any_characters(tmp_path: Path, run_vis: RunVis, network: Network) -> None:
    clip = make_video(tmp_path, num_frames=2)
    sources = [tmp_path / "in" / f"{name}.mp4" for name in ODD_NAMES]
    sources[0].parent.mkdir()
    for source in sources:
        shutil.copy(clip, source)
    outcome = run_vis("segment", *sources, "-o", tmp_path / "out")
    assert outcome.code == 0, outcome.err
    expected = {f"{name}.{suffix}" for name in ODD_NAMES for suffix in ("json", "mp4")}
    assert {path.name for path in (tmp_path / "out").iterdir()} == expected


def test_no_home_and_no_folder_for_temporary_files(
    tmp_path: Path, network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = make_video(tmp_path, num_frames=2)
    for name in ("HOME", "XDG_CACHE_HOME", "TMPDIR"):
        monkeypatch.setenv(name, "/nonexistent/folder")
    monkeypatch.setattr(tempfile, "tempdir", None)
    ended = run_forked(vis("segment", clip, "-o", tmp_path / "out"), tmp_path)
    assert ended.code == 0, ended.err
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["clip.json", "clip.mp4"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")
def test_a_user_without_a_name(open_folder: Path, network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = make_video(open_folder, num_frames=2)
    for name in ("HOME", "USER", "LOGNAME", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)

    def segment() -> None:
        os.setgid(12345)
        os.setuid(12345)
        vis("segment", clip, "-o", open_folder / "out")()

    ended = run_forked(segment, open_folder)
    assert ended.code == 0, ended.err
    assert sorted(path.name for path in (open_folder / "out").iterdir()) == ["clip.json", "clip.mp4"]

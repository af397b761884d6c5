"""`~` in arguments: expanded for every path of every command, rejected where it means nothing."""

from __future__ import annotations

import pwd
from pathlib import Path

import numpy as np
import pytest

from tests.commands.conftest import Network, RunVis, network, run_vis  # noqa: F401 (fixtures)
from tests.records.video_factory import make_video
from vis_cli.console import UsageError
from vis_cli.home_paths import expand_home
from vis_cli.records.davis import write_label_png

USER = pwd.getpwall()[0].pw_name


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a home folder; the current folder is an empty one next to it."""
    for name in ("home", "here"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "home"


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ("~", "HOME"),
        ("~/a b/c.mp4", "HOME/a b/c.mp4"),
        ("--out=~/results", "--out=HOME/results"),
        ("--out=~", "--out=HOME"),
        ("-o~/results", "-oHOME/results"),
        ("~/day?/*.mp4", "HOME/day?/*.mp4"),
        ("--out=results/~", "--out=results/~"),
        ("./~/x", "./~/x"),
        ("--num-key-frames=4", "--num-key-frames=4"),
        ("x~", "x~"),
        ("a=~/x", "a=~/x"),
        ("", ""),
    ],
)
def test_arguments(argument: str, expected: str, home: Path) -> None:
    assert expand_home([argument]) == [expected.replace("HOME", str(home))]


def test_a_named_user() -> None:
    assert expand_home([f"--out=~{USER}/x"]) == [f"--out={Path(pwd.getpwnam(USER).pw_dir, 'x')}"]


@pytest.mark.parametrize("argument", ["~nobody-of-this-name/x", "--out=~nobody-of-this-name"])
def test_an_unknown_user_is_rejected(argument: str, home: Path) -> None:
    with pytest.raises(UsageError, match=r"no user is called 'nobody-of-this-name'. For a name with ~, use \./~nobody"):
        expand_home([argument])


def test_a_file_whose_name_begins_with_a_tilde(home: Path) -> None:
    Path("~clip.mp4").touch()
    assert expand_home(["~clip.mp4"]) == ["~clip.mp4"]


@pytest.mark.parametrize("value", ["", None])
def test_without_a_home_folder(value: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(_: int) -> pwd.struct_passwd:
        raise KeyError

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    monkeypatch.delenv("HOME") if value is None else monkeypatch.setenv("HOME", value)
    with pytest.raises(UsageError, match="Use an absolute path"):
        expand_home(["--out=~/results"])


def test_every_path_of_segment_and_render(home: Path, network: Network, run_vis: RunVis) -> None:  # noqa: F811
    make_video(home, num_frames=2)
    write_label_png(np.ones((48, 64), np.uint8), home / "first.png")
    options = ["--out=~/results", "--masks=~/first.png", "--model=~/model", "--no-render"]
    assert run_vis("segment", "~/clip.mp4", *options).code == 0
    assert network.loaded[0][0] == str(home / "model")
    rendered = run_vis("render", "~/results/clip.json", "--video=~/clip.mp4", "-o~/overlay.mp4")
    assert rendered.code == 0
    assert names_in(home) == ["clip.mp4", "first.png", "overlay.mp4", "results"]
    assert names_in(Path()) == []


@pytest.mark.parametrize(
    "command",
    [
        ["segment", "x.mp4", "--out=~nobody-x/out"],
        ["render", "~nobody-x/clip.json", "-o", "o.mp4"],
        ["export-json", "~nobody-x/results", "-o", "o.zip"],
        ["eval", "results", "--davis=~nobody-x/DAVIS"],
        ["train", "my.toml", "--out=~nobody-x/run"],
        ["models", "info", "~nobody-x/model"],
    ],
)
def test_all_commands(command: list[str], home: Path, run_vis: RunVis) -> None:  # noqa: F811
    outcome = run_vis(*command)
    assert outcome.code == 2
    assert outcome.err.startswith("error: cannot expand ~nobody-x")
    assert names_in(Path()) == []

"""Tests of `vis_cli.path_options`: a value of a path option that no one means."""

from __future__ import annotations

import typing
from pathlib import Path

import pytest
import typer

from tests.commands.conftest import Network, RunVis, network, run_vis  # noqa: F401
from tests.records.video_factory import make_video
from vis_cli.app import make_app
from vis_cli.console import UsageError
from vis_cli.path_options import path_options, require_paths

COMMANDS: typing.Any = typer.main.get_command(make_app())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["-o=o1"],
            "-o: the value =o1 starts with '='. Use -o o1 or --out=o1. For a name that starts with =, use ./=o1.",
        ),
        (["-o", "=o1"], "-o: the value =o1 starts with '='. Use -o o1 or --out=o1. "),
        (["--out", "=o1"], "--out: the value =o1 starts with '='. Use --out=o1. "),
        (["x.mp4", "--masks==a/b"], "--masks: the value =a/b starts with '='. Use --masks=a/b. "),
        (["-o", ""], "-o is empty. Pass a path. Is a variable of the shell unset?"),
        (["-o="], "-o is empty. "),
        (["--out="], "--out is empty. "),
        (["--out", ""], "--out is empty. "),
        (["-o=\x1b[0m"], "-o: the value =\\x1b[0m starts with"),
    ],
)
def test_values_that_no_one_means_are_rejected(arguments: list[str], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        require_paths(["segment", *arguments], COMMANDS)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    "arguments",
    [
        ["-o", "o1"],
        ["-oo1"],
        ["-o", "a=b"],
        ["--out=a=b"],
        ["=x.mp4"],
        ["--", "-o=x"],
        ["--preset=", "-o"],
        ["--json", "=x.mp4"],
        ["-o", "./=o1"],
    ],
)
def test_other_values_pass(arguments: list[str]) -> None:
    errors = []
    try:
        require_paths(["segment", *arguments], COMMANDS)
    except UsageError as error:
        errors.append(str(error))
    assert errors == []


@pytest.mark.parametrize(
    ("command", "expected", "others"),
    [
        ("segment", "--masks --out -o", "--json --model"),
        ("render", "--out --video -o", ""),
        ("export-json", "--annotations --check --out --split --video -o", ""),
        ("eval", "--annotations --davis --frames --json --out --plots -o", "--model"),
        ("train", "--data --out -o", "--check --device"),
        ("models import", "--out -o", ""),
        ("models info", "", ""),
        ("unknown", "", ""),
        ("--help", "", ""),
    ],
)
def test_path_options_of_a_command(command: str, expected: str, others: str) -> None:
    options = path_options(COMMANDS, [*command.split(), "x"])
    assert set(expected.split()) <= options.keys()
    assert options.keys().isdisjoint(others.split())


@pytest.mark.parametrize(
    "command",
    [
        ["segment", "clip.mp4"],
        ["render", "a.json"],
        ["export-json", "r"],
        ["train", "a.toml"],
        ["models", "import", "a.pth"],
    ],
)
@pytest.mark.parametrize("option", [["-o=o1"], ["-o", ""], ["--out="]])
def test_every_command(
    command: list[str],
    option: list[str],
    tmp_path: Path,
    run_vis: RunVis,  # noqa: F811
    network: Network,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(make_video(tmp_path, num_frames=2).parent)
    outcome = run_vis(*command, *option)
    assert outcome.code == 2
    assert outcome.err.startswith(("error: -o", "error: --out"))
    assert [path.name for path in tmp_path.iterdir()] == ["clip.mp4"]

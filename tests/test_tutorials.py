"""The tutorials print what their pages show, on the sample clips."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from tests.commands.conftest import RunVis, run_vis  # noqa: F401 (fixture)

ROOT = Path(__file__).parents[1]
TUTORIALS = ROOT / "docs/tutorials"
BOX = re.compile(r"[\u2500-\u257f]+")  # lines of tables
DECIMAL = re.compile(r"\d+\.\d+")  # times and sizes, which differ from machine to machine


@pytest.fixture(autouse=True)
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Go to a folder that contains only the sample clips."""
    (tmp_path / "sample_videos").symlink_to(ROOT / "sample_videos")
    monkeypatch.chdir(tmp_path)


def blocks(page: str) -> list[tuple[list[str], list[str]]]:
    """Return the arguments of each `$ vis` command of a page, and the lines that it prints."""
    text = (TUTORIALS / page).read_text(encoding="utf-8")
    found = re.findall(r"^```console\n\$ vis (.*)\n((?:.*\n)*?)```$", text, flags=re.MULTILINE)
    return [(shlex.split(command), output.splitlines()) for command, output in found]


def comparable(text: str) -> str:
    return " ".join(DECIMAL.sub("N", BOX.sub(" ", text)).split())


@pytest.mark.slow
@pytest.mark.parametrize(("page", "num_commands"), [("first-video.md", 6), ("submission.md", 5)])
def test_the_commands_print_what_the_page_shows(page: str, num_commands: int, run_vis: RunVis) -> None:  # noqa: F811
    commands = blocks(page)
    assert len(commands) == num_commands
    for arguments, lines in commands:
        outcome = run_vis(*arguments)
        assert outcome.code == 0, outcome.err
        printed = comparable(f"{outcome.out} {outcome.err}")
        for line in lines:
            assert comparable(line) in printed, f"{arguments}: {line}"


def test_the_dataset_and_the_config_of_finetune_are_as_shown(run_vis: RunVis) -> None:  # noqa: F811
    text = (TUTORIALS / "finetune.md").read_text(encoding="utf-8")
    first, second, third = re.findall(r"^vis (.*)$", text, flags=re.MULTILINE)[:3]
    for command in (first, second, third):
        outcome = run_vis(*shlex.split(command))
        assert outcome.code == 0, outcome.err
    images, labels = list(Path("astronauts").rglob("*.jpg")), list(Path("astronauts").rglob("*_*.txt"))
    assert f"contains {len(images)} images, {len(labels)} text files" in text
    config = Path("astronaut.toml").read_text(encoding="utf-8")
    shown = [line.strip() for line in text.splitlines() if line.startswith("    ")]
    assert len(shown) >= 6
    assert [line for line in shown if line not in config] == []

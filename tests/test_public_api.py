"""The public names: complete, importable, documented, and imported at their first use only."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import vis_cli

ROOT = Path(__file__).parents[1]
NEEDED = {
    "segment_video",
    "Segmenter",
    "VideoResult",
    "ResultFrame",
    "load_model",
    "SegmentSettings",
    "RunSettings",
    "VisError",
}


def test_the_list_is_complete() -> None:
    assert set(vis_cli.__all__) >= NEEDED
    assert set(vis_cli.__all__) == {*vis_cli._PUBLIC, "__version__"}
    assert set(vis_cli.__all__) <= set(dir(vis_cli))
    source = Path(vis_cli.__file__).read_text(encoding="utf-8")
    typed = source.partition("if TYPE_CHECKING:")[2].partition("__all__")[0]
    imported = {name for line in re.findall(r"import (?!Any)(.+)", typed) for name in re.split(r", |\w+ as ", line)}
    assert imported - {""} == set(vis_cli._PUBLIC)


@pytest.mark.parametrize("name", sorted(vis_cli.__all__))
def test_each_name_is_importable_and_documented(name: str) -> None:
    value = getattr(vis_cli, name)
    assert value is not None
    page = (ROOT / "docs/reference/python.md").read_text(encoding="utf-8")
    assert f"`{name}`" in page or name == "__version__"


def test_other_names_are_not_public() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Proposer'"):
        _ = vis_cli.Proposer  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("code", "absent"),
    [
        ("import vis_cli", {"torch", "numpy", "typer", "vis_cli.settings"}),
        ("from vis_cli import SegmentSettings, VideoResult, VisError, read_result", {"torch", "typer"}),
        ("from vis_cli import InstanceSequence, ResultFrame, segment_video", {"pandas", "supervision", "typer"}),
    ],
)
def test_importing_a_name_imports_no_more_than_it_needs(code: str, absent: set[str]) -> None:
    check = f"{code}\nimport sys\nassert not {absent!r} & set(sys.modules)"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_package_is_typed() -> None:
    assert (ROOT / "vis_cli/py.typed").is_file()

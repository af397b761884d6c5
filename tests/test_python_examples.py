"""The Python examples run: those of docstrings, and those of docs/how-to/python.md."""

from __future__ import annotations

import contextlib
import doctest
import importlib
import io
import re
from pathlib import Path

import pytest

from tests.engine.fakes import FakeNetwork, draw_frame, moving_boxes
from tests.records.result_factory import make_instance, make_mask, make_result
from tests.records.video_factory import rewrite, write_image
from vis_cli.records.types import ModelInfo
from vis_cli.zoo.weights import LoadedModel

ROOT = Path(__file__).parents[1]
MODULES = sorted(path for path in (ROOT / "vis_cli").rglob("*.py") if ">>>" in path.read_text(encoding="utf-8"))
PACKAGES = {"VideoResult.to_pandas": "pandas", "VideoResult.detections": "supervision"}  # that an example needs
PAGE = (ROOT / "docs/how-to/python.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)


@pytest.fixture(autouse=True)
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Go to a folder with holiday.mp4 and holiday.json, and replace the model by a network that knows colours."""
    monkeypatch.chdir(tmp_path)
    loaded = LoadedModel(FakeNetwork(), ModelInfo("fake", "0" * 64))
    monkeypatch.setattr("vis_cli.engine.segmenter.load_network", lambda model, detector, device: loaded)
    large, small = (
        make_mask(["......", "###...", "###...", "......"]),
        make_mask(["......", "..##..", "..##..", "......"]),
    )
    line, dot = make_mask([".....#", ".....#", "......", "......"]), make_mask([".....#", "......", "......", "......"])
    result = make_result(
        [make_instance(1, [large, None, small]), make_instance(4, [None, line, dot], category_id=3)],
        num_frames=3,
        fps=2,
    )
    result.save("holiday.json")


def make_holiday() -> None:
    Path("drawn").mkdir()
    for index, boxes in enumerate(moving_boxes(3)):
        write_image(Path(f"drawn/{index}.png"), draw_frame(index, boxes))
    rewrite(Path("drawn"), Path("holiday.mp4"))


def examples() -> list[doctest.DocTest]:
    finder = doctest.DocTestFinder(exclude_empty=True)
    names = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in MODULES]
    tests = [test for name in names for test in finder.find(importlib.import_module(name), name)]
    return [test for test in tests if test.examples]


@pytest.mark.parametrize("example", examples(), ids=lambda test: test.name)
def test_the_example_of_a_docstring_runs(example: doctest.DocTest) -> None:
    _, _, name = example.name.partition(".types.")
    if name in PACKAGES:
        pytest.importorskip(PACKAGES[name])
    report = io.StringIO()
    outcome = doctest.DocTestRunner().run(example, out=report.write)
    assert outcome.failed == 0, report.getvalue()
    assert outcome.attempted > 0


def test_the_public_methods_have_examples() -> None:
    named = {example.name.rpartition("records.types.")[2] for example in examples()}
    methods = ("load", "save", "frames", "masks", "detections", "to_pandas")
    assert named >= {f"VideoResult.{name}" for name in methods} | {"InstanceSequence.boxes", "InstanceSequence.areas"}
    assert "vis_cli.engine.segmenter.segment_video" in named


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.splitlines()[0])
def test_the_example_of_the_page_runs(block: str) -> None:
    for package in ("pandas", "supervision"):
        if package in block:
            pytest.importorskip(package)
    if "holiday.mp4" in block:
        make_holiday()
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(block, "python.md", "exec"), {})
    assert ("print(" in block) == bool(printed.getvalue())


def test_the_page_has_the_examples() -> None:
    assert len(BLOCKS) == 5

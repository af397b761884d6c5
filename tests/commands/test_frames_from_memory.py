"""Commands on a result of frames that have no file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.engine.fakes import FakeNetwork, make_video, moving_boxes
from tests.records.video_factory import write_image
from vis_cli import VideoResult, segment_video
from vis_cli.records.types import ModelInfo
from vis_cli.settings import RunSettings
from vis_cli.zoo.weights import LoadedModel

from .conftest import RunVis

FRAMES = make_video(moving_boxes(3)).frames


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    model, run = LoadedModel(FakeNetwork(), ModelInfo("fake", "0" * 64)), RunSettings(device="cpu", precision="float32")
    result = segment_video(np.stack(FRAMES), fps=10, model=model, run=run)
    result.save(tmp_path / "clip.json")
    assert VideoResult.load(tmp_path / "clip.json") == result
    return tmp_path / "clip.json"


def test_tables_need_no_video(saved: Path, tmp_path: Path, run_vis: RunVis) -> None:
    outcome = run_vis("export", saved, "--to", "csv", "-o", tmp_path / "t.csv")
    assert (outcome.code, "warning" in outcome.err) == (0, False)
    rows = (tmp_path / "t.csv").read_text(encoding="utf-8-sig").splitlines()
    assert len(rows) == 7
    assert rows[2].startswith("frames,1,0.1,1,")


def test_an_overlay_needs_the_video(saved: Path, tmp_path: Path, run_vis: RunVis) -> None:
    outcome = run_vis("render", saved, "-o", tmp_path / "o.mp4")
    assert outcome.code == 2
    assert f"cannot find <frames>, the video of {saved}: it is missing. Pass --video FILE." in outcome.err
    for index, frame in enumerate(FRAMES):
        (tmp_path / "drawn").mkdir(exist_ok=True)
        write_image(tmp_path / "drawn" / f"{index}.png", frame)
    given = run_vis("render", saved, "--video", tmp_path / "drawn", "-o", tmp_path / "o.mp4")
    assert given.code == 0
    assert "stores no fingerprint of its video" in given.err
    assert (tmp_path / "o.mp4").is_file()

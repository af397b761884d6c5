"""`--detector`, `--propagator` and `--model coco-r50`, with real, small networks."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
from PIL import Image

from tests.network.factories import make_model
from tests.records.video_factory import make_images
from tests.zoo.torchvision_factory import COCO_FILE, use_empty_cache
from vis_cli.engine.segmenter import Segmenter, segment_video
from vis_cli.records.davis import write_label_png
from vis_cli.records.result_json import read_result
from vis_cli.records.types import Category
from vis_cli.zoo.detectors.picodet_detector import PicoDetDetector
from vis_cli.zoo.weights import save_model

from .conftest import RunVis

pytestmark = pytest.mark.usefixtures("narrow_backbone")
BIRDS = (Category(5, "owl"), Category(9, "duck"))
SETTINGS = ("detection_score_threshold=0", "max_instances=2", "mask_threshold=0.4")
EASY = ("--no-render", "--score-threshold", 0, *(word for text in SETTINGS for word in ("--set", text)))


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    make_images(tmp_path / "frames", ("0.png", "1.png"), (96, 64))
    return tmp_path / "frames"


@pytest.fixture
def models(tmp_path: Path) -> tuple[Path, Path]:
    save_model(tmp_path / "birds", make_model(categories=BIRDS), {})
    save_model(tmp_path / "follower", make_model(fpn_channels=24), {})
    return tmp_path / "birds", tmp_path / "follower"


def test_what_one_model_finds_another_follows(frames: Path, models: tuple[Path, Path], run_vis: RunVis) -> None:
    birds, follower = models
    out = frames.parent / "out"
    outcome = run_vis("segment", frames, "-o", out, "--detector", birds, "--propagator", follower, *EASY)
    assert outcome.code == 0, outcome.err
    result = read_result(out / "frames.json")
    assert result.model.name == "birds+follower"
    assert result.categories == BIRDS
    assert len(result.instances) > 0


@pytest.mark.parametrize(("option", "name"), [("--detector", "birds+follower"), ("--propagator", "follower+birds")])
def test_one_of_the_two_is_the_models_own(
    option: str, name: str, frames: Path, models: tuple[Path, Path], run_vis: RunVis
) -> None:
    birds, follower = models
    outcome = run_vis("segment", frames, "-o", frames.parent / "out", "--model", follower, option, birds, *EASY)
    assert outcome.code == 0, outcome.err
    assert read_result(frames.parent / "out" / "frames.json").model.name == name


class TestIncludedDetector:
    """A model whose config names picodet-s."""

    @pytest.fixture
    def finder(self, tmp_path: Path) -> Path:
        model = make_model()
        model.config = dataclasses.replace(model.config, detector="picodet-s")
        save_model(tmp_path / "finder", model, {})
        labels = np.zeros((64, 96), np.uint8)
        labels[8:40, 8:40] = 1
        write_label_png(labels, tmp_path / "first.png")
        (tmp_path / "boxes.txt").write_text("1,-1,8,8,32,32,0.9,-1,-1,-1\n")
        return tmp_path / "finder"

    @pytest.mark.parametrize(
        ("options", "name"),
        [
            ("--masks first.png", "finder"),
            ("--detections boxes.txt", "finder"),
            ("--masks first.png --detections boxes.txt --also-detect", "finder"),
            ("--masks first.png --propagator follower", "follower"),
            ("--masks first.png --also-detect", "picodet-s+finder"),
            ("--box 0:8,8,40,40", "picodet-s+finder"),
            ("--box 0:8,8,40,40 --detections boxes.txt --also-detect", "picodet-s+finder"),
            ("", "picodet-s+finder"),
        ],
    )
    def test_is_loaded_and_named_only_if_it_takes_part(
        self,
        options: str,
        name: str,
        finder: Path,
        models: tuple[Path, Path],
        frames: Path,
        run_vis: RunVis,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.chdir(finder.parent)
        loaded = []
        monkeypatch.setattr(PicoDetDetector, "__init__", count_calls(PicoDetDetector.__init__, loaded))
        command = ("segment", "frames", "-o", "out", "--model", "./finder", *options.split(), *EASY)
        outcome = run_vis(*command)
        assert outcome.code == 0, outcome.err
        assert read_result(Path("out/frames.json")).model.name == name
        assert bool(loaded) == ("picodet-s" in name)
        assert "skipped" in run_vis(*command).err

    def test_takes_no_part_in_given_masks_of_a_program(self, finder: Path, frames: Path) -> None:
        guidance = {0: np.asarray(Image.open(finder.parent / "first.png"))}
        assert segment_video(frames, model=str(finder), guidance=guidance).model.name == "finder"
        both = segment_video(frames, model=str(finder), guidance=guidance, also_detect=True)
        assert both.model.name == "picodet-s+finder"
        with pytest.raises(ValueError, match="the detector of the model is not loaded"):
            Segmenter(str(finder), detects=False).segment(frames)


def count_calls(function: Callable[..., None], calls: list[object]) -> Callable[..., None]:
    def call(*args: object, **given: object) -> None:
        calls.append(args)
        function(*args, **given)

    return call


def test_an_unknown_propagator_is_wrong_usage(frames: Path, models: tuple[Path, Path], run_vis: RunVis) -> None:
    outcome = run_vis("segment", frames, "-o", frames.parent / "out", "--propagator", "lit", *EASY)
    assert outcome.code == 2
    assert "no model is named lit. Did you mean lite?" in outcome.err


@pytest.mark.parametrize("model", ["lite", "coco-r50"])
def test_coco_cannot_follow(model: str, frames: Path, tmp_path: Path, run_vis: RunVis) -> None:
    options = ("-o", tmp_path / "out", "--model", model, "--propagator", "coco-r50")
    outcome = run_vis("segment", frames, *options)
    assert outcome.code == 2
    assert outcome.err == "error: cannot propagate with coco-r50: it only detects. Use --propagator lite."


@pytest.mark.parametrize("option", ["--model", "--detector"])
def test_coco_without_a_network_is_one_line(
    option: str, frames: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_vis: RunVis
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise URLError("no network")

    (tmp_path / "hub").mkdir()
    cache = use_empty_cache(tmp_path / "hub", monkeypatch)
    monkeypatch.setattr("torch.hub.urlopen", refuse)
    outcome = run_vis("segment", frames, "-o", tmp_path / "out", option, "coco-r50")
    assert outcome.code == 2
    assert f"{COCO_FILE}: no network. Fetch it on another machine, and put it into {cache}." in (outcome.err)

"""The commands in process, and a stand-in for the network: all else of their path is real."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from numpy.typing import NDArray
from typer.testing import CliRunner

from tests.records.result_factory import CATEGORIES, make_instance
from vis_cli.app import app
from vis_cli.engine.finished import FinishedSequence, FinishedWindow
from vis_cli.errors import VisError
from vis_cli.records.category_names import find_categories
from vis_cli.records.coco_categories import coco_categories
from vis_cli.records.detections import VideoDetections
from vis_cli.records.prompts import Prompt
from vis_cli.records.segmentations import Segmentations
from vis_cli.records.types import ModelInfo, VideoInfo, VideoResult
from vis_cli.records.video import Video
from vis_cli.settings import RunSettings, SegmentSettings

FAKE_MODEL = ModelInfo("fake", "ab" * 32)


@dataclass(frozen=True)
class Outcome:
    """What a command left behind; `err` has runs of blanks made one, as tables pad."""

    code: int
    out: str
    err: str


RunVis = Callable[..., Outcome]


build_once = functools.cache(typer.main.get_command)  # Typer would build all commands again for each call


@pytest.fixture
def run_vis(monkeypatch: pytest.MonkeyPatch) -> RunVis:
    """Return a function that runs `vis` with arguments; what is no SystemExit goes through."""
    monkeypatch.setattr("typer.testing._get_command", build_once)

    def run(*args: object) -> Outcome:
        result = CliRunner().invoke(app, [str(arg) for arg in args], catch_exceptions=False)
        return Outcome(result.exit_code, result.stdout, " ".join(result.stderr.split()))

    return run


@dataclass
class Network:
    """Say what the stand-in does, and remember what it was asked."""

    num_instances: int = 1
    excluded: dict[str, int] = field(default_factory=dict)  # detections of categories that --only excludes
    num_unlikely: int = 0  # further instances: lower right quarter, score 0.2, not confident
    raises: dict[str, BaseException] = field(default_factory=dict)  # by video name
    loaded: list[tuple[str, SegmentSettings, RunSettings]] = field(default_factory=list)
    segmented: list[str] = field(default_factory=list)
    guidance: Mapping[int, NDArray[np.integer[Any]]] | None = None
    detections: VideoDetections | None = None
    only: Sequence[str] = ()
    prompts: Sequence[Prompt] = ()
    also_detect: bool = False
    detects: bool = True  # whether the detector of the model is loaded
    detected: dict[str, bool] = field(default_factory=dict)  # the same, by video name


@dataclass
class FakeRun:
    """Segment a video as one window."""

    segment: Callable[[], VideoResult]
    excluded: Mapping[str, int]
    found: list[VideoResult] = field(default_factory=list)
    num_windows = 0
    num_visible = 0
    numerics = "fake"

    def iter_windows(self) -> Iterator[FinishedWindow]:
        self.found.append(self.segment())
        sequences = tuple(
            FinishedSequence(
                item.id, item.category_id, item.score, {i: m for i, m in enumerate(item.segmentations) if m}
            )
            for item in self.found[0].instances
        )
        yield FinishedWindow(range(self.found[0].video.num_frames), True, True, sequences, 0)

    def result(self, masks: Mapping[int, Segmentations]) -> VideoResult:
        instances = (dataclasses.replace(item, segmentations=masks[item.id]) for item in self.found[0].instances)
        return dataclasses.replace(self.found[0], instances=tuple(instances))


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> Network:
    """Replace the segmenter by one that finds the upper left quarter of every frame."""
    state = Network()

    class FakeSegmenter:
        def __init__(
            self, model: str, *, config: SegmentSettings, run: RunSettings, detects: bool, messages: object
        ) -> None:
            self._config = config
            self._detects = state.detects = detects
            state.loaded.append((model, config, run))

        def require_categories(self, names: Sequence[str]) -> None:
            find_categories(names, (*CATEGORIES, *coco_categories()))

        def start(self, video: Video, **given: Any) -> FakeRun:
            return FakeRun(lambda: self.segment(video, **given), state.excluded)

        def segment(
            self,
            video: Video,
            *,
            progress: Callable[[str, int, int], None],
            guidance: Mapping[int, NDArray[np.integer[Any]]] | None,
            detections: Callable[[int], VideoDetections] | None,
            only: Sequence[str],
            prompts: Sequence[Prompt],
            also_detect: bool,
        ) -> VideoResult:
            state.guidance = guidance
            state.only, state.prompts, state.also_detect = only, prompts, also_detect
            state.segmented.append(video.name)
            state.detected[video.name] = self._detects
            num_frames = 0
            for num_frames, _ in enumerate(video.iter_frames(), start=1):
                progress("read", num_frames, video.num_frames or 0)
            if video.name in state.raises:
                raise state.raises[video.name]
            state.detections = None if detections is None else detections(num_frames)
            if num_frames == 0:
                raise VisError(f"{video.path}: no frame of it decodes")
            return make_found(video, num_frames, state.num_instances, self._config, num_unlikely=state.num_unlikely)

    def expect(model: str, config: SegmentSettings, **_: object) -> tuple[ModelInfo, SegmentSettings]:
        return FAKE_MODEL, config

    monkeypatch.setattr("vis_cli.engine.segmenter.Segmenter", FakeSegmenter)
    monkeypatch.setattr("vis_cli.engine.production.expected_production", expect)
    monkeypatch.setattr("vis_cli.zoo.composition.needed_detector", lambda *names: None)  # models need not exist
    return state


def make_found(
    video: Video, num_frames: int, num_instances: int, config: SegmentSettings, *, num_unlikely: int = 0
) -> VideoResult:
    mask = np.zeros((video.height, video.width), np.bool_)
    mask[: (video.height + 1) // 2, : (video.width + 1) // 2] = True
    return VideoResult(
        video=VideoInfo(video.name, video.path, video.width, video.height, video.fps, num_frames),
        model=FAKE_MODEL,
        config=dataclasses.asdict(config),
        categories=CATEGORIES,
        instances=(
            *(
                make_instance(number + 1, [mask] * num_frames, score=0.9 - number / 10)
                for number in range(num_instances)
            ),
            *(
                make_instance(number + 1, [mask[::-1, ::-1]] * num_frames, score=0.2, confident=False)
                for number in range(num_instances, num_instances + num_unlikely)
            ),
        ),
    )


@pytest.fixture
def untouched(tmp_path: Path) -> Iterator[Callable[[Path], Path]]:
    """Return a function that marks an input; at the end each must be what it was, and no half file may lie about."""
    before: dict[Path, bytes | None] = {}

    def mark(path: Path) -> Path:
        files = [path, *path.rglob("*")] if path.is_dir() else [path]
        before.update((file, file.read_bytes()) for file in files if file.is_file())
        return path

    yield mark
    assert {file: file.read_bytes() for file in before} == before
    assert not list(tmp_path.rglob("*.tmp-*"))

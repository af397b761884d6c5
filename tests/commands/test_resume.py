"""`vis segment` resumes a video with several windows after Ctrl-C and after SIGKILL."""

from __future__ import annotations

import resource
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import pytest

from tests.engine.fakes import FakeNetwork, make_video
from tests.engine.test_windows import boxes_in
from vis_cli.commands import partial_result
from vis_cli.commands.partial_result import partial_folder
from vis_cli.engine.settle import settle_sizes
from vis_cli.records.result_json import read_result
from vis_cli.records.types import ModelInfo
from vis_cli.records.video import open_video
from vis_cli.settings import SegmentSettings
from vis_cli.zoo.weights import LoadedModel

from .conftest import Outcome, RunVis

SPANS = {0: [(0, 3), (12, 19)], 1: [(0, 19)], 2: [(5, 9), (14, 19)]}
STOP = 17  # frame index in the last window
OPTIONS = ("--device", "cpu", "--set", "early_reduction_iou=1")


class StoppingNetwork(FakeNetwork):
    """Call a function when a frame is encoded."""

    def __init__(self) -> None:
        super().__init__()
        self.stop: Callable[[], object] | None = None

    def encode_frames(self, images: Any) -> Any:
        features = super().encode_frames(images)
        if self.encoded[-1] == STOP and self.stop is not None:
            self.stop()
        return features


@dataclass
class Runner:
    """Run `vis segment` on a folder of images with objects that leave and return."""

    run_vis: RunVis
    clip: Path
    out: Path
    completed: dict[tuple[object, ...], bytes]  # results of runs that are not interrupted, by clip and options
    networks: list[StoppingNetwork] = field(default_factory=list)
    stop: Callable[[], object] | None = None
    window: tuple[str, ...] = ("--set", "window=4")

    def __call__(self, *options: object, out: Path | None = None) -> Outcome:
        render = () if "--render" in options else ("--no-render",)
        options = tuple(option for option in options if option != "--render")
        return self.run_vis("segment", self.clip, "-o", out or self.out, *render, *OPTIONS, *self.window, *options)

    def load(self) -> LoadedModel[Any]:
        self.networks.append(StoppingNetwork())
        self.networks[-1].stop = self.stop
        return LoadedModel(self.networks[-1], ModelInfo("fake", "0" * 64))

    @property
    def part(self) -> Path:
        return partial_folder(self.out / "clip.json")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("videos") / "clip"
    folder.mkdir()
    for index, frame in enumerate(make_video(boxes_in(SPANS, 20)).frames):
        cv2.imwrite(str(folder / f"{index:05d}.png"), cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
    return folder


@pytest.fixture(scope="module")
def completed() -> dict[tuple[object, ...], bytes]:
    return {}


@pytest.fixture
def segment(
    clip: Path,
    completed: dict[tuple[object, ...], bytes],
    tmp_path: Path,
    run_vis: RunVis,
    monkeypatch: pytest.MonkeyPatch,
) -> Runner:
    runner = Runner(run_vis, clip, tmp_path / "out", completed)

    def expect(model: str, config: SegmentSettings, **_: object) -> tuple[ModelInfo, SegmentSettings]:
        return ModelInfo("fake", "0" * 64), settle_sizes(config, FakeNetwork().config)

    monkeypatch.setattr("vis_cli.commands.batch.Batch._choose_model", lambda _: runner.load())
    monkeypatch.setattr("vis_cli.engine.production.expected_production", expect)
    return runner


def complete(segment: Runner, tmp_path: Path, *options: object) -> bytes:
    """Return the result of a run that is not interrupted; of equal runs, only the first happens."""
    key = (segment.clip, *segment.window, *options)
    if key not in segment.completed or "--render" in options:  # the overlay is compared, too
        assert segment(*options, out=tmp_path / "complete").code == 0
        segment.completed[key] = (tmp_path / "complete" / "clip.json").read_bytes()
    return segment.completed[key]


def interrupt(segment: Runner, *options: object) -> Outcome:
    def stop() -> None:
        raise KeyboardInterrupt

    segment.stop = stop
    outcome = segment(*options)
    segment.stop = None
    return outcome


def kill(segment: Runner) -> None:
    """Leave the files that SIGKILL leaves: nothing is closed, and no buffer is written."""
    copy = segment.out.with_name("copy")
    segment.stop = lambda: shutil.copytree(segment.out, copy)
    assert segment().code == 0
    segment.stop = None
    shutil.rmtree(segment.out)
    copy.rename(segment.out)
    for leftover in segment.out.glob(".*.tmp-*"):
        leftover.unlink()


def with_file_limit(num_bytes: int, segment: Runner) -> Outcome:
    """Run `vis segment` while a larger file cannot be written."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, hard))
    try:
        return segment()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_ctrl_c(segment: Runner, tmp_path: Path) -> None:
    outcome = interrupt(segment)
    assert outcome.code == 130
    assert "Run the same command again to resume." in outcome.err
    assert [path.name for path in segment.out.iterdir()] == [".clip.json.part"]
    assert sorted(path.name for path in segment.part.iterdir()) == ["masks", "state"]
    outcome = segment()
    assert (outcome.code, "warning" in outcome.err) == (0, False)
    assert f"{segment.clip}: resumed after window 4 of an interrupted run" in outcome.err
    assert min(segment.networks[-1].detected) == 16
    assert [path.name for path in segment.out.iterdir()] == ["clip.json"]
    assert (segment.out / "clip.json").read_bytes() == complete(segment, tmp_path)
    assert len(read_result(segment.out / "clip.json").instances) == 3


def test_sigkill(segment: Runner, tmp_path: Path) -> None:
    kill(segment)
    assert not (segment.out / "clip.json").exists()
    with (segment.part / "masks").open("ab") as file:  # written after the state
        file.write(b"1 12 1 4\nabcd")
    (segment.part / "new-state").write_bytes(b"half")
    outcome = segment()
    assert (outcome.code, "resumed after window 4" in outcome.err, "warning" in outcome.err) == (0, True, False)
    assert min(segment.networks[-1].detected) == 16
    assert [path.name for path in segment.out.iterdir()] == ["clip.json"]
    assert (segment.out / "clip.json").read_bytes() == complete(segment, tmp_path)


def test_the_overlay_of_a_resumed_run(segment: Runner, tmp_path: Path) -> None:
    interrupt(segment, "--render")
    assert segment("--render").code == 0
    assert len(list(open_video(segment.out / "clip.mp4").iter_frames())) == 20
    complete(segment, tmp_path, "--render")
    assert (segment.out / "clip.mp4").read_bytes() == (tmp_path / "complete" / "clip.mp4").read_bytes()


@pytest.mark.parametrize("damage", ["short", "byte", "head", "empty", "masks", "no masks"])
def test_a_damaged_state_is_not_used(segment: Runner, tmp_path: Path, damage: str) -> None:
    interrupt(segment)
    state, masks = segment.part / "state", segment.part / "masks"
    data = state.read_bytes()
    if damage in ("masks", "no masks"):
        masks.write_bytes(masks.read_bytes()[:-1] if damage == "masks" else b"")
    else:
        head = data.index(b"\n")
        damaged = {"short": data[:-1], "byte": data[:-9] + b"?" + data[-8:], "head": b"{" + data[head:], "empty": b""}
        state.write_bytes(damaged[damage])
    outcome = segment()
    assert outcome.code == 0
    assert outcome.err.count("warning") == 1
    problem = "the state of an interrupted run is damaged. The video is segmented from its first frame."
    assert f"{segment.part}: {problem}" in outcome.err
    assert "resumed" not in outcome.err
    assert min(segment.networks[-1].detected) == 0
    assert [path.name for path in segment.out.iterdir()] == ["clip.json"]
    assert (segment.out / "clip.json").read_bytes() == complete(segment, tmp_path)


def test_a_state_of_other_settings_is_not_used(segment: Runner, tmp_path: Path) -> None:
    interrupt(segment)
    outcome = segment("--set", "mask_threshold=0.6")
    assert outcome.code == 0
    assert "the interrupted run had another video, model, setting, input or version. The video is" in outcome.err
    assert min(segment.networks[-1].detected) == 0
    assert (segment.out / "clip.json").read_bytes() == complete(segment, tmp_path, "--set", "mask_threshold=0.6")


def test_a_state_of_another_video_is_not_used(segment: Runner, tmp_path: Path) -> None:
    segment.clip = shutil.copytree(segment.clip, tmp_path / "clip")
    interrupt(segment)
    (segment.clip / "00019.png").unlink()
    assert "the interrupted run had another video" in segment().err
    assert (segment.out / "clip.json").read_bytes() == complete(segment, tmp_path)


def test_options_that_change_no_mask_resume(segment: Runner) -> None:
    interrupt(segment)
    assert "resumed after window 4" in segment("--min-score", "0.5", "--feature-budget-mb", "3").err


def test_overwrite_starts_again(segment: Runner) -> None:
    interrupt(segment)
    outcome = segment("--overwrite")
    assert (outcome.code, "resumed" in outcome.err, "warning" in outcome.err) == (0, False, False)
    assert min(segment.networks[-1].detected) == 0
    assert not segment.part.exists()


def test_ctrl_c_with_overwrite(segment: Runner) -> None:
    outcome = interrupt(segment, "--overwrite")
    assert outcome.code == 130
    assert "With --overwrite, the same command segments all videos again." in outcome.err
    assert "resume" not in outcome.err


def test_a_video_with_one_window_leaves_nothing(segment: Runner) -> None:
    segment.window = ()
    assert interrupt(segment).code == 130
    assert list(segment.out.iterdir()) == []


def test_an_interruption_before_the_first_state_leaves_nothing(
    segment: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(partial_result.PartialResult, "_save", fail)
    assert segment().code == 130
    assert list(segment.out.iterdir()) == []


def test_a_folder_without_a_state_is_removed_silently(segment: Runner) -> None:
    segment.part.mkdir(parents=True)
    (segment.part / "masks").write_bytes(b"half")
    outcome = segment()
    assert (outcome.code, "warning" in outcome.err, segment.part.exists()) == (0, False, False)


def test_the_folder_of_a_complete_result_is_removed(segment: Runner) -> None:
    """A process can be killed between the result and the removal."""
    assert segment().code == 0
    segment.part.mkdir()
    assert "skipped" in segment().err
    assert not segment.part.exists()


def test_a_full_disk_ends_the_video(segment: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", fail)
    outcome = segment()
    assert outcome.code == 1
    assert f"cannot write {segment.part}: No space left on device. Free disk space" in outcome.err


@pytest.mark.parametrize("limit", [10, 1500])
def test_a_disk_that_is_full_before_the_first_state(segment: Runner, tmp_path: Path, limit: int) -> None:
    outcome = with_file_limit(limit, segment)  # 10 bytes: the masks; 1,500 bytes: the state
    assert outcome.code == 1
    assert f"cannot write {segment.part}: File too large. Raise the limit" in outcome.err
    assert list(segment.out.iterdir()) == []
    assert segment().code == 0
    assert (segment.out / "clip.json").read_bytes() == complete(segment, tmp_path)


def test_temporary_masks_on_a_full_disk(segment: Runner) -> None:
    segment.window = ()
    outcome = with_file_limit(10, segment)
    assert outcome.code == 1
    assert f"cannot store masks in {tempfile.gettempdir()}: File too large. Set TMPDIR to a folder" in outcome.err
    assert list(segment.out.iterdir()) == []


def test_a_missing_temporary_folder(segment: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    segment.window = ()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    outcome = segment()
    assert outcome.code == 1
    assert f"cannot store masks in {tmp_path / 'missing'}: No such file or directory. Set TMPDIR" in outcome.err


def test_the_masks_of_a_folder_that_cannot_be_removed_are_dropped(
    segment: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupt(segment)
    monkeypatch.setattr(partial_result, "remove_partial", lambda _: None)
    assert segment("--set", "mask_threshold=0.6").code == 0
    assert (segment.out / "clip.json").read_bytes() == complete(segment, tmp_path, "--set", "mask_threshold=0.6")


@pytest.mark.parametrize("kind", ["file", "link"])
def test_the_path_of_the_folder_belongs_to_something_else(segment: Runner, tmp_path: Path, kind: str) -> None:
    segment.out.mkdir()
    (tmp_path / "other").mkdir()
    if kind == "file":
        segment.part.write_bytes(b"")
    else:
        segment.part.symlink_to(tmp_path / "other")
    outcome = segment()
    assert outcome.code == 1
    assert f"cannot write {segment.part}: it is not a folder. Remove it, or use another -o DIR." in outcome.err
    assert [path.name for path in segment.out.iterdir()] == [segment.part.name]
    assert list((tmp_path / "other").iterdir()) == []


def test_the_folder_is_removed_when_only_the_overlay_is_missing(segment: Runner) -> None:
    """A process can be killed after the result is written, and before the folder is removed."""
    assert segment().code == 0
    segment.part.mkdir()
    assert segment("--render").code == 0
    assert sorted(path.name for path in segment.out.iterdir()) == ["clip.json", "clip.mp4"]


def test_a_long_name_has_a_folder_with_a_short_name(tmp_path: Path) -> None:
    path = tmp_path / f"{'x' * 250}.json"
    assert partial_folder(path).parent == tmp_path
    assert len(partial_folder(path).name) < 100
    assert partial_folder(path) != partial_folder(tmp_path / f"{'x' * 249}.json")

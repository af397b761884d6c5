"""`vis segment --live` with a fake source, and with a network that knows colours."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.engine.fakes import FakeNetwork, draw_frame, moving_boxes
from tests.forks import run_forked, vis
from tests.records.live.fakes import STEP, FakeSource
from tests.records.video_factory import make_video
from vis_cli.engine.segmenter import Segmenter
from vis_cli.errors import VisError
from vis_cli.records.types import ModelInfo
from vis_cli.settings import RunSettings, SegmentSettings
from vis_cli.zoo.weights import LoadedModel

from .conftest import RunVis

COMMAND = ("segment", "0", "--live", "--set", "window=4")


@pytest.fixture
def segmenter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace the model by a network that knows colours."""

    class ColourSegmenter(Segmenter):
        def __init__(self, model: str, *, config: SegmentSettings, run: RunSettings, **_: object) -> None:
            loaded = LoadedModel(FakeNetwork(), ModelInfo("fake", "0" * 64))
            super().__init__(loaded, config=config, run=RunSettings(device="cpu", precision="float32"))

    monkeypatch.setattr("vis_cli.engine.segmenter.Segmenter", ColourSegmenter)


@pytest.fixture
def send(monkeypatch: pytest.MonkeyPatch, segmenter: None) -> Callable[[FakeSource], FakeSource]:
    """Return a function that sets the source."""

    def set_source(source: FakeSource) -> FakeSource:
        monkeypatch.setattr("vis_cli.commands.live.open_source", lambda text, stream: source)
        return source

    return set_source


Send = Callable[[FakeSource], FakeSource]


def iter_frames(num_frames: int) -> Iterator[NDArray[np.uint8]]:
    boxes = moving_boxes(10)
    return (draw_frame(number % 100, boxes[number % 10]) for number in range(num_frames))


def read_lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def count_frames(path: Path) -> int:
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))


def test_every_frame_has_a_line(tmp_path: Path, run_vis: RunVis, send: Send) -> None:
    source = send(FakeSource(iter_frames(10)))
    outcome = run_vis(*COMMAND, "-o", tmp_path / "out", "--json")
    assert outcome.code == 0, outcome.err
    lines = read_lines((tmp_path / "out/camera0.jsonl").read_text())
    assert read_lines(outcome.out) == lines
    assert [(line["frame"], line["timestamp"]) for line in lines] == [(number, number * STEP) for number in range(10)]
    assert {tuple((some["id"], some["category"]) for some in line["instances"]) for line in lines} == {
        ((1, "warm"), (2, "leaf"))
    }
    assert lines[3]["instances"][0]["box"] == [5, 3, 13, 9]
    assert all(0 <= line["delay"] < 60 and abs(line["captured"] - time.time()) < 60 for line in lines)
    assert count_frames(tmp_path / "out/camera0.mp4") == 10
    assert "camera 0: 32x24, 25 frames/s. A result appears at most 0.3 s (2 windows of 4 frames) plus" in outcome.err
    assert "camera0: 10 frames, 10 segmented, 0 dropped (0.0 %); delay " in outcome.err
    assert source.num_closed == 1
    assert not list((tmp_path / "out").glob(".*"))


def test_results_appear_one_window_after_their_frames(tmp_path: Path, run_vis: RunVis, send: Send) -> None:
    path = tmp_path / "out/camera0.jsonl"
    sizes: list[int] = []
    send(FakeSource(iter_frames(16), before=lambda number: sizes.append(len(path.read_text().splitlines()))))
    assert run_vis(*COMMAND, "-o", tmp_path / "out", "--no-render").code == 0
    assert sizes[8] == 0
    assert sizes[10] == 4  # frame 8 ends the second window, so the first one is final
    assert sizes[14] == 8
    assert not (tmp_path / "out/camera0.mp4").exists()


def test_cuts_are_known_two_frames_later(tmp_path: Path, run_vis: RunVis, send: Send) -> None:
    path = tmp_path / "out/camera0.jsonl"
    sizes: list[int] = []
    send(FakeSource(iter_frames(13), before=lambda number: sizes.append(len(path.read_text().splitlines()))))
    outcome = run_vis(*COMMAND, "-o", tmp_path / "out", "--no-render", "--set", "cuts=true")
    assert outcome.code == 0, outcome.err
    assert (sizes[10], sizes[12]) == (0, 4)
    assert "at most 0.4 s (2 windows of 4 frames, and 2 frames to detect cuts) plus" in outcome.err


def test_a_window_of_one_frame(tmp_path: Path, run_vis: RunVis, send: Send) -> None:
    send(FakeSource(iter_frames(2)))
    outcome = run_vis("segment", "0", "--live", "--set", "window=1", "-o", tmp_path / "out", "--no-render")
    assert outcome.code == 0, outcome.err
    assert "at most 0.1 s (2 windows of 1 frame) plus" in outcome.err
    assert [line["frame"] for line in read_lines((tmp_path / "out/camera0.jsonl").read_text())] == [0, 1]


def test_dropped_frames_are_reported(tmp_path: Path, run_vis: RunVis, send: Send) -> None:
    send(FakeSource(iter_frames(400), waits=False))
    outcome = run_vis(*COMMAND, "-o", tmp_path / "out", "--no-render")
    assert outcome.code == 0
    lines = read_lines((tmp_path / "out/camera0.jsonl").read_text())
    assert lines[-1]["frame"] == 399
    assert all(line["timestamp"] == line["frame"] * STEP for line in lines)
    assert f"400 frames, {len(lines)} segmented, {400 - len(lines)} dropped (" in outcome.err
    assert outcome.err.count("warning: camera0: this machine is too slow, so frames are dropped.") == 1


def test_a_stream_that_stops_in_the_middle(tmp_path: Path, run_vis: RunVis, send: Send) -> None:
    send(FakeSource(iter_frames(7), failure=VisError("camera 0 stopped after 0.3 s: no data for 10 s")))
    outcome = run_vis(*COMMAND, "-o", tmp_path / "out")
    assert outcome.code == 1
    assert outcome.err.endswith("error: camera 0 stopped after 0.3 s: no data for 10 s")
    assert len(read_lines((tmp_path / "out/camera0.jsonl").read_text())) == 7
    assert count_frames(tmp_path / "out/camera0.mp4") == 7


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_capture_and_completes_the_files(number: int, tmp_path: Path, send: Send) -> None:
    def interrupt(frame: int) -> None:
        if frame == 21:
            os.kill(os.getpid(), number)

    send(FakeSource(iter_frames(10**6), before=interrupt))
    ended = run_forked(vis(*COMMAND, "-o", tmp_path / "out"), tmp_path)
    assert ended.code == 128 + number, ended.err
    assert "stopping: the captured frames are segmented first." in ended.err
    assert "Traceback" not in ended.err
    lines = read_lines((tmp_path / "out/camera0.jsonl").read_text())
    assert [line["frame"] for line in lines] == list(range(len(lines)))
    assert len(lines) >= 21
    assert count_frames(tmp_path / "out/camera0.mp4") == len(lines)
    assert f"{len(lines)} segmented" in ended.err


def test_a_second_interruption_ends_at_once(tmp_path: Path, send: Send, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(frame: int) -> None:
        if frame == 21:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.2)
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr("vis_cli.records.live.video.LiveVideo.stop", lambda video: None)  # an engine that hangs
    send(FakeSource(iter_frames(10**6), before=interrupt))
    ended = run_forked(vis(*COMMAND, "-o", tmp_path / "out"), tmp_path)
    assert (ended.code, ended.err.splitlines()[-1]) == (130, "error: interrupted")
    lines = read_lines((tmp_path / "out/camera0.jsonl").read_text())
    assert len(lines) >= 12
    assert len(lines) - 4 <= count_frames(tmp_path / "out/camera0.mp4") <= len(lines)
    assert not list((tmp_path / "out").glob(".*"))


def test_a_reader_of_stdout_that_ends(tmp_path: Path, send: Send) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    send(FakeSource(iter_frames(10**6)))
    ended = run_forked(lambda: (os.dup2(writer, 1), vis(*COMMAND, "-o", tmp_path / "out", "--json")()), tmp_path)
    os.close(writer)
    assert ended.code == 1
    assert "Traceback" not in ended.err


def test_a_file_is_played_in_real_time(tmp_path: Path, run_vis: RunVis, segmenter: None) -> None:
    clip = make_video(tmp_path, num_frames=6, rate=30)
    outcome = run_vis("segment", clip, "--live", "-o", tmp_path / "out", "--set", "window=2")
    assert outcome.code == 0, outcome.err
    lines = read_lines((tmp_path / "out/clip.jsonl").read_text())
    assert f"clip: 6 frames, {len(lines)} segmented, {6 - len(lines)} dropped" in outcome.err  # 0 if it is fast
    assert [round(line["timestamp"] * 30) for line in lines] == [line["frame"] for line in lines]
    assert count_frames(tmp_path / "out/clip.mp4") == len(lines) > 0


def test_an_overlay_that_is_the_input(tmp_path: Path, run_vis: RunVis, segmenter: None) -> None:
    clip = make_video(tmp_path, num_frames=2)
    before = clip.read_bytes()
    outcome = run_vis("segment", clip, "--live", "-o", tmp_path, "--overwrite")
    assert outcome.code == 2
    assert "it is an input" in outcome.err
    assert clip.read_bytes() == before


def test_existing_files_are_kept_without_overwrite(tmp_path: Path, run_vis: RunVis, send: Send) -> None:
    (tmp_path / "camera0.jsonl").write_text("old")
    send(FakeSource(iter_frames(3)))
    outcome = run_vis(*COMMAND, "-o", tmp_path)
    assert outcome.code == 1
    assert "camera0.jsonl: it exists. Use --overwrite to replace it, or another -o DIR." in outcome.err
    assert (tmp_path / "camera0.jsonl").read_text() == "old"
    assert run_vis(*COMMAND, "-o", tmp_path, "--overwrite").code == 0
    assert len(read_lines((tmp_path / "camera0.jsonl").read_text())) == 3


def test_a_category(tmp_path: Path, run_vis: RunVis, send: Send) -> None:
    send(FakeSource(iter_frames(5)))
    assert run_vis(*COMMAND, "-o", tmp_path, "--no-render", "--only", "leaf").code == 0
    lines = read_lines((tmp_path / "camera0.jsonl").read_text())
    assert {some["category"] for line in lines for some in line["instances"]} == {"leaf"}


def test_a_network_that_fails(tmp_path: Path, run_vis: RunVis, send: Send, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(FakeNetwork, "propagate", fail)
    source = send(FakeSource(iter_frames(10**6)))
    outcome = run_vis(*COMMAND, "-o", tmp_path)
    assert (outcome.code, source.num_closed) == (1, 1)
    assert "error: out of memory" in outcome.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("0", "1"), "--live needs one input, but there are 2. Run the command once per input."),
        (("0", "--masks", "{folder}/clip.mp4"), "--masks and --live are both given. Omit one of them."),
        (("0", "--detections", "{folder}/clip.mp4"), "--detections and --live are both given. Omit one of them."),
        (("0", "--every", "2"), "--every and --live are both given. Omit one of them."),
        (("0", "--set", "window=none"), "window is none, but --live needs a number of frames. Use --set window=16."),
        (("0", "--preset", "ovis"), "window is none, but --live needs a number of frames. Use --set window=16."),
        (("0", "--detector", "x.onnx"), "--live: the detector x.onnx needs a second pass over the video"),
        (("0", "--model", "coco-r50-v2"), "--live: the detector coco-r50-v2 needs a second pass over the video"),
    ],
)
def test_wrong_usage(arguments: tuple[str, ...], message: str, tmp_path: Path, run_vis: RunVis) -> None:
    make_video(tmp_path, num_frames=1)
    given = [argument.format(folder=tmp_path) for argument in arguments]
    outcome = run_vis("segment", *given, "--live", "-o", tmp_path / "out")
    assert outcome.code == 2
    assert message in outcome.err
    assert not (tmp_path / "out").exists()


def test_a_source_that_cannot_be_opened(tmp_path: Path, run_vis: RunVis, segmenter: None) -> None:
    outcome = run_vis("segment", "987", "--live", "-o", tmp_path / "out")
    assert outcome.code == 1
    assert "error: cannot read camera 987: there is no such camera, or another program uses it." in outcome.err
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("text", ["0", "rtsp://127.0.0.1/cam", "-"])
def test_without_live_the_error_names_the_option(text: str, tmp_path: Path, run_vis: RunVis) -> None:
    outcome = run_vis("segment", text, "-o", tmp_path / "out")
    assert outcome.code == 1
    assert "--live" in outcome.err


def test_without_live_0_is_a_file(tmp_path: Path, run_vis: RunVis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("0").mkdir()
    outcome = run_vis("segment", "0", "-o", "out")
    assert "cannot read 0: no videos or images in this folder" in outcome.err

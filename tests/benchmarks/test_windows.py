"""Tests of the comparison of windows with other paradigms: settings of a row, measures by hand, and tables."""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from tests.engine.fakes import FakeNetwork, make_video, moving_boxes
from vis_cli.errors import VisError
from vis_cli.records.rle import Rle, encode_mask
from vis_cli.records.types import Category, InstanceSequence, ModelInfo, VideoInfo, VideoResult
from vis_cli.records.youtube_vis import YouTubeVis, YouTubeVisAnnotation
from vis_cli.settings import RunSettings, SegmentSettings
from vis_cli.zoo.weights import LoadedModel

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
SCRIPTS = ("baselines", "track_by_detect", "clip_match", "pseudo_clips", "identity", "windows", "windows_table")
NUM_FRAMES = 60


@pytest.fixture(scope="module")
def windows() -> Iterator[ModuleType]:
    sys.path.insert(0, str(BENCHMARKS))
    yield importlib.import_module("windows")
    sys.path.remove(str(BENCHMARKS))
    for name in SCRIPTS:
        sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def tables(windows: ModuleType) -> ModuleType:
    return importlib.import_module("windows_table")


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("windows:96", (96,)),
        ("whole", ()),
        ("whole:20", (20,)),
        ("track-by-detect", ()),
        ("clip-match", ()),
        ("clip-match:8", (8,)),
        ("clip-match:8:4", (8, 4)),
    ],
)
def test_a_method_has_numbers(windows: ModuleType, text: str, numbers: tuple[int, ...]) -> None:
    choice = windows.parse_method(text)
    assert (choice.text, choice.kind, choice.numbers) == (text, text.split(":")[0], numbers)


@pytest.mark.parametrize(
    "text", ["", "window:96", "windows", "windows:0", "windows:x", "whole:1:2", "track-by-detect:3", "clip-match:8:8"]
)
def test_another_method_is_rejected(windows: ModuleType, text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        windows.parse_method(text)


def test_the_size_of_clips_has_defaults(windows: ModuleType) -> None:
    sizes = [windows.clip_size(windows.parse_method(text)) for text in ("clip-match", "clip-match:9", "clip-match:9:2")]
    assert sizes == [(13, 6), (9, 6), (9, 2)]


def test_rows_differ_in_windows_cuts_and_key_frames_only(windows: ModuleType) -> None:
    def settings(text: str, *more: str) -> SegmentSettings:
        return windows.choose_settings(windows.parse_method(text), "default", more)

    default = SegmentSettings(window=None, cuts=False)
    assert settings("windows:96") == SegmentSettings(window=96, cuts=True)
    assert settings("whole") == settings("clip-match") == settings("track-by-detect") == default
    assert settings("whole:20", "num_key_frames=3") == dataclasses.replace(default, num_key_frames=20)
    shots = dataclasses.replace(default, cuts=True, confident_score=0.4)
    assert settings("whole", "cuts=true", "confident_score=0.4") == shots
    assert not settings("windows:96", "cuts=false").cuts
    with pytest.raises(VisError, match="windows:N"):
        settings("whole", "window=96")


def test_key_frames_are_counted_in_each_window_of_each_shot(windows: ModuleType) -> None:
    shots = ((0, 9), (10, 11))
    assert windows.count_key_frames(shots, SegmentSettings(num_key_frames=3)) == 3 + 2
    assert windows.count_key_frames(shots, SegmentSettings(num_key_frames=3, window=4)) == 3 + 3 + 2 + 2
    assert windows.count_key_frames(((0, 9),), SegmentSettings(num_key_frames=1, window=5)) == 2


@pytest.mark.parametrize(
    ("text", "detected"),
    [
        ("windows:4", [0, 2, 4, 6, 8]),
        ("whole:3", [0, 3, 6]),
        ("track-by-detect", list(range(9))),
        ("clip-match:5:3", [2, 4, 6]),
    ],
)
def test_each_method_finds_the_objects_and_counts_its_key_frames(
    windows: ModuleType, text: str, detected: list[int]
) -> None:
    network, choice = FakeNetwork(), windows.parse_method(text)
    video = make_video(moving_boxes(9))
    config = windows.choose_settings(choice, "default", ["num_key_frames=2"])
    run = RunSettings(device="cpu", precision="float32")
    loaded = LoadedModel(network, ModelInfo("fake", "0" * 64))
    result, num_key_frames = windows.segment(choice, loaded, config, video, run)
    assert network.detected == detected
    assert num_key_frames == len(detected)
    assert [instance.first_frame for instance in result.instances if instance.confident] == [0, 0]
    assert [instance.last_frame for instance in result.instances if instance.confident] == [8, 8]


def strip(left: int, width: int = 10) -> Rle:
    mask = np.zeros((4, 60), np.bool_)
    mask[:, left : left + width] = True
    return encode_mask(mask)


def masks_in(frames: range, left: int = 0) -> list[Rle | None]:
    return [strip(left) if index in frames else None for index in range(NUM_FRAMES)]


def annotation(id_: int, masks: Sequence[Rle | None], category: int = 1) -> YouTubeVisAnnotation:
    return YouTubeVisAnnotation(id_, 1, category, False, tuple(masks), (None,) * len(masks))


def split(*annotations: YouTubeVisAnnotation) -> YouTubeVis:
    return YouTubeVis(Path("annotations.json"), (), (Category(1, "cat"), Category(2, "dog")), annotations)


def result(*sequences: tuple[Sequence[Rle | None], int, float]) -> VideoResult:
    instances = tuple(
        InstanceSequence(id_, category, score, {category: score}, 0, tuple(masks), confident=score >= 0.25)
        for id_, (masks, category, score) in enumerate(sequences, start=1)
    )
    video = VideoInfo("clip", Path("clip.mp4"), 60, 4, 25.0, NUM_FRAMES)
    return VideoResult(video, ModelInfo("fake", ""), {}, (Category(5, "cat"), Category(6, "dog")), instances)


def test_births_compare_first_masks_and_deaths_compare_last_masks(windows: ModuleType) -> None:
    true = [masks_in(range(10, 50))]
    near = windows.NEAR

    def figures(start: int, stop: int) -> tuple[float, float]:
        lives = windows.life_figures([masks_in(range(start, stop))], true)
        return lives["births"], lives["deaths"]

    assert figures(10, 50) == (1.0, 1.0)
    assert figures(10 + near, 50) == (1.0, 1.0)
    assert figures(10 + near + 1, 50) == (0.0, 1.0)  # counts as a death only
    assert figures(10, 50 - near - 1) == (1.0, 0.0)  # counts as a birth only
    assert figures(10 - near, 50 + near) == (1.0, 1.0)
    assert windows.life_figures([], true) == {"births": 0.0, "deaths": 0.0}


def test_lives_are_fractions_of_all_objects(windows: ModuleType) -> None:
    true = [masks_in(range(60)), masks_in(range(60), 20), masks_in(range(60), 40)]
    found = [masks_in(range(60)), masks_in(range(40), 20)]
    lives = windows.life_figures(found, true)
    assert lives == {"births": pytest.approx(2 / 3), "deaths": pytest.approx(1 / 3)}


def test_the_measures_of_a_result(windows: ModuleType) -> None:
    whole = range(NUM_FRAMES)
    truth = split(
        annotation(1, masks_in(whole)),
        annotation(2, masks_in(whole, 20), category=2),
        annotation(3, masks_in(whole, 40)),
    )
    found = result(
        (masks_in(whole), 5, 0.9),  # a cat
        (masks_in(whole, 20), 5, 0.9),  # not a cat
        (masks_in(range(30), 40), 5, 0.9),  # half of the third object: a match at an IoU of 0.5
        (masks_in(range(30, 60), 40), 5, 0.9),  # its other half
        (masks_in(whole, 50), 5, 0.1),  # not confident
    )
    measured = windows.measure(found, truth)
    assert (measured["objects"], measured["instances"]) == (3, 4)
    assert measured["precision"] == pytest.approx(3 / 4)
    assert measured["precision_with_category"] == pytest.approx(2 / 4)
    assert measured["recall"] == pytest.approx(1.0)
    assert measured["identity_switches"] == 1
    assert measured["idf1"] == pytest.approx((60 + 60 + 30) / 180)
    # All masks are exact, so DetA is 1. AssA is 1 for two objects, and 1/2 for the two halves of the third object.
    assert measured["hota"] == pytest.approx(np.sqrt((1 + 1 + 0.5) / 3))


def test_a_result_without_instances_has_measures(windows: ModuleType) -> None:
    measured = windows.measure(result(), split(annotation(1, masks_in(range(20)))))
    names = ("instances", "precision", "recall", "precision_with_category", "identity_switches", "hota", "idf1")
    assert [measured[name] for name in names] == [0] * 7


def test_the_ground_truth_is_limited_to_the_first_frames(windows: ModuleType) -> None:
    truth = split(annotation(1, masks_in(range(5, 40))), annotation(2, masks_in(range(30, 60), 20)))
    (entry,) = windows.first_frames_of_truth(truth, 20).annotations
    assert entry.id == 1
    assert len(entry.segmentations) == len(entry.areas) == 20
    assert windows.first_frames_of_truth(truth, None) == truth
    with pytest.raises(VisError, match="no object is visible"):
        windows.first_frames_of_truth(truth, 5)


def row(method: str, **more: float) -> dict[str, float | str]:
    numbers = {"objects": 3, "instances": 4, "precision": 0.75, "recall": 1.0, "precision_with_category": 0.5}
    numbers |= {"identity_switches": 1, "hota": 0.913, "idf1": 0.8333, "births": 1 / 3, "deaths": 2 / 3}
    return {
        "method": method,
        **numbers,
        "key_frames": 20,
        "seconds": 12.4,
        "cpu_seconds": 20.6,
        "peak_gb": 1.234,
        **more,
    }


def test_rows_with_equal_settings_are_one_table(windows: ModuleType, tables: ModuleType) -> None:
    def report(options: str, *rows: dict[str, float | str]) -> dict[str, object]:
        args = windows.parse_args(["long", "--method", "whole", *options.split()])
        return json.loads(json.dumps(windows.describe(args, rows)))

    reports = [
        report("--frames 400", row("windows:96")),
        report("", row("whole")),
        report("--frames 400 --set cuts=true", row("whole")),
        report("--frames 400", row("whole"), row("windows:96", instances=5)),  # measured again
    ]
    lines = tables.make_tables(reports)
    assert [line for line in lines if line.startswith("long")] == [
        "long, the first 400 frames, model `lite`, preset `default`:",
        "long, all frames, model `lite`, preset `default`:",
        "long, the first 400 frames, model `lite`, preset `default` `--set cuts=true`:",
    ]
    assert lines[2].startswith("| method | objects | instances | precision | recall |")
    assert (
        lines[4] == "| windows:96 | 3 | 5 | 75.0 | 100.0 | 50.0 | 1 | 91.3 | 83.3 | 33.3 | 66.7 | 20 | 12 | 21 | 1.23 |"
    )
    assert lines[5].startswith("| whole | 3 | 4 |")
    assert {line.count("|") for line in lines if line.startswith("|")} == {16}

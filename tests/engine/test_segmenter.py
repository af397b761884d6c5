"""One video in, one result out: edges, what the result records, and that videos do not touch each other."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from tests.network.factories import make_model
from vis_cli.engine.segmenter import Segmenter, segment_video
from vis_cli.errors import VisError
from vis_cli.network.memory import MemoryBank
from vis_cli.network.structures import QueryFeatures
from vis_cli.records.source_identity import identify_source
from vis_cli.records.types import Category, ModelInfo
from vis_cli.records.video import open_video
from vis_cli.settings import PAPER, RunSettings, SegmentSettings
from vis_cli.zoo.weights import LoadedModel

from .fakes import CATEGORIES, FakeNetwork, drawn_masks, make_segmenter, make_video, moving_boxes, segment


def test_the_result_names_video_model_settings_and_categories() -> None:
    result = segment(make_video(moving_boxes(5)), num_key_frames=2)
    video = result.video
    assert (video.name, video.path, video.width, video.height) == ("clip", Path("clip.mp4"), 32, 24)
    assert (video.fps, video.num_frames) == (12.0, 5)
    assert result.model == ModelInfo("fake", "0" * 64)
    assert result.categories == CATEGORIES
    expected = dataclasses.replace(PAPER, num_key_frames=2, short_side=24, long_side=32, early_reduction_iou=1.0)
    assert SegmentSettings(**result.config) == expected
    assert [instance.id for instance in result.instances] == [1, 2]
    assert {category for instance in result.instances for category in instance.category_scores} == {7, 3, 9}


def test_a_network_size_of_ones_own_is_used() -> None:
    network = FakeNetwork()
    segment(make_video(moving_boxes(2)), network, short_side=12)
    assert network.memorized[0][1].shape[1:] == (12, 16)


def test_a_one_frame_clip() -> None:
    network = FakeNetwork()
    result = segment(make_video(moving_boxes(1)), network)
    assert len(result.instances) == 2
    assert all(len(instance.segmentations) == 1 for instance in result.instances)
    assert network.propagated == []


def test_a_two_by_two_clip() -> None:
    video = make_video([{}, {}], size=(2, 2))
    for frame in video.frames:
        frame[:, 1] = (250, 0, 0)
    (instance,) = segment(video).instances
    for mask in range(2):
        np.testing.assert_array_equal(instance.mask(mask), [[False, True], [False, True]])


@pytest.mark.parametrize("size", [(3, 200), (200, 3), (1, 1)])
def test_extreme_shapes(size: tuple[int, int]) -> None:
    video = make_video([{}, {}], size=size)
    for frame in video.frames:
        frame[:] = (0, 250, 0)
    (instance,) = segment(video).instances
    mask = instance.mask(1)
    assert mask is not None
    assert mask.shape == size
    assert mask.all()


def test_nothing_found_is_a_result() -> None:
    result = segment(make_video([{}] * 5))
    assert result.instances == ()
    assert result.video.num_frames == 5


def test_masks_have_the_videos_size_not_the_networks() -> None:
    video = make_video([{0: (10, 8, 30, 28)}] * 3, size=(48, 64))
    (instance,) = segment(video).instances
    for frame in range(3):
        mask, drawn = instance.mask(frame), drawn_masks(video, 0)[frame]
        assert mask is not None
        assert np.logical_and(mask, drawn).sum() / np.logical_or(mask, drawn).sum() > 0.85


def test_class_agnostic_results_have_one_category() -> None:
    result = segment(make_video(moving_boxes(4)), class_agnostic=True)
    assert result.categories == (Category(1, "object"),)
    assert [instance.category_id for instance in result.instances] == [1, 1]
    np.testing.assert_allclose([instance.score for instance in result.instances], 0.95, rtol=1e-6)


def test_one_segmenter_serves_many_videos_that_do_not_touch_each_other() -> None:
    segmenter = make_segmenter(FakeNetwork())
    first = segmenter.segment(make_video(moving_boxes(6)))  # type: ignore[arg-type]
    segmenter.segment(make_video([{3: (1, 1, 20, 20)}] * 3))  # type: ignore[arg-type]
    assert segmenter.segment(make_video(moving_boxes(6))) == first  # type: ignore[arg-type]


def test_progress_counts_each_stage_to_its_end() -> None:
    calls: dict[str, list[tuple[int, int]]] = {}

    def report(stage: str, done: int, total: int) -> None:
        calls.setdefault(stage, []).append((done, total))

    make_segmenter(num_key_frames=2).segment(make_video(moving_boxes(4)), progress=report)  # type: ignore[arg-type]
    assert list(calls) == ["read", "forward", "backward"]
    assert calls["forward"] == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert calls["backward"] == [(1, 2), (2, 2)]


def test_a_device_out_of_memory_is_told_in_one_line() -> None:
    class Greedy(FakeNetwork):
        def propagate_one(self, query: QueryFeatures, memory: MemoryBank) -> Tensor:
            raise torch.cuda.OutOfMemoryError("much text")

    with pytest.raises(VisError, match=r"^cannot segment clip\.mp4: the memory of cpu is too small\. Use a smaller"):
        segment(make_video(moving_boxes(3)), Greedy())


def test_no_gradient_is_recorded() -> None:
    class Watched(FakeNetwork):
        def propagate_one(self, query: QueryFeatures, memory: MemoryBank) -> Tensor:
            assert torch.is_inference_mode_enabled()
            return super().propagate_one(query, memory)

    network = Watched()
    segment(make_video(moving_boxes(3)), network)
    assert len(network.propagated) > 0


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_real_network_speaks_the_verbs_of_the_fake_one(precision: Literal["float32", "bfloat16"]) -> None:
    model = LoadedModel(make_model().requires_grad_(False), ModelInfo("tiny", "0" * 64))
    config = SegmentSettings(detection_score_threshold=0.0, score_threshold=0.0, max_instances=2, mask_threshold=0.4)
    segmenter = Segmenter(model, config=config, run=RunSettings(device="cpu", precision=precision))
    video = make_video(moving_boxes(4), size=(50, 70))
    found = segmenter.segment(video)  # type: ignore[arg-type]
    assert len(found.instances) > 0
    given = segmenter.segment(video, guidance={1: drawn_masks(video, 0)[1].astype(np.int64)})  # type: ignore[arg-type]
    np.testing.assert_array_equal(given.instances[0].mask(1), drawn_masks(video, 0)[1])
    assert sum(mask is not None for mask in given.instances[0].segmentations) == 4


def test_segment_video_takes_a_folder_of_frames(tmp_path: Path) -> None:
    for index, frame in enumerate(make_video(moving_boxes(3)).frames):
        cv2.imwrite(str(tmp_path / f"{index}.png"), frame[:, :, ::-1])
    model = LoadedModel(FakeNetwork(), ModelInfo("fake", "0" * 64))
    result = segment_video(tmp_path, model=model, run=RunSettings(device="cpu", precision="float32"))
    assert result.video.num_frames == 3
    assert len(result.instances) == 2
    assert segment_video(str(tmp_path), model=model, run=RunSettings(device="cpu", precision="float32")) == result


def test_the_result_of_a_folder_has_its_source_names_and_timestamps(tmp_path: Path) -> None:
    for index, frame in enumerate(make_video(moving_boxes(5)).frames):
        cv2.imwrite(str(tmp_path / f"{index}.png"), frame[:, :, ::-1])
    options = {
        "model": LoadedModel(FakeNetwork(), ModelInfo("fake", "0" * 64)),
        "run": RunSettings(device="cpu", precision="float32"),
    }
    video = segment_video(tmp_path, **options).video  # type: ignore[arg-type]
    assert video.source == identify_source(tmp_path)
    assert video.frame_names == ("0.png", "1.png", "2.png", "3.png", "4.png")
    assert video.timestamps == pytest.approx([number / 24 for number in range(5)])
    part = segment_video(open_video(tmp_path, start=1, every=2), **options)  # type: ignore[arg-type]
    assert part.video.source == identify_source(tmp_path)
    assert part.video.frame_names == ("1.png", "3.png")
    assert [(frame.index, frame.number) for frame in part.frames()] == [(0, 1), (1, 3)]
    assert [frame.time for frame in part.frames()] == pytest.approx([1 / 24, 3 / 24])


@pytest.mark.parametrize(
    ("settings", "is_calibrated"),
    [
        ({}, True),
        ({"calibrate": False}, False),
        ({"score_source": "eq2"}, False),  # the calibration was fitted to another score
        ({"class_agnostic": True}, False),
    ],
)
def test_scores_are_calibrated(settings: dict[str, object], is_calibrated: bool) -> None:
    network = FakeNetwork()
    options = {"score_source": "product", "calibrate": True} | settings
    before = segment(make_video(moving_boxes(3)), network, **options)
    network.config = dataclasses.replace(network.config, calibration=(2.0, -1.0))
    after = segment(make_video(moving_boxes(3)), network, **options)
    for old, new in zip(before.instances, after.instances, strict=True):
        odds = old.score / (1 - old.score)
        calibrated = odds**2 / (odds**2 + np.e)
        assert new.score == pytest.approx(calibrated if is_calibrated else old.score, rel=1e-6)


def test_given_masks_have_their_own_preset(tmp_path: Path) -> None:
    video = make_video(moving_boxes(3))
    for index, frame in enumerate(video.frames):
        cv2.imwrite(str(tmp_path / f"{index}.png"), frame[:, :, ::-1])
    model = LoadedModel(FakeNetwork(), ModelInfo("fake", "0" * 64))
    guidance = {0: drawn_masks(video, 0)[0].astype(np.int64)}
    run = RunSettings(device="cpu", precision="float32")
    found = segment_video(tmp_path, model=model, run=run, guidance=guidance)
    assert (found.config["short_side"], found.config["long_side"]) == (36, 48)
    own = segment_video(tmp_path, model=model, run=run, guidance=guidance, config=SegmentSettings())
    assert (own.config["short_side"], own.config["long_side"]) == (24, 32)


def test_an_unknown_model_is_a_users_mistake() -> None:
    with pytest.raises(VisError, match="nosuchmodel"):
        segment_video("clip.mp4", model="nosuchmodel")


def test_importing_the_package_imports_no_torch() -> None:
    code = "import sys, vis_cli; assert vis_cli.__version__ == '0.1.0'; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_segment_video_is_found_in_the_package() -> None:
    import vis_cli

    assert vis_cli.segment_video is segment_video
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = vis_cli.nothing
